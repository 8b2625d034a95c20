//! A pod that reaches itself by way of its Service.

use std::net::SocketAddr;

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab};

use crate::support::{Cluster, Feed, TCP_AND_UDP, fed_both_ways};

fed_both_ways!(
    the_only_endpoint_reaches_itself,
    one_of_two_endpoints_never_hangs,
);

fn the_only_endpoint_reaches_itself(feed: Feed) {
    let cluster = serve(feed, &["pod-1-1"]);
    let lab = cluster.lab();
    let pod = lab.pod("pod-1-1");
    for family in Family::BOTH {
        for ask in TCP_AND_UDP {
            let by_cluster_ip = ask(pod.ns(), cluster.cluster_ip(family, 10, 80)).unwrap();
            let gateway = lab.node("node-1").pod_gateway(family);
            assert_eq!(by_cluster_ip.peer.ip(), gateway);
            for node in lab.nodes() {
                let by_node_port = ask(pod.ns(), (node.ip(family), 30080).into()).unwrap();
                let expected = cluster.masqueraded(node, &pod, family);
                assert_eq!(by_node_port.peer.ip(), expected);
            }
        }
    }
}

fn one_of_two_endpoints_never_hangs(feed: Feed) {
    let cluster = serve(feed, &["pod-1-1", "pod-1-2"]);
    let lab = cluster.lab();
    let pod = lab.pod("pod-1-1");
    let servers = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let nodes = lab.nodes().iter();
    let node_ports =
        nodes.flat_map(|node| Family::BOTH.map(|family| SocketAddr::new(node.ip(family), 30080)));
    let servers: Vec<_> = servers.into_iter().chain(node_ports).collect();
    for churn in [Churn::tcp(servers.clone()), Churn::udp(servers)] {
        let report = churn.conversations(600).run(pod.ns()).unwrap();
        assert_eq!(report.failed(), 0, "{report}");
        assert_eq!(report.by_pod.len(), 2, "{report}");
    }
    // What does not come back to itself keeps its address.
    for family in Family::BOTH {
        let replies = (0..40).map(|_| {
            let server = cluster.cluster_ip(family, 10, 80);
            fairway_testkit::ask::tcp(pod.ns(), server).unwrap()
        });
        for reply in replies {
            let expected = match reply.pod == pod.name() {
                true => lab.node("node-1").pod_gateway(family),
                false => pod.ip(family),
            };
            assert_eq!(reply.peer.ip(), expected, "{reply:?}");
        }
    }
}

fn serve(feed: Feed, pods: &[&str]) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080);
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let pods: Vec<_> = pods.iter().map(|name| cluster.lab().pod(name)).collect();
    let slices = endpoint_slices("web", &ports, &pods);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    cluster
}
