//! Node ports: on every node, for every client, and only where a Service has one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::echo::Identity;
use fairway_testkit::objects::{self, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab};
use ipnet::IpNet;
use serde_json::json;

use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(
    every_node_serves_and_masquerades,
    tcp_and_udp_of_one_number_are_independent,
    only_node_port_addresses_refuse,
    addresses_within_the_given_networks_serve_as_they_come_and_go,
    the_primary_address_is_the_nodes_or_the_operators,
    all_addresses_serve_but_for_loopback,
);

fn every_node_serves_and_masquerades(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let server = lab.pod("pod-1-1");
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080);
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let slices = endpoint_slices("web", &ports, &[lab.pod("pod-1-1")]);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();

    let pod = lab.pod("pod-2-1");
    let clients = [lab.client().ns(), lab.balancer().ns(), pod.ns()];
    let nodes = lab.nodes().iter();
    for family in Family::BOTH {
        for ask in TCP_AND_UDP {
            for node in nodes.clone() {
                let hosts = lab.nodes().iter().map(|node| node.ns());
                for client in clients.into_iter().chain(hosts) {
                    let reply = ask(client, (node.ip(family), 30080).into()).unwrap();
                    assert_eq!(reply.pod, server.name());
                    let expected = cluster.masqueraded(node, &server, family);
                    assert_eq!(reply.peer.ip(), expected, "{client:?} by {}", node.name());
                }
            }
        }
        // The node has other addresses, too.
        let node = lab.node("node-2");
        let gateway = (node.pod_gateway(family), 30080).into();
        assert_eq!(who(ask::tcp(pod.ns(), gateway)), Err(Failure::Refused));
        let asked = ask::tcp(node.ns(), loopback(family));
        assert_eq!(who(asked), Err(Failure::Refused));
    }
}

fn tcp_and_udp_of_one_number_are_independent(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let web = cluster.service("web", 10).tcp("", 80).node_port(30053);
    let dns = cluster.service("dns", 11).udp("", 53).node_port(30053);
    let of = |name, protocol, pod| {
        endpoint_slices(name, &[("", protocol, Echo::LINES)], &[lab.pod(pod)])
    };
    cluster.apply("services", [web, dns]);
    cluster.apply("web", of("web", Protocol::Tcp, "pod-1-1"));
    cluster.apply("dns", of("dns", Protocol::Udp, "pod-2-1"));
    cluster.start();
    for family in Family::BOTH {
        for node in lab.nodes() {
            let at = (node.ip(family), 30053).into();
            assert_eq!(ask::tcp(lab.client().ns(), at).unwrap().pod, "pod-1-1");
            assert_eq!(ask::udp(lab.client().ns(), at).unwrap().pod, "pod-2-1");
        }
    }
}

fn only_node_port_addresses_refuse(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    cluster.apply("web", [service.udp("udp", 80).node_port(30080)]);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    // By default the node's other addresses serve no node ports: they are its own.
    let others = ["192.0.2.7", "fd00:192:2::7"].map(|text| text.parse::<IpAddr>().unwrap());
    for (family, other) in Family::BOTH.into_iter().zip(others) {
        lab.client()
            .add_route(other.into(), node.ip(family))
            .unwrap();
        node.host().add_address(other).unwrap();
    }
    let identity = Identity {
        pod: "host".to_owned(),
        node: node.name().to_owned(),
    };
    let server = Echo::new(node.ns(), identity, &others);
    // The kernel takes a moment to make an IPv6 address its own.
    becomes(true, "that the addresses can be had", || {
        server.serve_lines(30080).is_ok()
    });
    cluster.start();
    for (family, other) in Family::BOTH.into_iter().zip(others) {
        for client in [lab.client().ns(), lab.pod("pod-1-1").ns(), node.ns()] {
            for ask in TCP_AND_UDP {
                let refused = ask(client, (node.ip(family), 30080).into());
                assert_eq!(who(refused), Err(Failure::Refused), "{client:?}");
                let reply = ask(client, (other, 30080).into()).unwrap();
                assert_eq!(reply.pod, "host", "{client:?}");
            }
        }
    }
}

fn addresses_within_the_given_networks_serve_as_they_come_and_go(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let cidrs = Family::BOTH.map(|family| cluster.lab().cluster_cidr(family).to_string());
    // Every address of IPv6, as none is given.
    let cluster = cluster.with_flags(&[
        "--cluster-cidr",
        &cidrs.join(","),
        "--nodeport-addresses",
        "192.0.2.0/25,127.0.0.0/8",
    ]);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &lab.pods());
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();

    let [v4, v6] = Family::BOTH.map(|family| node.ip(family));
    let client = lab.client();
    let asked = |at: IpAddr| who(ask::tcp(client.ns(), (at, 30080).into()));
    assert_eq!(asked(v4), Err(Failure::Refused));
    assert_eq!(asked(v6), Ok("pod-1-1".to_owned()));
    for (address, answer) in [
        ("192.0.2.7", Ok("pod-1-1".to_owned())),
        ("192.0.2.207", Err(Failure::Refused)),
        ("fd00:192:2::7", Ok("pod-1-1".to_owned())),
    ] {
        let address: IpAddr = address.parse().unwrap();
        let gateway = if address.is_ipv4() { v4 } else { v6 };
        client.add_route(address.into(), gateway).unwrap();
        node.host().add_address(address).unwrap();
        // The kernel takes a moment to make an IPv6 address its own.
        becomes(answer, "the answer of a new address", || asked(address));
    }
    for family in Family::BOTH {
        let asked = ask::tcp(node.ns(), loopback(family));
        assert_eq!(who(asked), Err(Failure::Refused));
    }
}

fn the_primary_address_is_the_nodes_or_the_operators(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let other: IpAddr = "192.0.2.7".parse().unwrap();
    let flags = ["--masquerade-all", "--bind-address=192.0.2.7"];
    let cluster = cluster.with_flags(&flags);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &lab.pods());
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    let [v4, v6] = Family::BOTH.map(|family| node.ip(family));
    let client = lab.client();
    client.add_route(other.into(), v4).unwrap();
    node.host().add_address(other).unwrap();
    cluster.start();
    let asked = |at: IpAddr| who(ask::tcp(client.ns(), (at, 30080).into()));
    let served = Ok("pod-1-1".to_owned());
    assert_eq!(asked(other), served);
    assert_eq!(asked(v4), Err(Failure::Refused));
    // Of the other family the Node's first address counts, and follows the Node.
    assert_eq!(asked(v6), served);
    let mut object = objects::node(node);
    object["status"]["addresses"] = json!([{"type": "InternalIP", "address": "fd00::77"}]);
    cluster.apply("nodes", [object]);
    becomes(Err(Failure::Refused), "the answer", || asked(v6));
    assert_eq!(asked(other), served);
}

fn all_addresses_serve_but_for_loopback(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let cluster = cluster.with_flags(&["--masquerade-all", "--nodeport-addresses=0.0.0.0/0,::/0"]);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &lab.pods());
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    let client = lab.client();
    let asked = |at: IpAddr| who(ask::tcp(client.ns(), (at, 30080).into()));
    let ip = |arguments: &[&str]| {
        let mut command = std::process::Command::new("ip");
        command.args(arguments);
        let output = node.ns().output(command).unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    for (family, address) in [(Family::V4, "192.0.2.7"), (Family::V6, "fd00:192:2::7")] {
        let address: IpAddr = address.parse().unwrap();
        client.add_route(address.into(), node.ip(family)).unwrap();
        assert_eq!(asked(node.ip(family)), Ok("pod-1-1".to_owned()));
        node.host().add_address(address).unwrap();
        becomes(Ok("pod-1-1".to_owned()), "the answer", || asked(address));
        let network = IpNet::from(address).to_string();
        ip(&["address", "delete", &network, "dev", "eth0"]);
        becomes(false, "whether it is served", || asked(address).is_ok());
        let loopback = ask::tcp(node.ns(), loopback(family));
        assert_eq!(who(loopback), Err(Failure::Refused));
    }
}

fn loopback(family: Family) -> SocketAddr {
    match family {
        Family::V4 => ([127, 0, 0, 1], 30080).into(),
        Family::V6 => (Ipv6Addr::LOCALHOST, 30080).into(),
    }
}
