//! A load balancer's addresses: which of them the nodes capture, and who is let in.

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::echo::Identity;
use fairway_testkit::lab::Node;
use fairway_testkit::objects::{Object, Service};
use fairway_testkit::{Echo, Family};
use serde_json::{Value, json};

use super::every_address::{
    NODE_PORT, SILENCE, VIP_PORT, assert_silent, cluster, endpoints, vip, web,
};
use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(
    only_addresses_in_mode_vip_are_captured,
    another_type_or_port_changes_what_is_captured,
    a_load_balancer_needs_no_node_ports,
    a_node_that_has_the_address_is_admitted_with_it,
    ranges_may_have_white_space_and_mean_everybody,
);

/// Makes the machine of the load balancer answer for its address, and the node know the way there.
fn real_load_balancer(cluster: &Cluster, node: &Node) -> Echo {
    let machine = cluster.lab().balancer();
    let addresses = Family::BOTH.map(vip);
    for family in Family::BOTH {
        machine.add_address(vip(family)).unwrap();
        let route = node
            .host()
            .add_route(vip(family).into(), machine.ip(family));
        route.unwrap();
        // The router knows nobody with such an address, and drops what comes from there.
        let back = machine.add_route(node.pod_cidr(family), node.ip(family));
        back.unwrap();
    }
    let identity = Identity {
        pod: "load-balancer".to_owned(),
        node: String::new(),
    };
    let echo = Echo::new(machine.ns(), identity, &addresses);
    for port in [VIP_PORT, VIP_PORT + 1] {
        // The kernel takes a moment to make an IPv6 address its own.
        becomes(true, "that the address can be had", || {
            echo.serve_lines(port).is_ok()
        });
    }
    echo
}

/// Waits until a pod and the node itself are answered so, by the load balancer's address.
fn answered(cluster: &Cluster, port: u16, expected: Result<&str, Failure>) {
    let lab = cluster.lab();
    let expected = expected.map(str::to_owned);
    for family in Family::BOTH {
        let at = (vip(family), port).into();
        for client in [lab.pod("pod-1-2").ns(), lab.node("node-1").ns()] {
            let what = format!("the answer to {client:?} at {at}");
            becomes(expected.clone(), &what, || who(ask::tcp(client, at)));
        }
    }
}

/// `web` with these entries in its status.
fn with_ingress(cluster: &Cluster, entry: impl Fn(Family) -> Value) -> Object<Service> {
    web(cluster).set(
        "/status/loadBalancer",
        "ingress",
        Value::from(Family::BOTH.map(entry).to_vec()),
    )
}

fn only_addresses_in_mode_vip_are_captured(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let _real = real_load_balancer(&cluster, lab.node("node-1"));
    endpoints(&cluster, &["pod-1-1"]);
    cluster.apply("web", [web(&cluster)]);
    cluster.start();
    answered(&cluster, VIP_PORT, Ok("pod-1-1"));
    let mode =
        |mode: &'static str| move |family| json!({"ip": vip(family).to_string(), "ipMode": mode});
    let named = |_| json!({"hostname": "lb.example.com"});
    cluster.apply("web", [with_ingress(&cluster, mode("Proxy"))]);
    answered(&cluster, VIP_PORT, Ok("load-balancer"));
    // As it is sent: a pod by its own address, also over UDP.
    let pod = lab.pod("pod-1-2");
    for family in Family::BOTH {
        for ask in TCP_AND_UDP {
            let reply = ask(pod.ns(), (vip(family), VIP_PORT).into()).unwrap();
            assert_eq!(
                (reply.pod.as_str(), reply.peer.ip()),
                ("load-balancer", pod.ip(family))
            );
        }
    }
    cluster.apply("web", [with_ingress(&cluster, mode("VIP"))]);
    answered(&cluster, VIP_PORT, Ok("pod-1-1"));
    cluster.apply("web", [with_ingress(&cluster, named)]);
    answered(&cluster, VIP_PORT, Ok("load-balancer"));
}

fn another_type_or_port_changes_what_is_captured(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let _real = real_load_balancer(&cluster, lab.node("node-1"));
    endpoints(&cluster, &["pod-1-1"]);
    cluster.apply("web", [web(&cluster)]);
    cluster.start();
    answered(&cluster, VIP_PORT, Ok("pod-1-1"));
    answered(&cluster, VIP_PORT + 1, Ok("load-balancer"));
    cluster.apply(
        "web",
        [web(&cluster).set("/spec/ports/0", "port", VIP_PORT + 1)],
    );
    answered(&cluster, VIP_PORT + 1, Ok("pod-1-1"));
    answered(&cluster, VIP_PORT, Ok("load-balancer"));
    // Its status may be behind.
    let plain = web(&cluster).kind("ClusterIP");
    cluster.apply("web", [plain.set("/spec/ports/0", "nodePort", Value::Null)]);
    answered(&cluster, VIP_PORT + 1, Ok("load-balancer"));
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        assert_eq!(
            ask::tcp(lab.pod("pod-1-2").ns(), at).unwrap().pod,
            "pod-1-1"
        );
        let node_port = (lab.node("node-1").ip(family), NODE_PORT).into();
        let asked = ask::tcp(lab.client().ns(), node_port);
        assert_eq!(who(asked), Err(Failure::Refused));
    }
    cluster.apply("web", [web(&cluster)]);
    answered(&cluster, VIP_PORT, Ok("pod-1-1"));
}

fn a_load_balancer_needs_no_node_ports(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    endpoints(&cluster, &["pod-1-1"]);
    let service = web(&cluster)
        .set("/spec", "allocateLoadBalancerNodePorts", false)
        .set("/spec/ports/0", "nodePort", Value::Null);
    cluster.apply("web", [service]);
    cluster.start();
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        for client in [
            lab.client().ns(),
            lab.pod("pod-1-2").ns(),
            lab.node("node-1").ns(),
        ] {
            assert_eq!(ask::tcp(client, at).unwrap().pod, "pod-1-1");
        }
        let node_port = (lab.node("node-1").ip(family), NODE_PORT).into();
        let asked = ask::tcp(lab.client().ns(), node_port);
        assert_eq!(who(asked), Err(Failure::Refused));
    }
}

fn with_ranges(cluster: &Cluster, ranges: &[String]) {
    let service = web(cluster).set("/spec", "loadBalancerSourceRanges", json!(ranges));
    cluster.apply("web", [service]);
}

fn a_node_that_has_the_address_is_admitted_with_it(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    for family in Family::BOTH {
        // As kubelet's cloud provider or an operator may do: what the node sends there comes from
        // there, too.
        node.host().add_address(vip(family)).unwrap();
    }
    let range = |addresses: [std::net::IpAddr; 2]| {
        addresses.map(|address| ipnet::IpNet::from(address).to_string())
    };
    with_ranges(&cluster, &range(Family::BOTH.map(|family| node.ip(family))));
    endpoints(&cluster, &["pod-1-1"]);
    cluster.start();
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        let here = Ok("pod-1-1".to_owned());
        becomes(here, "the answer to the node", || {
            who(ask::tcp_within(node.ns(), at, SILENCE))
        });
        assert_silent(lab.client().ns(), at);
    }
    // A range that has nothing to do with the node does not admit it.
    with_ranges(
        &cluster,
        &range(Family::BOTH.map(|family| lab.client().ip(family))),
    );
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        becomes(Err(Failure::TimedOut), "the answer to the node", || {
            who(ask::tcp_within(node.ns(), at, SILENCE))
        });
        assert_eq!(ask::tcp(lab.client().ns(), at).unwrap().pod, "pod-1-1");
    }
}

fn ranges_may_have_white_space_and_mean_everybody(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let clients = Family::BOTH.map(|family| {
        let range = ipnet::IpNet::from(lab.client().ip(family));
        format!(" {range}\t")
    });
    with_ranges(&cluster, &clients);
    endpoints(&cluster, &["pod-1-1"]);
    cluster.start();
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        assert_eq!(ask::tcp(lab.client().ns(), at).unwrap().pod, "pod-1-1");
        assert_silent(lab.balancer().ns(), at);
    }
    let everybody = ["0.0.0.0/0 ".to_owned(), " ::/0".to_owned()];
    with_ranges(&cluster, &[&clients[..], &everybody].concat());
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        let others = [lab.balancer().ns(), lab.node("node-1").ns()];
        for client in others {
            becomes(Ok("pod-1-1".to_owned()), "the answer", || {
                who(ask::tcp_within(client, at, SILENCE))
            });
        }
        assert_eq!(
            ask::tcp(lab.pod("pod-1-2").ns(), at).unwrap().pod,
            "pod-1-1"
        );
    }
}
