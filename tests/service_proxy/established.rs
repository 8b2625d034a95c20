//! Connections that are open: whatever changes, they go on with the endpoint they have.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use fairway_testkit::lab::{Namespace, Pod};
use fairway_testkit::{Echo, Family, ask};
use serde_json::json;

use super::every_address::{
    SILENCE, VIP_PORT, cluster, named, outside_addresses, pods, slices, vip, web,
};
use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    a_connection_outlives_the_readiness_of_its_endpoint,
    a_connection_outlives_changes_of_its_service,
);

/// A conversation of many lines.
struct Conversation {
    server: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Conversation {
    fn open(client: &Namespace, server: SocketAddr) -> Self {
        let stream = BufReader::new(ask::open(client, server).unwrap());
        Self { server, stream }
    }

    /// The pod at the other end.
    #[track_caller]
    fn goes_on_with(&mut self, pod: &str) {
        self.stream.get_mut().write_all(b"who\n").unwrap();
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        read.unwrap_or_else(|error| panic!("{}: {error}", self.server));
        let answered = line.split(' ').next();
        assert_eq!(answered, Some(pod), "{}", self.server);
    }
}

/// By every address and from everywhere, all to the only endpoint there is.
fn conversations(cluster: &Cluster) -> Vec<Conversation> {
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let pod = lab.pod("pod-1-2");
    let of_family = |family| {
        let cluster_ip = cluster.cluster_ip(family, 10, VIP_PORT);
        let outside = outside_addresses(node, family);
        let from_outside = outside.map(|at| Conversation::open(lab.client().ns(), at));
        let inside = [pod.ns(), node.ns()];
        let inside = inside.map(|client| Conversation::open(client, cluster_ip));
        from_outside.into_iter().chain(inside)
    };
    Family::BOTH.into_iter().flat_map(of_family).collect()
}

/// Waits until new connections go to these pods.
fn new_ones(cluster: &Cluster, expected: &[&str]) {
    let client = cluster.lab().pod("pod-1-2");
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        becomes(named(expected), "the endpoints", || pods(client.ns(), at));
    }
}

fn a_connection_outlives_the_readiness_of_its_endpoint(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    let lab = cluster.lab();
    let [old, new] = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
    cluster.apply("endpoints", slices(&[&*old], |slice, _| slice));
    cluster.start();
    let mut open = conversations(&cluster);
    let terminating = |serving| {
        move |slice: fairway_testkit::objects::Object<_>, pod: &Pod| match pod.node() {
            "node-1" => slice.terminating(serving),
            _ => slice,
        }
    };
    let both = [&*old, &*new];
    for (endpoints, used) in [
        (slices(&both, |slice, _| slice), &["pod-1-1", "pod-2-1"][..]),
        (slices(&both, terminating(true)), &["pod-2-1"]),
        (slices(&both, terminating(false)), &["pod-2-1"]),
        (slices(&[&*new], |slice, _| slice), &["pod-2-1"]),
    ] {
        cluster.apply("endpoints", endpoints);
        new_ones(&cluster, used);
        for conversation in &mut open {
            conversation.goes_on_with("pod-1-1");
        }
    }
    // Nothing but the end of the pod ends them.
    drop(open);
    assert!(old.echo().drain(std::time::Duration::from_secs(10)));
    for family in Family::BOTH {
        let at = (old.ip(family), Echo::LINES).into();
        assert!(who(ask::tcp(lab.pod("pod-1-2").ns(), at)).is_err());
    }
    new_ones(&cluster, &["pod-2-1"]);
}

fn a_connection_outlives_changes_of_its_service(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    let lab = cluster.lab();
    let (pod, other) = (lab.pod("pod-1-1"), lab.pod("pod-2-1"));
    cluster.apply("endpoints", slices(&[&*pod], |slice, _| slice));
    cluster.start();
    let mut open = conversations(&cluster);
    cluster.apply("endpoints", slices(&[&*other], |slice, _| slice));
    // Ranges that shut its client out, policies that would choose otherwise, and no Service at all.
    let ranges = web(&cluster).set("/spec", "loadBalancerSourceRanges", json!(["192.0.2.0/24"]));
    let local = web(&cluster)
        .internal_traffic_local()
        .external_traffic_local();
    for service in [Some(ranges), Some(local), None] {
        cluster.apply("web", service);
        for family in Family::BOTH {
            becomes(false, "whether the address is served", || {
                let at = (vip(family), VIP_PORT).into();
                ask::tcp_within(lab.client().ns(), at, SILENCE).is_ok()
            });
        }
        for conversation in &mut open {
            conversation.goes_on_with("pod-1-1");
        }
    }
}
