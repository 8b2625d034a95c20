//! `fairway check` lists what objects ask for and do not get.

use fairway_testkit::objects::{ingress, service};
use fairway_testkit::{Lab, lab};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(lists_what_is_not_served);

fn check(cluster: &Cluster) -> (Vec<Value>, Option<i32>) {
    let source = cluster.source_flags();
    let flags = source.iter().map(String::as_str);
    let arguments: Vec<_> = ["check", "--output", "json"]
        .into_iter()
        .chain(flags)
        .collect();
    let output = cluster.fairway("node-1", &arguments);
    let problems = serde_json::from_slice(&output.stdout);
    (
        problems.unwrap_or_else(|error| panic!("{error}: {output:?}")),
        output.status.code(),
    )
}

fn lists_what_is_not_served(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1));
    let class = fairway_testkit::objects::ingress_class("fairway", "fairway.dev/ingress");
    cluster.apply("class", [class]);
    let web = |name: &str, host: &str| {
        ingress(name)
            .class("fairway")
            .prefix(host, "/", "web", 80)
            .build()
    };
    cluster.apply(
        "good",
        [
            cluster.service("web", 10).tcp("http", 80).build(),
            web("a", "a.example.com"),
        ],
    );
    // That no pod is ready is nothing that check is about.
    assert_eq!(check(&cluster), (vec![], Some(0)));

    // What an Ingress of ingress-nginx asks for goes with it, and is told first.
    let moved = ingress("moved").class("fairway").set(
        "/metadata",
        "annotations",
        json!({"nginx.ingress.kubernetes.io/rewrite-target": "/", "cert-manager.io/issuer": "x"}),
    );
    cluster.apply("moved", [moved.prefix("c.example.com", "/", "web", 80)]);
    let (problems, code) = check(&cluster);
    assert_eq!(code, Some(1));
    let [problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert_eq!(problem["object"], "Ingress default/moved");
    assert_eq!(problem["reason"], "AnnotationIgnored");
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.starts_with("nginx.ingress.kubernetes.io/rewrite-target: not read"),
        "{message}"
    );
    cluster.delete("moved");

    let lost = ingress("lost")
        .class("fairway")
        .prefix("b.example.com", "/", "gone", 80);
    let same = cluster.service("zzz", 10).tcp("http", 80);
    cluster.apply(
        "bad",
        [lost.build(), same.build(), web("b", "a.example.com")],
    );
    let (problems, code) = check(&cluster);
    assert_eq!(code, Some(1));
    let told: Vec<_> = problems
        .iter()
        .map(|problem| json!([problem["object"], problem["reason"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["Ingress default/b", "PathConflict"]),
            json!(["Ingress default/lost", "BackendNotFound"]),
            json!(["Service default/zzz", "AddressConflict"]),
            json!(["Service default/zzz", "AddressConflict"]),
        ],
        "{problems:?}"
    );
}

#[test]
fn names_each_problem_on_a_line() {
    lab::test(|| {
        let cluster = Cluster::new(Feed::Manifests, Lab::builder().nodes(1));
        let bad = service("bad").set("/spec", "externalTrafficPolicy", "Sometimes");
        cluster.apply("bad", [bad.tcp("http", 80)]);
        let [flag, directory] = cluster.source_flags();
        let output = cluster.fairway("node-1", &["check", &flag, &directory]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("Service default/bad spec.externalTrafficPolicy: "),
            "{text}"
        );
        assert!(text.ends_with("\n1 problem\n"), "{text}");
        assert!(
            output.stderr.is_empty(),
            "{:?}",
            String::from_utf8(output.stderr)
        );
    });
}
