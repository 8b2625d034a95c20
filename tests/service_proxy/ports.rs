//! Ports of ClusterIPs: each is a Service of its own, and those that are not there are refused.

use std::collections::BTreeSet;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::{endpoint_slice, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab};

use crate::support::{Cluster, Feed, fed_both_ways, who};

fed_both_ways!(
    each_port_leads_to_its_own_target,
    a_named_port_has_another_number_on_each_pod,
    ports_that_no_service_has_are_refused,
);

/// More ports of the echo servers.
const SECOND: u16 = 9001;
const THIRD: u16 = 9002;

fn each_port_leads_to_its_own_target(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let server = &cluster.lab().pod("pod-1-2");
    for port in [SECOND, THIRD] {
        server.echo().serve_lines(port).unwrap();
    }
    // TCP and UDP of the same number share nothing.
    let service = cluster.service("dns", 10);
    let service = service.tcp("dns-tcp", 53).udp("dns", 53).tcp("metrics", 54);
    let service = service.sctp("dns-sctp", 53);
    let targets = [
        ("dns-sctp", Protocol::Sctp, THIRD),
        ("dns-tcp", Protocol::Tcp, Echo::LINES),
        ("dns", Protocol::Udp, SECOND),
        ("metrics", Protocol::Tcp, THIRD),
    ];
    let slices = endpoint_slices("dns", &targets, std::slice::from_ref(server));
    cluster.apply("dns", slices.into_iter().chain([service.build()]));
    cluster.start();
    let client = cluster.lab().pod("pod-1-1");
    for family in Family::BOTH {
        let at = |port| cluster.cluster_ip(family, 10, port);
        let target = |reply: Result<ask::Reply, ask::AskError>| reply.unwrap().own.port();
        assert_eq!(target(ask::tcp(client.ns(), at(53))), Echo::LINES);
        assert_eq!(target(ask::udp(client.ns(), at(53))), SECOND);
        assert_eq!(target(ask::tcp(client.ns(), at(54))), THIRD);
        // A kernel may have no SCTP of its own; what is routed is translated all the same.
        let (address, pod) = (cluster.lab().cluster_ip(family, 10), server.ip(family));
        let element = format!("{address} . sctp . 53 : {pod} . {THIRD}");
        let tables = cluster.tables("node-1");
        assert!(tables.contains(&element), "{element} in {tables}");
    }
}

fn a_named_port_has_another_number_on_each_pod(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    lab.pod("pod-2-1").echo().serve_lines(SECOND).unwrap();
    let service = cluster
        .service("web", 10)
        .tcp("http", 80)
        .target_port("http");
    let slices = Family::BOTH.into_iter().flat_map(|family| {
        let slice = |name: &str, port, pod| {
            let slice = endpoint_slice("web", family).named(&format!("{name}-{}", family.nft()));
            slice.tcp("http", port).pod(&lab.pod(pod)).build()
        };
        [
            slice("old", Echo::LINES, "pod-1-1"),
            slice("new", SECOND, "pod-2-1"),
        ]
    });
    cluster.apply("web", slices.chain([service.build()]));
    cluster.start();
    for family in Family::BOTH {
        // One of two at each draw: both are missed with a probability of 2 in 2^40.
        let seen: BTreeSet<_> = (0..40)
            .map(|_| {
                let reply = ask::tcp(lab.pod("pod-1-1").ns(), cluster.cluster_ip(family, 10, 80));
                let reply = reply.unwrap();
                (reply.pod, reply.own.port())
            })
            .collect();
        let expected = [
            ("pod-1-1".to_owned(), Echo::LINES),
            ("pod-2-1".to_owned(), SECOND),
        ];
        assert_eq!(seen, expected.into());
    }
}

fn ports_that_no_service_has_are_refused(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let lab = cluster.lab();
    for (name, number, port, protocol) in [
        ("web", 10, 80, Protocol::Tcp),
        ("other", 11, 81, Protocol::Tcp),
        ("log", 12, 80, Protocol::Udp),
    ] {
        let service = cluster.service(name, number);
        let service = match protocol {
            Protocol::Tcp => service.tcp("", port),
            _ => service.udp("", port),
        };
        let slices = endpoint_slices(name, &[("", protocol, Echo::LINES)], &lab.pods());
        cluster.apply(name, slices.into_iter().chain([service.build()]));
    }
    cluster.route_cluster_ips("node-1");
    cluster.start();
    let refused = Err(Failure::Refused);
    let pod = lab.pod("pod-1-1");
    let clients = [pod.ns(), lab.node("node-1").ns(), lab.client().ns()];
    for family in Family::BOTH {
        let at = |number, port| cluster.cluster_ip(family, number, port);
        for client in clients {
            ask::tcp(client, at(10, 80)).unwrap();
            ask::udp(client, at(12, 80)).unwrap();
            // Another Service's port, nobody's port, the other transport's port.
            assert_eq!(who(ask::tcp(client, at(10, 81))), refused);
            assert_eq!(who(ask::tcp(client, at(10, 9999))), refused);
            assert_eq!(who(ask::udp(client, at(10, 80))), refused);
            assert_eq!(who(ask::tcp(client, at(12, 80))), refused);
        }
    }
}
