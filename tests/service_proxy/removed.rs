//! `--reset-removed-endpoints`: TCP connections end with their endpoint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fairway_testkit::ask::{Conversation, Failure};
use fairway_testkit::objects::{EndpointSlice, Object, endpoint_slice};
use fairway_testkit::{Echo, Family, Lab};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(connections_end_with_their_endpoint);

const NODE_PORT: u16 = 30080;

type Slice = Object<EndpointSlice>;

fn connections_end_with_their_endpoint(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    let cluster = cluster.with_further_flags(&["--reset-removed-endpoints"]);
    let lab = cluster.lab();
    let service = cluster.service("web", 10).tcp("", 80).node_port(NODE_PORT);
    let [v4, v6] = external();
    cluster.apply("service", [service.external_ip(v4).external_ip(v6)]);
    let [old, new] = ["pod-2-1", "pod-2-2"].map(|name| lab.pod(name));
    let slices = |fill: &dyn Fn(Slice) -> Slice| {
        let slice = |family| fill(endpoint_slice("web", family).tcp("", Echo::LINES));
        cluster.apply("slices", Family::BOTH.map(slice));
    };
    slices(&|slice| slice.pod(&old));
    cluster.start();
    let talks = talks(&cluster);
    for talk in &talks {
        assert_eq!(who(talk.ask()).as_deref(), Ok("pod-2-1"));
    }
    // They stay while the endpoint is there, ready or not.
    slices(&|slice| slice.pod(&old).terminating(false).pod(&new));
    for talk in &talks {
        becomes(Ok("pod-2-2".to_owned()), "who answers newcomers", || {
            let newcomer = Conversation::tcp(lab.pod("pod-1-1").ns(), talk.server());
            who(newcomer.and_then(|newcomer| newcomer.ask()))
        });
        assert_eq!(who(talk.ask()).as_deref(), Ok("pod-2-1"));
    }
    let newer = self::talks(&cluster);
    for talk in &newer {
        assert_eq!(who(talk.ask()).as_deref(), Ok("pod-2-2"));
    }
    // Nobody is left who could answer, not even with a reset of his own.
    lab.remove_pod("pod-2-1").unwrap();
    slices(&|slice| slice.pod(&new));
    for talk in &talks {
        // What is sent before the agent has come to it is lost, and sent again by TCP.
        assert_eq!(who(talk.ask()), Err(Failure::Reset), "{talk:?}");
    }
    for talk in &newer {
        assert_eq!(who(talk.ask()).as_deref(), Ok("pod-2-2"));
    }
}

fn external() -> [IpAddr; 2] {
    [
        Ipv4Addr::new(203, 0, 113, 10).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 10).into(),
    ]
}

/// One to every kind of frontend.
fn talks(cluster: &Cluster) -> Vec<Conversation> {
    let lab = cluster.lab();
    let (node, pod) = (lab.node("node-1"), lab.pod("pod-1-1"));
    let talks = Family::BOTH.into_iter().zip(external());
    let talks = talks.flat_map(|(family, external)| {
        let node_port = SocketAddr::new(node.ip(family), NODE_PORT);
        let cluster_ip = cluster.cluster_ip(family, 10, 80);
        [
            (pod.ns(), cluster_ip),
            (node.ns(), cluster_ip),
            (pod.ns(), (external, 80).into()),
            (lab.client().ns(), node_port),
        ]
    });
    talks
        .map(|(client, server)| {
            let mut talk = None;
            becomes(true, "whether it is served", || {
                talk = Conversation::tcp(client, server).ok();
                talk.is_some()
            });
            talk.unwrap()
        })
        .collect()
}
