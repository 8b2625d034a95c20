//! What is set for routes in the file of `--config`.

mod tls;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, ask};
use http::{Request, header};
use tempfile::NamedTempFile;

use super::conversation::Conversation;
use super::site::{Site, outcome};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    they_are_followed_and_open_connections_are_left_alone,
    requests_are_changed_moved_and_refused,
    requests_are_shared_and_canaries_are_picked,
);

/// A site whose agent reads policies from a file.
struct Governed {
    site: Site,
    file: NamedTempFile,
}

impl Governed {
    /// Not started yet; with an app for each pod.
    fn new(feed: Feed, pods: &[&str], policies: &str) -> Self {
        let file = NamedTempFile::new().unwrap();
        let lab = Lab::builder().nodes(1);
        let lab = pods.iter().fold(lab, |lab, pod| lab.pod(pod, "node-1"));
        let path = file.path().to_str().unwrap();
        let cluster = Cluster::new(feed, lab).with_further_flags(&["--config", path]);
        let site = Site::new(cluster);
        site.apply_apps(pods);
        let governed = Self { site, file };
        governed.set(policies);
        governed
    }

    fn start(&self) {
        self.site.start();
    }

    /// Writes the file with these policies.
    fn set(&self, policies: &str) {
        self.configure(&format!("policies:{policies}\n"));
    }

    fn configure(&self, fields: &str) {
        let head = "apiVersion: fairway.dev/v1alpha1\nkind: FairwayConfiguration\n";
        fs::write(&self.file, format!("{head}{fields}")).unwrap();
    }
}

fn they_are_followed_and_open_connections_are_left_alone(feed: Feed) {
    let impatient = "
- selector: {ingress: default/web, path: /slow}
  upstream: {readTimeout: 50ms}";
    let governed = Governed::new(feed, &["web"], impatient);
    let site = &governed.site;
    let web = ingress("web").class("fairway");
    let web = web.prefix("web", "/", "web", 80);
    site.apply("web", [web.prefix("web", "/slow", "web", 80)]);
    governed.start();
    assert_eq!(site.answers("web", "/slow?delay=5000"), "504");
    assert_eq!(site.answers("web", "/?delay=200"), "web");

    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
    let mut kept = Conversation::open(client, router);
    assert_eq!(kept.get("web", "/"), "web");
    let mut tunnel = Conversation::open(client, router);
    tunnel.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(tunnel.head().status, 101);

    governed.set(
        "
- selector: {host: web}
  upstream: {protocl: https}",
    );
    let told = "policies[0].upstream.protocl: unknown field `protocl`";
    let agent = site.agent("node-1");
    agent.wait_for_log(told, Duration::from_secs(10)).unwrap();
    assert_eq!(site.answers("web", "/slow?delay=5000"), "504");

    governed.set(
        "
- selector: {path: /slow}
  upstream: {readTimeout: 10s}",
    );
    becomes("web".to_owned(), "a slow answer", || {
        site.answers("web", "/slow?delay=200")
    });
    tunnel.send("still there");
    assert_eq!(tunnel.exactly(11), b"still there");
    assert_eq!(kept.get("web", "/"), "web");
}

/// Sends a GET request with a header.
fn with_header(site: &Site, path: &str, name: &str, value: &str) -> String {
    let request = Request::get(path)
        .header(header::HOST, "web")
        .header(name, value)
        .body(Bytes::new())
        .unwrap();
    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
    outcome(&ask::http(client, router, request).unwrap())
}

fn requests_are_changed_moved_and_refused(feed: Feed) {
    let governed = Governed::new(
        feed,
        &["web"],
        "
- selector: {ingress: default/web}
  requestHeaders: {set: {X-Set: a}, remove: [X-Gone]}
  responseHeaders: {add: {X-Answer: b}}
- selector: {host: web, path: /api}
  rewrite: {pattern: '/api(/|$)(.*)', replacement: /$2}
- selector: {path: /old}
  redirect: {host: new.example, prefix: /, status: 301}
- selector: {path: /small}
  maxBodySize: 1Ki
- selector: {path: /secure}
  redirectToHttps: true",
    );
    let site = &governed.site;
    let paths = ["/", "/api", "/old", "/small", "/secure"].into_iter();
    let web = ingress("web").class("fairway");
    let web = paths.fold(web, |web, path| web.prefix("web", path, "web", 80));
    site.apply("web", [web]);
    governed.start();

    let response = site.get("web", "/api/x?y=1");
    assert_eq!(response.header("x-answer"), Some("b"));
    let seen = response.answer().unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.query.as_deref()),
        ("/x", Some("y=1"))
    );
    assert_eq!(seen.header("x-set"), ["a"]);

    let moved = site.get("web", "/old/x");
    assert_eq!(moved.status, 301);
    assert_eq!(moved.header("location"), Some("http://new.example/x"));
    let secure = site.get("web", "/secure/x");
    assert_eq!(secure.status, 308);
    assert_eq!(secure.header("location"), Some("https://web/secure/x"));
    assert_eq!(secure.header("x-answer"), Some("b"));

    for (length, status) in [(1024, 200), (1025, 413)] {
        let request = Request::post("/small")
            .header(header::HOST, "web")
            .header("x-gone", "1")
            .body(Bytes::from(vec![b'x'; length]))
            .unwrap();
        let (client, router) = (site.lab().client().ns(), site.router("node-1"));
        let response = ask::http(client, router, request).unwrap();
        assert_eq!(response.status, status);
        let seen = response.answer();
        assert!(seen.is_none_or(|seen| seen.header("x-gone").is_empty()));
    }
}

fn requests_are_shared_and_canaries_are_picked(feed: Feed) {
    let governed = Governed::new(
        feed,
        &["web", "next"],
        "
- selector: {ingress: default/web}
  match: {headers: [{name: X-Canary, value: always}]}
  backends: [{service: next}]
- selector: {path: /split}
  backends: [{weight: 1}, {service: next, port: http, weight: 1}]
- selector: {path: /gone}
  backends: [{service: missing}]",
    );
    let site = &governed.site;
    let paths = ["/", "/split", "/gone"].into_iter();
    let web = ingress("web").class("fairway");
    let web = paths.fold(web, |web, path| web.prefix("web", path, "web", 80));
    site.apply("web", [web]);
    governed.start();
    assert_eq!(site.answers("web", "/"), "web");
    assert_eq!(with_header(site, "/", "x-canary", "always"), "next");
    assert_eq!(with_header(site, "/", "x-canary", "never"), "web");
    assert_eq!(site.answers("web", "/gone"), "503");
    // Both within a number of requests that fails once in 2^100 times.
    let mut missing = BTreeSet::from(["web".to_owned(), "next".to_owned()]);
    for _ in 0..100 {
        missing.remove(&site.answers("web", "/split"));
    }
    assert_eq!(missing, BTreeSet::new());
}
