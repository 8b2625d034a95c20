//! Traffic policies and external addresses: which endpoints a client gets, and whom they see.

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab};

use crate::support::{Cluster, Feed, fed_both_ways, who};

fed_both_ways!(
    external_addresses_lead_to_every_endpoint,
    local_external_traffic_stays_on_the_node_and_keeps_its_source,
    local_internal_traffic_stays_on_the_node,
);

const PORTS: [(&str, Protocol, u16); 1] = [("", Protocol::Tcp, Echo::LINES)];

/// Addresses that no machine has: a load balancer's and an external one.
fn outside(family: Family) -> [std::net::IpAddr; 2] {
    let addresses = match family {
        Family::V4 => ["203.0.113.10", "203.0.113.20"],
        Family::V6 => ["2001:db8::10", "2001:db8::20"],
    };
    addresses.map(|address| address.parse().unwrap())
}

/// Two nodes with a pod each; the outside client sends the external addresses to `node`.
fn cluster(feed: Feed, node: &str) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    for family in Family::BOTH {
        let gateway = cluster.lab().node(node).ip(family);
        for address in outside(family) {
            let client = cluster.lab().client();
            client.add_route(address.into(), gateway).unwrap();
        }
    }
    cluster
}

fn external_addresses_lead_to_every_endpoint(feed: Feed) {
    let cluster = cluster(feed, "node-1");
    let lab = cluster.lab();
    let server = lab.pod("pod-2-1");
    let mut service = cluster.service("web", 10).kind("LoadBalancer").tcp("", 80);
    for [balancer, external] in Family::BOTH.map(outside) {
        service = service.load_balancer_ip(balancer).external_ip(external);
    }
    let slices = endpoint_slices("web", &PORTS, std::slice::from_ref(&server));
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    let node = lab.node("node-1");
    for family in Family::BOTH {
        for address in outside(family) {
            for client in [lab.client().ns(), lab.pod("pod-1-1").ns(), node.ns()] {
                let reply = ask::tcp(client, (address, 80).into()).unwrap();
                assert_eq!(reply.pod, server.name());
                assert_eq!(reply.peer.ip(), node.ip(family), "masqueraded");
            }
        }
    }
}

fn local_external_traffic_stays_on_the_node_and_keeps_its_source(feed: Feed) {
    let cluster = cluster(feed, "node-1");
    let lab = cluster.lab();
    let [here, there] = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
    let local = |name: &str, number, node_port| {
        let service = cluster.service(name, number).kind("LoadBalancer");
        service
            .tcp("", 80)
            .node_port(node_port)
            .external_traffic_local()
    };
    let mut both = local("both", 10, 30010);
    let mut remote = local("remote", 11, 30011);
    for [balancer, external] in Family::BOTH.map(outside) {
        both = both.load_balancer_ip(balancer);
        remote = remote.load_balancer_ip(external);
    }
    cluster.apply("services", [both, remote]);
    let pods = [here.clone(), there.clone()];
    cluster.apply("both", endpoint_slices("both", &PORTS, &pods));
    cluster.apply(
        "remote",
        endpoint_slices("remote", &PORTS, std::slice::from_ref(&there)),
    );
    cluster.start();

    let (client, pod, node) = (lab.client(), lab.pod("pod-1-2"), lab.node("node-1"));
    for family in Family::BOTH {
        let [both, remote] = outside(family);
        for at in [(both, 80), (node.ip(family), 30010)] {
            for _ in 0..20 {
                let reply = ask::tcp(client.ns(), at.into()).unwrap();
                assert_eq!(reply.pod, here.name());
                assert_eq!(reply.peer.ip(), client.ip(family), "the source is kept");
            }
        }
        for at in [(remote, 80), (node.ip(family), 30011)] {
            // Dropped for strangers: a balancer should look for another node.
            let asked = ask::tcp_within(client.ns(), at.into(), SHORT);
            assert_eq!(who(asked), Err(Failure::TimedOut));
            // Pods and processes of this node get any endpoint.
            let reply = ask::tcp(pod.ns(), at.into()).unwrap();
            assert_eq!(
                (reply.pod, reply.peer.ip()),
                (there.name().into(), pod.ip(family))
            );
            let reply = ask::tcp(node.ns(), at.into()).unwrap();
            assert_eq!(
                (reply.pod, reply.peer.ip()),
                (there.name().into(), node.ip(family))
            );
        }
    }
}

fn local_internal_traffic_stays_on_the_node(feed: Feed) {
    let cluster = cluster(feed, "node-1");
    let lab = cluster.lab();
    let pods = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
    let local = |name: &str, number| {
        let service = cluster.service(name, number).tcp("", 80);
        service.internal_traffic_local()
    };
    cluster.apply("services", [local("both", 10), local("remote", 11)]);
    cluster.apply("both", endpoint_slices("both", &PORTS, &pods));
    cluster.apply("remote", endpoint_slices("remote", &PORTS, &pods[1..]));
    cluster.start();
    let client = lab.pod("pod-1-2");
    for family in Family::BOTH {
        for _ in 0..20 {
            let reply = ask::tcp(client.ns(), cluster.cluster_ip(family, 10, 80)).unwrap();
            assert_eq!(reply.pod, "pod-1-1");
        }
        let remote = cluster.cluster_ip(family, 11, 80);
        let asked = ask::tcp_within(client.ns(), remote, SHORT);
        assert_eq!(who(asked), Err(Failure::TimedOut));
        // Where the endpoint is, it serves.
        let reply = ask::tcp(lab.pod("pod-2-2").ns(), remote).unwrap();
        assert_eq!(reply.pod, "pod-2-1");
    }
}

/// Long enough for an answer, short enough to wait for none.
const SHORT: std::time::Duration = std::time::Duration::from_millis(400);
