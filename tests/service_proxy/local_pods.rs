//! Who counts as a pod of this node: the other three of kube-proxy's four ways to tell.

use std::net::IpAddr;

use fairway_model::Protocol;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::{self, endpoint_slices};
use fairway_testkit::{Agent, Echo, Family, Lab, ask};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    a_bridge_tells_pods_by_where_they_come_in,
    a_prefix_tells_pods_by_where_they_come_in,
    node_cidrs_are_waited_for_and_followed,
);

/// Two pods on the first node, the endpoint on the second.
fn cluster(feed: Feed, flags: &[&str]) -> Cluster {
    let lab = Lab::builder().nodes(2).pod("pod-1-1", "node-1");
    let lab = lab.pod("pod-1-2", "node-1").pod("pod-2-1", "node-2");
    let cluster = Cluster::new(feed, lab).with_flags(flags);
    let service = cluster.service("web", 10).tcp("", 80);
    let endpoint = [cluster.lab().pod("pod-2-1")];
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &endpoint);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.route_cluster_ips("node-1");
    cluster
}

/// Whom the endpoint sees, in both families; none if it is not reached.
fn seen(cluster: &Cluster, client: &Namespace) -> [Option<IpAddr>; 2] {
    Family::BOTH.map(|family| {
        let reply = ask::tcp(client, cluster.cluster_ip(family, 10, 80));
        reply.ok().map(|reply| reply.peer.ip())
    })
}

fn is_a_pod(cluster: &Cluster, name: &str) {
    let pod = cluster.lab().pod(name);
    let own = Family::BOTH.map(|family| Some(pod.ip(family)));
    assert_eq!(seen(cluster, pod.ns()), own, "{name}");
}

fn is_masqueraded(cluster: &Cluster, client: &Namespace) {
    let node = cluster.lab().node("node-1");
    let nodes = Family::BOTH.map(|family| Some(node.ip(family)));
    assert_eq!(seen(cluster, client), nodes, "{}", client.name());
}

fn a_bridge_tells_pods_by_where_they_come_in(feed: Feed) {
    // The node's end of the first pod's cable.
    let flags = [
        "--detect-local-mode=BridgeInterface",
        "--pod-bridge-interface=pod2",
    ];
    let cluster = cluster(feed, &flags);
    cluster.start();
    let lab = cluster.lab();
    is_a_pod(&cluster, "pod-1-1");
    is_masqueraded(&cluster, lab.pod("pod-1-2").ns());
    is_masqueraded(&cluster, lab.client().ns());
    is_masqueraded(&cluster, lab.node("node-1").ns());
}

fn a_prefix_tells_pods_by_where_they_come_in(feed: Feed) {
    let flags = [
        "--detect-local-mode=InterfaceNamePrefix",
        "--pod-interface-name-prefix=po",
    ];
    let cluster = cluster(feed, &flags);
    cluster.start();
    let lab = cluster.lab();
    is_a_pod(&cluster, "pod-1-1");
    is_a_pod(&cluster, "pod-1-2");
    is_masqueraded(&cluster, lab.client().ns());
    is_masqueraded(&cluster, lab.node("node-1").ns());
}

fn node_cidrs_are_waited_for_and_followed(feed: Feed) {
    let cluster = cluster(feed, &["--detect-local-mode=NodeCIDR"]);
    let lab = cluster.lab();
    let nodes = |cidrs: &[&str]| {
        let nodes = lab.nodes().iter().map(|node| {
            let mut object = objects::node(node);
            object["spec"] = match cidrs {
                [] => json!({}),
                [first, ..] => json!({"podCIDR": first, "podCIDRs": cidrs}),
            };
            object
        });
        cluster.apply("nodes", nodes.collect::<Vec<Value>>());
    };
    let pod = lab.pod("pod-1-1");
    let own = Family::BOTH.map(|family| Some(pod.ip(family)));
    let node = lab.node("node-1");
    let nodes_own = Family::BOTH.map(|family| Some(node.ip(family)));

    nodes(&[]);
    cluster.start();
    let agent = cluster.agent("node-1");
    agent
        .wait_for_log("waiting for the Node's spec.podCIDRs", Agent::PATIENCE)
        .unwrap();
    assert_eq!(seen(&cluster, pod.ns()), [None; 2]);
    assert!(!cluster.tables("node-1").contains("chain"));

    nodes(&["10.244.1.0/24", "fd00:10:244:1::/64"]);
    becomes(own, "the pod's address", || seen(&cluster, pod.ns()));
    is_masqueraded(&cluster, lab.client().ns());

    nodes(&["10.244.9.0/24", "fd00:10:244:9::/64"]);
    becomes(nodes_own, "the pod's address", || seen(&cluster, pod.ns()));
}
