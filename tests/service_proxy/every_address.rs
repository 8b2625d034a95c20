//! A Service with every kind of address, on two nodes with two pods each.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::lab::{Namespace, Node, Pod};
use fairway_testkit::objects::{EndpointSlice, Object, Service, endpoint_slice};
use fairway_testkit::{Echo, Family, Lab};
use serde_json::Value;

use crate::support::{Cluster, Feed, who};

pub(crate) const VIP_PORT: u16 = 80;
pub(crate) const NODE_PORT: u16 = 30080;
/// How long nobody must answer. Whoever is let in answers within a millisecond.
pub(crate) const SILENCE: Duration = Duration::from_millis(800);

pub(crate) fn cluster(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    for family in Family::BOTH {
        let lab = cluster.lab();
        let gateway = lab.node("node-1").ip(family);
        for host in [lab.client(), lab.balancer()] {
            host.add_route(vip(family).into(), gateway).unwrap();
            host.add_route(external_ip(family).into(), gateway).unwrap();
        }
    }
    cluster
}

pub(crate) fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => [198, 51, 100, 10].into(),
        Family::V6 => "fd00:198:51:100::10".parse().unwrap(),
    }
}

pub(crate) fn external_ip(family: Family) -> IpAddr {
    match family {
        Family::V4 => [198, 51, 100, 20].into(),
        Family::V6 => "fd00:198:51:100::20".parse().unwrap(),
    }
}

/// A Service with every kind of address.
pub(crate) fn web(cluster: &Cluster) -> Object<Service> {
    Family::BOTH.into_iter().fold(
        cluster
            .service("web", 10)
            .tcp("", VIP_PORT)
            .node_port(NODE_PORT),
        |service, family| {
            service
                .load_balancer_ip(vip(family))
                .external_ip(external_ip(family))
        },
    )
}

/// The slices of `web`, a family each, changed endpoint by endpoint.
pub(crate) fn slices(
    pods: &[&Pod],
    change: impl Fn(Object<EndpointSlice>, &Pod) -> Object<EndpointSlice>,
) -> Vec<Value> {
    let slice = |family| {
        let empty = endpoint_slice("web", family).tcp("", Echo::LINES);
        let add = |slice: Object<EndpointSlice>, pod: &&Pod| change(slice.pod(pod), pod);
        pods.iter().fold(empty, add).build()
    };
    Family::BOTH.map(slice).into()
}

pub(crate) fn endpoints(cluster: &Cluster, names: &[&str]) {
    let pods: Vec<_> = names.iter().map(|name| cluster.lab().pod(name)).collect();
    let pods: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    cluster.apply("endpoints", slices(&pods, |slice, _| slice));
}

/// Everything but the ClusterIP, by way of a node.
pub(crate) fn outside_addresses(node: &Node, family: Family) -> [SocketAddr; 3] {
    [
        (vip(family), VIP_PORT).into(),
        (external_ip(family), VIP_PORT).into(),
        (node.ip(family), NODE_PORT).into(),
    ]
}

/// Who answers in many tries, and from where the client seems to come.
pub(crate) fn answers(client: &Namespace, at: SocketAddr) -> BTreeSet<(String, IpAddr)> {
    // That one of two endpoints is never drawn happens once in 2^39.
    let replies = (0..40).map(|_| ask::tcp(client, at).unwrap());
    replies.map(|reply| (reply.pod, reply.peer.ip())).collect()
}

pub(crate) fn assert_silent(client: &Namespace, at: SocketAddr) {
    let asked = ask::tcp_within(client, at, SILENCE);
    assert_eq!(who(asked), Err(Failure::TimedOut), "{client:?} to {at}");
}

/// The pods among those who answer.
pub(crate) fn pods(client: &Namespace, at: SocketAddr) -> BTreeSet<String> {
    let answers = answers(client, at).into_iter();
    answers.map(|(pod, _)| pod).collect()
}

/// Names as a set, to compare with [`pods`].
pub(crate) fn named(pods: &[&str]) -> BTreeSet<String> {
    pods.iter().map(ToString::to_string).collect()
}
