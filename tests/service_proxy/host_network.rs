//! Pods in the host network, and clients that are told from pods in no way.

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::lab::Node;
use fairway_testkit::objects::{EndpointSlice, Object, endpoint_slice};
use fairway_testkit::{Echo, Family, Lab};

use super::bystanders::host_servers;
use super::every_address::{
    SILENCE, VIP_PORT, answers, assert_silent, cluster, endpoints, named, outside_addresses, pods,
    web,
};
use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(
    internal_policy_local_finds_pods_of_the_host_network,
    without_a_cluster_cidr_pods_are_outsiders,
    an_external_policy_without_external_addresses_means_nothing,
);

/// A port of the nodes themselves.
const HOST_PORT: u16 = 9100;

fn internal_policy_local_finds_pods_of_the_host_network(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(3).pods_per_node(1));
    let lab = cluster.lab();
    let service = cluster.service("exporter", 10);
    let service = service
        .tcp("tcp", 80)
        .udp("udp", 80)
        .internal_traffic_local();
    // One on each of the first two nodes, at the node's own address.
    let nodes = &lab.nodes()[..2];
    let _servers: Vec<Echo> = nodes
        .iter()
        .map(|node| host_servers(node, &[HOST_PORT]))
        .collect();
    let slices = Family::BOTH.map(|family| {
        let slice = endpoint_slice("exporter", family);
        let slice = slice.tcp("tcp", HOST_PORT).udp("udp", HOST_PORT);
        let add = |slice: Object<EndpointSlice>, node: &Node| {
            slice.endpoint(node.ip(family), Some(node.name()))
        };
        nodes.iter().fold(slice, add).build()
    });
    cluster.apply("exporter", slices.into_iter().chain([service.build()]));
    cluster.start();
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        for (node, pod) in nodes.iter().zip(["pod-1-1", "pod-2-1"]) {
            for client in [node.ns(), lab.pod(pod).ns()] {
                for ask in TCP_AND_UDP {
                    for _ in 0..10 {
                        let reply = ask(client, at).unwrap();
                        assert_eq!(reply.own, (node.ip(family), HOST_PORT).into());
                    }
                }
            }
            let reply = ask::tcp(lab.pod(pod).ns(), at).unwrap();
            assert_eq!(reply.peer.ip(), lab.pod(pod).ip(family));
        }
        // The third node has none.
        assert_silent(lab.node("node-3").ns(), at);
        assert_silent(lab.pod("pod-3-1").ns(), at);
    }
}

fn without_a_cluster_cidr_pods_are_outsiders(feed: Feed) {
    let cluster = cluster(feed).with_flags(&[]);
    cluster.apply("web", [web(&cluster).external_traffic_local()]);
    endpoints(&cluster, &["pod-1-1", "pod-2-1"]);
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let pod = lab.pod("pod-1-2");
    for family in Family::BOTH {
        for at in outside_addresses(node, family) {
            let local = [("pod-1-1".to_owned(), pod.ip(family))];
            assert_eq!(answers(pod.ns(), at), local.into(), "{at}");
            // The node knows itself.
            assert_eq!(pods(node.ns(), at), named(&["pod-1-1", "pod-2-1"]), "{at}");
        }
    }
    endpoints(&cluster, &["pod-2-1"]);
    for family in Family::BOTH {
        for at in outside_addresses(node, family) {
            becomes(Err(Failure::TimedOut), "the answer to a pod", || {
                who(ask::tcp_within(pod.ns(), at, SILENCE))
            });
            assert_eq!(ask::tcp(node.ns(), at).unwrap().pod, "pod-2-1");
        }
    }
}

fn an_external_policy_without_external_addresses_means_nothing(feed: Feed) {
    let cluster = cluster(feed);
    let service = cluster.service("web", 10).tcp("", VIP_PORT);
    cluster.apply("web", [service.external_traffic_local()]);
    endpoints(&cluster, &["pod-2-1", "pod-2-2"]);
    cluster.route_cluster_ips("node-1");
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        let pod = lab.pod("pod-1-1");
        let by_pods = |source| ["pod-2-1", "pod-2-2"].map(|name| (name.to_owned(), source));
        assert_eq!(answers(pod.ns(), at), by_pods(pod.ip(family)).into());
        for client in [node.ns(), lab.client().ns()] {
            assert_eq!(answers(client, at), by_pods(node.ip(family)).into());
        }
    }
}
