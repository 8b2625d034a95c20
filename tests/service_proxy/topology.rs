//! Hints of EndpointSlices: who is preferred by the node and by its zone, and when that does not count.

use fairway_testkit::Family;
use fairway_testkit::ask;
use fairway_testkit::lab::Pod;
use fairway_testkit::objects::{self, EndpointSlice, Object};
use serde_json::Value;

use super::every_address::{
    NODE_PORT, VIP_PORT, cluster, named, outside_addresses, pods, slices, vip, web,
};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    hints_follow_the_nodes_zone,
    the_node_comes_before_its_zone,
    local_policies_and_the_last_resort_take_no_notice,
);

type Slice = Object<EndpointSlice>;

/// The first node's zone.
fn place(cluster: &Cluster, zone: Option<&str>) {
    let mut nodes: Vec<Value> = cluster.lab().nodes().iter().map(objects::node).collect();
    if let Some(zone) = zone {
        nodes[0]["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone.into();
    }
    cluster.apply("nodes", nodes);
}

/// What is said of each pod's endpoint.
fn endpoints(cluster: &Cluster, hints: &[(&str, &dyn Fn(Slice) -> Slice)]) {
    let there: Vec<_> = hints
        .iter()
        .map(|(name, _)| cluster.lab().pod(name))
        .collect();
    let there: Vec<&Pod> = there.iter().map(|pod| &**pod).collect();
    let change = |slice: Slice, pod: &Pod| {
        let of_pod = hints.iter().find(|(name, _)| *name == pod.name());
        of_pod.unwrap().1(slice)
    };
    cluster.apply("endpoints", slices(&there, change));
}

fn zone(zone: &'static str) -> impl Fn(Slice) -> Slice {
    move |slice| slice.hint("forZones", zone)
}

fn node(node: &'static str) -> impl Fn(Slice) -> Slice {
    move |slice| slice.hint("forNodes", node)
}

fn both(near: &'static str, around: &'static str) -> impl Fn(Slice) -> Slice {
    move |slice| slice.hint("forNodes", near).hint("forZones", around)
}

/// Waits until a pod of the first node reaches just these by the ClusterIP.
fn used(cluster: &Cluster, expected: &[&str]) {
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        becomes(named(expected), "the endpoints", || {
            pods(cluster.lab().pod("pod-1-2").ns(), at)
        });
    }
}

fn hints_follow_the_nodes_zone(feed: Feed) {
    let cluster = cluster(feed);
    place(&cluster, Some("a"));
    cluster.apply("web", [web(&cluster)]);
    endpoints(
        &cluster,
        &[("pod-1-1", &zone("a")), ("pod-2-1", &zone("b"))],
    );
    cluster.start();
    let everybody = ["pod-1-1", "pod-2-1"];
    let cases: [(Option<&str>, &[&str]); 4] = [
        (Some("a"), &["pod-1-1"]),
        (Some("b"), &["pod-2-1"]),
        (Some("c"), &everybody),
        (None, &everybody),
    ];
    for (zone, expected) in cases {
        place(&cluster, zone);
        used(&cluster, expected);
    }
    // One that has none makes the others' void.
    place(&cluster, Some("a"));
    used(&cluster, &["pod-1-1"]);
    endpoints(
        &cluster,
        &[("pod-1-1", &zone("a")), ("pod-2-1", &|slice| slice)],
    );
    used(&cluster, &everybody);
}

fn the_node_comes_before_its_zone(feed: Feed) {
    let cluster = cluster(feed);
    place(&cluster, Some("a"));
    cluster.apply("web", [web(&cluster)]);
    endpoints(
        &cluster,
        &[
            ("pod-1-1", &both("node-1", "b")),
            ("pod-2-1", &both("node-2", "a")),
        ],
    );
    cluster.start();
    used(&cluster, &["pod-1-1"]);
    // `trafficDistribution: PreferSameNode` while the pod of this node is not ready: it falls back
    // to the zone, and to everybody where nothing is hinted for us.
    endpoints(
        &cluster,
        &[
            ("pod-1-1", &|slice| node("node-1")(slice.not_ready())),
            ("pod-2-1", &both("node-2", "b")),
            ("pod-2-2", &both("node-2", "a")),
        ],
    );
    used(&cluster, &["pod-2-2"]);
    endpoints(
        &cluster,
        &[
            ("pod-1-1", &|slice| node("node-1")(slice.not_ready())),
            ("pod-2-1", &node("node-2")),
            ("pod-2-2", &node("node-2")),
        ],
    );
    used(&cluster, &["pod-2-1", "pod-2-2"]);
    endpoints(
        &cluster,
        &[("pod-1-1", &node("node-1")), ("pod-2-1", &node("node-2"))],
    );
    used(&cluster, &["pod-1-1"]);
}

fn local_policies_and_the_last_resort_take_no_notice(feed: Feed) {
    let cluster = cluster(feed);
    place(&cluster, Some("a"));
    let service = web(&cluster).internal_traffic_local();
    cluster.apply("web", [service.external_traffic_local()]);
    // Both are here, and one is meant for others.
    endpoints(
        &cluster,
        &[("pod-1-1", &zone("a")), ("pod-1-2", &zone("b"))],
    );
    cluster.start();
    let lab = cluster.lab();
    let here = named(&["pod-1-1", "pod-1-2"]);
    used(&cluster, &["pod-1-1", "pod-1-2"]);
    for family in Family::BOTH {
        for at in outside_addresses(lab.node("node-1"), family) {
            assert_eq!(pods(lab.client().ns(), at), here, "{at}");
        }
    }

    // Nobody is ready: what still serves is used, wherever it is meant to be.
    cluster.apply("web", [web(&cluster)]);
    endpoints(
        &cluster,
        &[
            ("pod-1-1", &|slice| zone("b")(slice.terminating(true))),
            ("pod-2-1", &|slice| zone("a")(slice.terminating(true))),
        ],
    );
    used(&cluster, &["pod-1-1", "pod-2-1"]);
    for family in Family::BOTH {
        let node_port = (lab.node("node-1").ip(family), NODE_PORT);
        for at in [node_port, (vip(family), VIP_PORT)] {
            let seen = pods(lab.client().ns(), at.into());
            assert_eq!(seen, named(&["pod-1-1", "pod-2-1"]), "{at:?}");
        }
    }
    // Nor is there anybody when nothing serves.
    endpoints(
        &cluster,
        &[("pod-1-1", &|slice| zone("a")(slice.terminating(false)))],
    );
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        becomes(true, "refused", || {
            ask::tcp(lab.pod("pod-1-2").ns(), at).is_err()
        });
    }
}
