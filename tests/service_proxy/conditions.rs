//! Which endpoints are used.

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::{EndpointSlice, Object, endpoint_slice};
use fairway_testkit::{Churn, Echo, Family, Lab};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    conditions_decide_who_is_used,
    slices_that_add_nothing_are_left_aside,
);

type Slice = Object<EndpointSlice>;

fn conditions_decide_who_is_used(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    let lab = cluster.lab();
    cluster.apply("service", [cluster.service("web", 10).tcp("", 80)]);
    cluster.start();
    let [a, b, c] = ["pod-1-1", "pod-1-2", "pod-2-1"].map(|name| lab.pod(name));
    let check = |expected: &[&str], fill: &dyn Fn(Slice) -> Slice| {
        let slices = Family::BOTH.map(|family| fill(endpoint_slice("web", family)).tcp("", 9000));
        cluster.apply("slices", slices);
        used(&cluster, expected);
    };

    // The API's defaults: ready, and not terminating.
    check(&["pod-1-1"], &|slice| {
        slice.pod(&a).set("/endpoints/0", "conditions", json!({}))
    });
    check(&["pod-1-1"], &|slice| {
        slice.pod(&a).set("/endpoints/0", "conditions", Value::Null)
    });
    check(&["pod-1-2"], &|slice| slice.pod(&a).not_ready().pod(&b));
    // Nobody is better than one who does not answer.
    check(&[], &|slice| slice.pod(&a).not_ready());
    check(&[], &|slice| slice.pod(&a).terminating(false));
    // Who is being deleted serves on only when nobody else does.
    check(&["pod-2-1"], &|slice| {
        slice.pod(&a).terminating(true).pod(&b).not_ready().pod(&c)
    });
    check(&["pod-1-1", "pod-2-1"], &|slice| {
        let slice = slice.pod(&a).terminating(true).pod(&b).terminating(false);
        slice.pod(&c).terminating(true)
    });
    // publishNotReadyAddresses: ready as long as it exists.
    check(&["pod-1-1", "pod-1-2"], &|slice| {
        let ready = json!({"ready": true, "serving": false, "terminating": true});
        slice
            .pod(&a)
            .set("/endpoints/0", "conditions", ready)
            .pod(&b)
    });
}

fn slices_that_add_nothing_are_left_aside(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    let lab = cluster.lab();
    cluster.apply("service", [cluster.service("web", 10).tcp("", 80)]);
    let [a, b, c] = ["pod-1-1", "pod-1-2", "pod-2-1"].map(|name| lab.pod(name));
    let slices = Family::BOTH.map(|family| {
        let slice =
            |name: &str| endpoint_slice("web", family).named(&format!("{name}-{}", family.nft()));
        let stranger = |slice: Slice| slice.tcp("", Echo::LINES).pod(&c);
        [
            slice("first").tcp("", Echo::LINES).pod(&a).pod(&b),
            // The same endpoint twice, the second time on its way out.
            slice("second")
                .tcp("", Echo::LINES)
                .pod(&a)
                .terminating(true),
            // No port that a Service could have.
            slice("numberless")
                .set("", "ports", json!([{"name": ""}]))
                .pod(&c),
            slice("zero")
                .set("", "ports", json!([{"name": "", "port": 0}]))
                .pod(&c),
            slice("misnamed").tcp("http", Echo::LINES).pod(&c),
            slice("udp").udp("", Echo::LINES).pod(&c),
            stranger(slice("orphan")).set("/metadata", "labels", json!({})),
            stranger(slice("namesake")).namespace("elsewhere"),
            stranger(slice("headless")).label("service.kubernetes.io/headless", ""),
            slice("names")
                .tcp("", Echo::LINES)
                .set("", "addressType", "FQDN")
                .set("", "endpoints", json!([{"addresses": ["pod-2-1.example"]}])),
            slice("nobody")
                .tcp("", Echo::LINES)
                .set("", "endpoints", json!([{"addresses": []}])),
        ]
    });
    // Manifests get the API's defaults, and with them a name.
    let unnamed = Family::BOTH.map(|family| {
        let slice = endpoint_slice("web", family).named(&format!("unnamed-{}", family.nft()));
        slice
            .set("", "ports", json!([{"port": Echo::LINES}]))
            .pod(&c)
    });
    let unnamed = unnamed.into_iter().filter(|_| feed == Feed::Api);
    cluster.apply("slices", slices.into_iter().flatten().chain(unnamed));
    cluster.start();
    for family in Family::BOTH {
        let server = [cluster.cluster_ip(family, 10, 80)];
        let report = Churn::tcp(server).conversations(400).run(c.ns()).unwrap();
        assert_eq!(report.failed(), 0, "{report}");
        let pods: Vec<_> = report.by_pod.keys().collect();
        assert_eq!(pods, ["pod-1-1", "pod-1-2"], "{report}");
        // Five sigma: who counted twice would get 267 of 400.
        let shares = report.by_pod.values();
        assert!(
            shares.clone().all(|share| share.abs_diff(200) <= 50),
            "{report}"
        );
    }
}

/// Waits until just these pods are used, and watches a while that it stays so.
fn used(cluster: &Cluster, expected: &[&str]) {
    let client = cluster.lab().pod("pod-2-2");
    for family in Family::BOTH {
        let server = cluster.cluster_ip(family, 10, 80);
        if expected.is_empty() {
            becomes(Err(Failure::Refused), "answer", || {
                who(ask::tcp(client.ns(), server))
            });
            continue;
        }
        // The chance that one of two is missed in 40 is 2 in 10^12.
        let expected = expected.iter().map(ToString::to_string);
        becomes(Ok(expected.collect::<Vec<_>>()), "used pods", || {
            let report = Churn::tcp([server])
                .conversations(40)
                .run(client.ns())
                .unwrap();
            match report.failed() {
                0 => Ok(report.by_pod.into_keys().collect()),
                _ => Err(report.to_string()),
            }
        });
    }
}
