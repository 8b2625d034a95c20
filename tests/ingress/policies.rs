//! What is set for routes in the file of `--config`.

use std::fs;
use std::time::Duration;

use fairway_testkit::Lab;
use fairway_testkit::objects::ingress;
use tempfile::NamedTempFile;

use super::conversation::Conversation;
use super::site::Site;
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(they_are_followed_and_open_connections_are_left_alone);

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
        let head = "apiVersion: fairway.dev/v1alpha1\nkind: FairwayConfiguration\n";
        fs::write(&self.file, format!("{head}policies:{policies}\n")).unwrap();
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
- selector: {path: /slow}
  upstream: {readTimeout: 10s}
- selector: {host: web}
  upstream: {protocl: https}",
    );
    let told = "policies[1].upstream.protocl: unknown field `protocl`";
    let agent = site.agent("node-1");
    agent.wait_for_log(told, Duration::from_secs(10)).unwrap();
    becomes("web".to_owned(), "a slow answer", || {
        site.answers("web", "/slow?delay=200")
    });
    tunnel.send("still there");
    assert_eq!(tunnel.exactly(11), b"still there");
    assert_eq!(kept.get("web", "/"), "web");
}
