//! ClusterIPs, and whom their endpoints see: from pods, from nodes and from outside.

use std::net::IpAddr;

use fairway_model::Protocol;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::{self, endpoint_slice, endpoint_slices};
use fairway_testkit::{Agent, Echo, Family, Lab, ask, nft};
use serde_json::json;

use crate::support::{Ask, Cluster, Feed, TCP_AND_UDP, fed_both_ways};

fed_both_ways!(
    pods_keep_their_address_and_others_are_masqueraded,
    masquerade_all_includes_pods,
    without_a_cluster_cidr_nobody_is_masqueraded,
    a_single_stack_service_exists_in_its_family_only,
    addresses_may_be_written_carelessly,
);

/// Services whose endpoint is on the first and on the second node.
const NEAR: u8 = 10;
const FAR: u8 = 11;

fn pods_keep_their_address_and_others_are_masqueraded(feed: Feed) {
    let cluster = two_services(feed, None);
    let lab = cluster.lab();
    let (pod, node) = (lab.pod("pod-1-1"), lab.node("node-1"));
    let [near, far] = ["pod-1-2", "pod-2-1"].map(|name| lab.pod(name));
    each(|family, ask| {
        let seen = |client: &Namespace, number| source(&cluster, client, family, ask, number);
        assert_eq!(seen(pod.ns(), NEAR), pod.ip(family));
        assert_eq!(seen(pod.ns(), FAR), pod.ip(family));
        for client in [node.ns(), lab.client().ns()] {
            let by_node = |pod| cluster.masqueraded(node, pod, family);
            assert_eq!(seen(client, NEAR), by_node(&near));
            assert_eq!(seen(client, FAR), by_node(&far));
        }
    });
}

fn masquerade_all_includes_pods(feed: Feed) {
    let cluster = two_services(feed, Some(&["--masquerade-all"]));
    let lab = cluster.lab();
    let (pod, node) = (lab.pod("pod-1-1"), lab.node("node-1"));
    each(|family, ask| {
        for (number, endpoint) in [(NEAR, "pod-1-2"), (FAR, "pod-2-1")] {
            let expected = cluster.masqueraded(node, &lab.pod(endpoint), family);
            for client in [pod.ns(), node.ns(), lab.client().ns()] {
                assert_eq!(source(&cluster, client, family, ask, number), expected);
            }
        }
    });
}

fn without_a_cluster_cidr_nobody_is_masqueraded(feed: Feed) {
    let cluster = two_services(feed, Some(&[]));
    let lab = cluster.lab();
    let (pod, node) = (lab.pod("pod-1-1"), lab.node("node-1"));
    each(|family, ask| {
        // Only the near pod's replies come by way of the node again.
        let seen = |client: &Namespace| source(&cluster, client, family, ask, NEAR);
        assert_eq!(seen(pod.ns()), pod.ip(family));
        assert_eq!(seen(node.ns()), node.ip(family));
        assert_eq!(seen(lab.client().ns()), lab.client().ip(family));
    });
    cluster
        .agent("node-1")
        .wait_for_log("no --cluster-cidr", Agent::PATIENCE)
        .unwrap();
}

fn a_single_stack_service_exists_in_its_family_only(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let pods = cluster.lab().pods();
    for (family, number) in [(Family::V4, 10), (Family::V6, 11)] {
        let name = format!("only-{}", family.nft());
        let address = cluster.lab().cluster_ip(family, number);
        let service = objects::service(&name).cluster_ip(address);
        let service = service.tcp("", 80).build();
        // Slices of the other family are none of its business.
        let slices = endpoint_slices(&name, &[("", Protocol::Tcp, Echo::LINES)], &pods);
        cluster.apply(&name, slices.into_iter().chain([service]));
    }
    cluster.start();
    let client = pods[0].ns();
    for (family, number) in [(Family::V4, 10), (Family::V6, 11)] {
        let reply = ask::tcp(client, cluster.cluster_ip(family, number, 80));
        assert_eq!(reply.unwrap().own.ip(), pods[0].ip(family));
        let (near, other) = match family {
            Family::V4 => ("ip", "ip6"),
            Family::V6 => ("ip6", "ip"),
        };
        let ns = cluster.lab().node("node-1").ns();
        let list = |family| nft::nft(ns, &["list", "table", family, "fairway"]);
        let address = cluster.lab().cluster_ip(family, number).to_string();
        assert!(list(near).unwrap().contains(&address));
        let endpoint = pods[0].ip(family).to_string();
        assert!(!list(other).unwrap().contains(&endpoint));
    }
}

fn addresses_may_be_written_carelessly(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let pod = cluster.lab().pod("pod-1-1");
    // As old clusters have them in their etcd.
    let service = objects::service("web").tcp("", 80).set(
        "/spec",
        "clusterIPs",
        json!(["10.096.000.010", "FD00:0010:0096:0::0:0010"]),
    );
    let endpoints = [
        (Family::V4, "010.244.001.002"),
        (Family::V6, "FD00:10:244:01:0::2"),
    ];
    let slices = endpoints.map(|(family, address)| {
        let slice = endpoint_slice("web", family).tcp("", Echo::LINES);
        slice
            .set("", "endpoints", json!([{"addresses": [address]}]))
            .build()
    });
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    for family in Family::BOTH {
        let reply = ask::tcp(pod.ns(), cluster.cluster_ip(family, 10, 80));
        assert_eq!(reply.unwrap().own.ip(), pod.ip(family));
    }
}

/// Near and far endpoints, TCP and UDP; ClusterIPs are routed to the first node.
fn two_services(feed: Feed, flags: Option<&[&str]>) -> Cluster {
    let mut cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    if let Some(flags) = flags {
        cluster = cluster.with_flags(flags);
    }
    for (name, number, pod) in [("near", NEAR, "pod-1-2"), ("far", FAR, "pod-2-1")] {
        let service = cluster.service(name, number).tcp("tcp", 80).udp("udp", 80);
        let ports = [
            ("tcp", Protocol::Tcp, Echo::LINES),
            ("udp", Protocol::Udp, Echo::LINES),
        ];
        let slices = endpoint_slices(name, &ports, &[cluster.lab().pod(pod)]);
        cluster.apply(name, slices.into_iter().chain([service.build()]));
    }
    cluster.route_cluster_ips("node-1");
    cluster.start();
    cluster
}

fn each(mut check: impl FnMut(Family, Ask)) {
    for family in Family::BOTH {
        for ask in TCP_AND_UDP {
            check(family, ask);
        }
    }
}

/// Whom the endpoint of a Service sees.
fn source(cluster: &Cluster, client: &Namespace, family: Family, ask: Ask, number: u8) -> IpAddr {
    let reply = ask(client, cluster.cluster_ip(family, number, 80)).unwrap();
    let expected = match number {
        NEAR => "pod-1-2",
        _ => "pod-2-1",
    };
    assert_eq!(reply.pod, expected);
    assert_eq!(reply.own.port(), Echo::LINES);
    reply.peer.ip()
}
