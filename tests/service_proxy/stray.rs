//! Packets in the middle of a connection that conntrack does not take for part of it.

mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Conversation, Failure};
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab, nft};
use rustix::process::Signal;

use self::wire::Wire;
use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    packets_out_of_the_window_reset_nobody,
    a_liberal_conntrack_needs_no_rule,
);

const NODE_PORT: u16 = 30080;

/// Scenario 100.
fn packets_out_of_the_window_reset_nobody(feed: Feed) {
    let cluster = cluster(feed);
    serve(&cluster);
    cluster.start();
    for talk in &talks(&cluster) {
        // Whoever gets such a packet knows of no such connection, and answers with a reset that the
        // other end of the real one would believe.
        talk.stray_of_endpoint();
        talk.goes_on();
        talk.stray_of_client();
        talk.goes_on();
    }
    // Resets that belong to a connection pass.
    let (pod, server) = (cluster.lab().pod("pod-1-1"), cluster.lab().pod("pod-2-1"));
    for family in Family::BOTH {
        let nobody = SocketAddr::new(server.ip(family), 9);
        let refused = ask::tcp(pod.ns(), nobody).unwrap_err().failure();
        assert_eq!(refused, Failure::Refused);
    }

    // It is the rules that do it: without them such a packet ends the connection.
    for node in cluster.lab().nodes() {
        cluster.agent(node.name()).signal(Signal::STOP);
        for family in ["ip", "ip6"] {
            for chain in ["stray", "stray-outgoing"] {
                let flush = format!("flush chain {family} fairway {chain}");
                nft::apply(node.ns(), &flush).unwrap();
            }
        }
    }
    for talk in &talks(&cluster) {
        talk.stray_of_endpoint();
        talk.is_reset();
    }
    // Nobody in the lab has the other frontends' addresses, and nobody answers.
    let by_node_port = |talk: &Talk| talk.conversation.server().port() == NODE_PORT;
    for talk in talks(&cluster).iter().filter(|talk| by_node_port(talk)) {
        talk.goes_on();
        talk.stray_of_client();
        talk.is_reset();
    }
}

/// The packet counts as one of the connection, and is translated like all others.
fn a_liberal_conntrack_needs_no_rule(feed: Feed) {
    let cluster = cluster(feed).with_further_flags(&["--conntrack-tcp-be-liberal"]);
    serve(&cluster);
    cluster.start();
    assert!(!cluster.tables("node-1").contains("ct state invalid"));
    for talk in &talks(&cluster) {
        talk.stray_of_endpoint();
        talk.goes_on();
        talk.stray_of_client();
        talk.goes_on();
    }
}

fn cluster(feed: Feed) -> Cluster {
    Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2))
}

fn serve(cluster: &Cluster) {
    let service = cluster.service("web", 10).tcp("", 80).node_port(NODE_PORT);
    let [v4, v6] = external();
    let service = service.external_ip(v4).external_ip(v6);
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let slices = endpoint_slices("web", &ports, &[cluster.lab().pod("pod-2-1")]);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
}

fn external() -> [IpAddr; 2] {
    [
        Ipv4Addr::new(203, 0, 113, 10).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 10).into(),
    ]
}

/// A connection through a Service, and what passes at both ends.
struct Talk {
    conversation: Conversation,
    at_client: Wire,
    at_endpoint: Wire,
}

/// One to every kind of frontend, from a pod, from the node and from outside.
fn talks(cluster: &Cluster) -> Vec<Talk> {
    let lab = cluster.lab();
    let (node, pod) = (lab.node("node-1"), lab.pod("pod-1-1"));
    let endpoint = lab.pod("pod-2-1");
    let talks = Family::BOTH.into_iter().zip(external());
    let talks = talks.flat_map(|(family, external)| {
        let cluster_ip = cluster.cluster_ip(family, 10, 80);
        let node_port = SocketAddr::new(node.ip(family), NODE_PORT);
        [
            (pod.ns(), cluster_ip),
            (node.ns(), cluster_ip),
            (pod.ns(), (external, 80).into()),
            (lab.client().ns(), node_port),
        ]
    });
    talks
        .map(|(client, frontend)| Talk::open(client, frontend, endpoint.ns()))
        .collect()
}

impl Talk {
    fn open(client: &Namespace, frontend: SocketAddr, endpoint: &Namespace) -> Self {
        becomes(true, "whether it is served", || {
            ask::tcp(client, frontend).is_ok()
        });
        let [at_client, at_endpoint] = [client, endpoint].map(|ns| Wire::listen(ns, frontend));
        let conversation = Conversation::tcp(client, frontend).unwrap();
        Self {
            conversation,
            at_client,
            at_endpoint,
        }
    }

    /// It is not translated back: the client never heard of the address that it comes from.
    fn stray_of_endpoint(&self) {
        let reply = self.conversation.ask().unwrap();
        assert_eq!(reply.pod, "pod-2-1");
        self.at_endpoint.stray(reply.own, reply.peer);
    }

    /// It is not translated: the frontend has no such connection.
    fn stray_of_client(&self) {
        let own = self.conversation.own().unwrap();
        self.at_client.stray(own, self.conversation.server());
    }

    fn is_reset(&self) {
        becomes(Err(Failure::Reset), "the connection", || {
            who(self.conversation.ask())
        });
    }

    /// Had there been a reset, it would have come by the same way before the answers.
    #[track_caller]
    fn goes_on(&self) {
        for _ in 0..10 {
            let reply = self.conversation.ask();
            assert!(reply.is_ok(), "{:?}: {reply:?}", self.conversation);
        }
    }
}
