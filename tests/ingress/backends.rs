//! From a backend to the pods behind it.

use std::collections::BTreeSet;

use fairway_testkit::objects::{self, ingress};
use fairway_testkit::{Agent, Family, Lab};
use serde_json::json;

use super::site::{Site, app, outcome};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    what_is_missing_is_503_until_it_is_there,
    a_service_of_the_configuration_answers_for_all,
    ports_by_name_and_number,
    endpoints_that_answer_no_more
);

fn site(feed: Feed, pods: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1);
    Site::start(
        feed,
        pods.iter().fold(lab, |lab, pod| lab.pod(pod, "node-1")),
    )
}

fn what_is_missing_is_503_until_it_is_there(feed: Feed) {
    let site = site(feed, &["web"]);
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    let bucket = json!({"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "b"}});
    site.apply("web", [web.path("Prefix", "web", "/bucket", bucket)]);
    site.becomes("web", "/", "503");
    assert_eq!(site.get("web", "/").header("retry-after"), Some("1"));
    assert_eq!(site.answers("web", "/bucket"), "404");
    let said =
        "spec.rules[0].http.paths[0].backend.service.name: Service \"default/web\" does not exist";
    let unsupported = "backend.resource: backends of kind \"Bucket\" are not supported";
    let agent = site.agent("node-1");
    for text in [said, unsupported] {
        agent.wait_for_log(text, Agent::PATIENCE).unwrap();
    }
    let log = agent.stderr();
    assert_eq!(
        [said, unsupported].map(|said| log.matches(said).count()),
        [1, 1]
    );

    // First without endpoints, then with some; the Ingress is not touched.
    let objects = app("web", &site.pods(&["web"]));
    let (service, slices) = objects.split_at(1);
    site.apply("service", service.to_vec());
    site.becomes("web", "/", "503");
    site.apply("slices", slices.to_vec());
    site.becomes("web", "/", "web");
    assert_eq!(site.answers("web", "/bucket"), "404");
    site.delete("slices");
    site.becomes("web", "/", "503");
    site.apply("slices", slices.to_vec());
    site.becomes("web", "/", "web");
    site.delete("service");
    site.becomes("web", "/", "503");
}

fn a_service_of_the_configuration_answers_for_all(feed: Feed) {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let cluster = Cluster::new(feed, lab.pod("last", "node-1"));
    let site = Site::new(cluster.with_flags(&["--default-backend-service", "default/last"]));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("ingress", [web.prefix("web", "/web", "web", 80)]);
    Cluster::start(&site);
    site.becomes("web", "/web", "web");
    assert_eq!(site.answers("web", "/"), "503");
    let said = "--default-backend-service: Service \"default/last\" does not exist";
    let agent = site.agent("node-1");
    agent.wait_for_log(said, Agent::PATIENCE).unwrap();

    let app = app("last", &site.pods(&["last"]));
    site.apply("last", app.clone());
    site.becomes("web", "/", "last");
    assert_eq!(site.answers("unknown", "/x"), "last");
    assert_eq!(site.answers("web", "/web"), "web");
    // That of an Ingress comes first.
    let own = ingress("own").class("fairway").default_backend("web", 80);
    site.apply("own", [own]);
    site.becomes("unknown", "/x", "web");
    assert_eq!(site.answers("web", "/"), "last");
    site.delete("own");
    site.becomes("unknown", "/x", "last");
    site.delete("last");
    site.becomes("unknown", "/x", "503");
}

fn ports_by_name_and_number(feed: Feed) {
    let site = site(feed, &["a", "b"]);
    let [a, b] = ["a", "b"].map(|name| site.lab().pod(name));
    b.echo().serve_http(8081).unwrap();
    // The pods of a Deployment under way to another port: a slice for each number.
    let slice = |pod, number| {
        let slice = objects::endpoint_slice("web", Family::V4).tcp("http", number);
        slice.named(&format!("web-{number}")).pod(pod)
    };
    let service = objects::service("web")
        .headless()
        .tcp("http", 80)
        .tcp("admin", 90);
    site.apply("slices", [slice(&a, 8080), slice(&b, 8081)]);
    site.apply("service", [service]);
    let web = ingress("web").class("fairway");
    let web = web
        .prefix("name", "/", "web", "http")
        .prefix("number", "/", "web", 80);
    // Numbers are the Service's, never the pods'.
    let web = web
        .prefix("number", "/pods", "web", 8080)
        .prefix("name", "/nowhere", "web", "https");
    site.apply("web", [web]);
    let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    for host in ["name", "number"] {
        becomes(both.clone(), host, || {
            (0..4).map(|_| site.answers(host, "/")).collect()
        });
    }
    assert_eq!(site.answers("number", "/pods"), "503");
    assert_eq!(site.answers("name", "/nowhere"), "503");
}

fn endpoints_that_answer_no_more(feed: Feed) {
    let site = site(feed, &["a", "b", "gone"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    let [a, b, gone] = ["a", "b", "gone"].map(|name| site.lab().pod(name));
    site.apply("app", app("web", &site.pods(&["a", "b"])));
    let seen = || -> BTreeSet<_> { (0..8).map(|_| site.answers("web", "/")).collect() };
    let names = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    becomes(names(&["a", "b"]), "both serve", seen);

    // Nothing listens at one of them: no request is lost to it.
    assert!(gone.echo().drain(std::time::Duration::from_secs(5)));
    site.apply("app", app("web", &site.pods(&["b", "gone"])));
    becomes(names(&["b"]), "the change is in use", seen);
    for _ in 0..100 {
        let response = site.get("web", "/");
        assert_eq!(response.status, 200, "{}", outcome(&response));
    }

    // Ready ones first; when there are none, those that terminate but serve still.
    let service = || objects::service("web").headless().tcp("http", 80);
    let slice = || objects::endpoint_slice("web", Family::V4).tcp("http", 8080);
    site.apply(
        "app",
        [
            service().build(),
            slice().pod(&a).terminating(true).pod(&b).build(),
        ],
    );
    becomes(names(&["b"]), "the ready one serves", seen);
    let last = slice().pod(&a).terminating(true).pod(&b).not_ready();
    site.apply("app", [service().build(), last.build()]);
    becomes(names(&["a"]), "the terminating one serves", seen);
    let none = slice().pod(&a).terminating(false).pod(&b).not_ready();
    site.apply("app", [service().build(), none.build()]);
    becomes(names(&["503"]), "nobody serves", seen);
}
