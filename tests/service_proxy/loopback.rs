//! Node ports on loopback, which kube-proxy's nftables mode does not have.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Agent, Echo, Family, Lab};

use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(
    loopback_serves_node_ports_where_asked_to,
    loopback_shares_ports_with_other_processes,
);

fn loopback(family: Family, port: u16) -> SocketAddr {
    match family {
        Family::V4 => (Ipv4Addr::LOCALHOST, port).into(),
        Family::V6 => (Ipv6Addr::LOCALHOST, port).into(),
    }
}

/// A Service with a node port of both transports, and its endpoints.
fn apply(cluster: &Cluster, node_port: u16, pods: &[&str]) {
    let pods: Vec<_> = pods.iter().map(|name| cluster.lab().pod(name)).collect();
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(node_port);
    let service = service.udp("udp", 80).node_port(node_port);
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let slices = endpoint_slices("web", &ports, &pods);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
}

fn cluster(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let cidrs = Family::BOTH.map(|family| cluster.lab().cluster_cidr(family).to_string());
    cluster.with_flags(&["--cluster-cidr", &cidrs.join(","), "--loopback-node-ports"])
}

fn loopback_serves_node_ports_where_asked_to(feed: Feed) {
    let cluster = cluster(feed);
    apply(&cluster, 30080, &["pod-2-1"]);
    cluster.start();
    let node = cluster.lab().node("node-1").ns();
    let answers = |port: u16, expected: Result<&str, Failure>| {
        for (family, ask) in Family::BOTH
            .into_iter()
            .flat_map(|family| TCP_AND_UDP.map(|ask| (family, ask)))
        {
            let expected = expected.map(str::to_owned);
            becomes(expected, "the answer", || {
                who(ask(node, loopback(family, port)))
            });
        }
    };
    answers(30080, Ok("pod-2-1"));
    // The next connection asks anew; a client's datagrams stay together as on any node port.
    apply(&cluster, 30080, &["pod-1-1"]);
    answers(30080, Ok("pod-1-1"));
    apply(&cluster, 30081, &["pod-1-1"]);
    answers(30081, Ok("pod-1-1"));
    answers(30080, Err(Failure::Refused));

    apply(&cluster, 30081, &[]);
    for family in Family::BOTH {
        becomes(true, "that nobody answers", || {
            who(ask::tcp(node, loopback(family, 30081))).is_err()
        });
    }
    cluster.delete("web");
    answers(30081, Err(Failure::Refused));
}

fn loopback_shares_ports_with_other_processes(feed: Feed) {
    let cluster = cluster(feed);
    let node = cluster.lab().node("node-1");
    let occupant = node
        .ns()
        .run(|| TcpListener::bind(loopback(Family::V4, 30080)).unwrap());
    apply(&cluster, 30080, &["pod-2-1"]);
    cluster.start();
    let here = || Ok("pod-2-1".to_owned());
    becomes(here(), "the answer", || {
        who(ask::tcp(node.ns(), loopback(Family::V6, 30080)))
    });
    becomes(here(), "the answer", || {
        who(ask::udp(node.ns(), loopback(Family::V4, 30080)))
    });
    // The node port itself is the kernel's and does not care.
    for family in Family::BOTH {
        let at = (node.ip(family), 30080).into();
        assert_eq!(who(ask::tcp(cluster.lab().client().ns(), at)), here());
    }
    let agent = cluster.agent("node-1");
    agent
        .wait_for_log("TCP 127.0.0.1:30080", Agent::PATIENCE)
        .unwrap();
    drop(occupant);
    becomes(here(), "the answer", || {
        who(ask::tcp(node.ns(), loopback(Family::V4, 30080)))
    });
}
