//! Beside flannel, in both of its ways to masquerade and with both backends that hand-made clusters have: what a node
//! port sends to another node is translated by us, once, and the tunnel's own packets are not.

use std::process::Command;

use fairway_model::Protocol;
use fairway_testkit::ask;
use fairway_testkit::lab::{Namespace, Node};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab, nft};

use crate::support::{Cluster, Feed, TCP_AND_UDP, fed_both_ways};

fed_both_ways!(
    beside_flannel_with_nftables,
    beside_flannel_with_iptables,
    beside_flannel_that_does_not_masquerade,
    beside_flannel_with_host_gw_and_nftables,
    beside_flannel_with_host_gw_and_iptables,
);

/// The number of flannel's network, and the port of Linux's own VXLAN.
const VNI: &str = "1";
const PORT: &str = "8472";

/// How packets come to the pods of another node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Vxlan,
    /// As they are, along routes: those that the lab has anyway.
    HostGw,
}

/// Who masquerades beside us.
#[derive(Clone, Copy)]
enum Masquerade {
    /// `EnableNFTables`.
    Nftables,
    /// `--ip-masq` as it was before.
    Iptables,
    Nobody,
}

fn beside_flannel_with_nftables(feed: Feed) {
    beside_flannel(feed, Backend::Vxlan, Masquerade::Nftables);
}

fn beside_flannel_with_iptables(feed: Feed) {
    beside_flannel(feed, Backend::Vxlan, Masquerade::Iptables);
}

fn beside_flannel_that_does_not_masquerade(feed: Feed) {
    beside_flannel(feed, Backend::Vxlan, Masquerade::Nobody);
}

fn beside_flannel_with_host_gw_and_nftables(feed: Feed) {
    beside_flannel(feed, Backend::HostGw, Masquerade::Nftables);
}

fn beside_flannel_with_host_gw_and_iptables(feed: Feed) {
    beside_flannel(feed, Backend::HostGw, Masquerade::Iptables);
}

fn beside_flannel(feed: Feed, backend: Backend, masquerade: Masquerade) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let [near, far] = [lab.node("node-1"), lab.node("node-2")];
    for family in Family::BOTH {
        if backend == Backend::Vxlan {
            tunnel(near, far, family);
        }
        for node in [near, far] {
            if let Some(rules) = rules(&cluster, node, family, masquerade) {
                nft::apply(node.ns(), &rules).unwrap();
            }
            nft::apply(node.ns(), &witness(family)).unwrap();
        }
    }
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080);
    let balancer = lab.balancer();
    let service = Family::BOTH
        .into_iter()
        .fold(service, |service, family| {
            service.load_balancer_ip(balancer.ip(family))
        })
        .build();
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let server = lab.pod("pod-2-1");
    let slices = endpoint_slices("web", &ports, std::slice::from_ref(&server));
    cluster.apply("web", slices.into_iter().chain([service]));
    cluster.start();

    let pod = lab.pod("pod-1-1");
    for family in Family::BOTH {
        let cluster_ip = cluster.cluster_ip(family, 10, 80);
        let node_port = (near.ip(family), 30080).into();
        let balanced = (balancer.ip(family), 80).into();
        let node = |node: &Node| match backend {
            Backend::Vxlan => tunnel_address(node, family),
            Backend::HostGw => node.ip(family),
        };
        // The pod itself, which no rule concerns.
        let direct = (server.ip(family), Echo::LINES).into();
        for ask in TCP_AND_UDP {
            // Enough for a port that is taken by chance to show.
            for _ in 0..20 {
                // From outside, from the node itself, and on a short way to the balancer: by the first node's address on
                // the way to the second.
                for (client, at) in [
                    (lab.client().ns(), node_port),
                    (near.ns(), node_port),
                    (near.ns(), cluster_ip),
                    (pod.ns(), node_port),
                    (pod.ns(), balanced),
                    (near.ns(), direct),
                ] {
                    let reply = ask(client, at).unwrap();
                    assert_eq!(reply.pod, "pod-2-1");
                    assert_eq!(reply.peer.ip(), node(near), "{client:?} at {at}");
                }
                // Pods keep their address through the tunnel.
                let reply = ask(pod.ns(), cluster_ip).unwrap();
                assert_eq!(reply.peer.ip(), pod.ip(family));
                // The pod behind the balancer's address reaches itself.
                let reply = ask(server.ns(), balanced).unwrap();
                assert_eq!(reply.pod, "pod-2-1");
                assert_eq!(reply.peer.ip(), far.pod_gateway(family));
            }
        }
        for node in [near, far] {
            let [outer, marked, translated] = witnessed(node.ns(), family);
            let tunnelled = outer > 100;
            assert_eq!(
                tunnelled,
                backend == Backend::Vxlan,
                "{outer} packets of the tunnel"
            );
            assert_eq!((marked, translated), (0, 0), "of {outer}");
        }
    }
    // The masquerading mark stays within our own chains.
    assert!(ask::tcp(lab.client().ns(), (far.ip(Family::V4), 30080).into()).is_ok());
}

/// What flannel calls its device, and the address that it has: the first of the pod network.
fn device(family: Family) -> &'static str {
    match family {
        Family::V4 => "flannel.1",
        Family::V6 => "flannel-v6.1",
    }
}

fn tunnel_address(node: &Node, family: Family) -> std::net::IpAddr {
    node.pod_cidr(family).network()
}

/// Connects two nodes as flannel's vxlan backend does: no learning, each other's hardware address,
/// and a route to the pods by way of the other's tunnel address.
fn tunnel(one: &Node, other: &Node, family: Family) {
    let device = device(family);
    let hardware = |node: &Node| format!("02:00:00:00:00:0{}", node.name().replace("node-", ""));
    for (node, peer) in [(one, other), (other, one)] {
        let (near, far) = (hardware(node), hardware(peer));
        let address = ipnet::IpNet::from(tunnel_address(node, family));
        let (gateway, pods) = (tunnel_address(peer, family), peer.pod_cidr(family));
        let (local, remote) = (node.ip(family), peer.ip(family));
        for line in [
            format!(
                "ip link add {device} address {near} mtu 1450 type vxlan id {VNI} dev eth0 local {local} dstport {PORT} nolearning"
            ),
            format!("ip address add {address} dev {device}"),
            format!("ip link set {device} up"),
            format!("ip neighbour replace {gateway} lladdr {far} dev {device} nud permanent"),
            format!("bridge fdb append {far} dev {device} dst {remote}"),
            format!("ip route delete {pods}"),
            format!("ip route add {pods} via {gateway} dev {device} onlink"),
        ] {
            run(node, &line);
        }
    }
}

/// Runs a program on a node.
fn run(node: &Node, line: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = node.ns().output(command);
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(output.status.success(), "{line}: {output:?}");
}

/// What flannel has in nf_tables on a node, by itself or through iptables.
fn rules(cluster: &Cluster, node: &Node, family: Family, masquerade: Masquerade) -> Option<String> {
    let ip = family.nft();
    let (pods, all) = (node.pod_cidr(family), cluster.lab().cluster_cidr(family));
    let multicast = match family {
        Family::V4 => "224.0.0.0/4",
        Family::V6 => "ff00::/8",
    };
    let hook = "type nat hook postrouting priority srcnat; policy accept;";
    let inside = format!(
        "{ip} saddr {pods} {ip} daddr {all} return
         {ip} saddr {all} {ip} daddr {pods} return"
    );
    let masquerades = format!(
        "{ip} saddr {all} {ip} daddr != {multicast} masquerade fully-random
         {ip} saddr != {all} {ip} daddr {all} masquerade fully-random"
    );
    match masquerade {
        // Traffic from outside to pods elsewhere returns before the last rule.
        Masquerade::Nftables => Some(format!(
            "table {ip} flannel {{
                chain postrtg {{
                    {hook}
                    meta mark 0x4000 return
                    {inside}
                    {ip} saddr != {pods} {ip} daddr {all} return
                    {masquerades}
                }}
            }}"
        )),
        Masquerade::Iptables => Some(format!(
            "table {ip} nat {{
                chain FLANNEL-POSTRTG {{
                    meta mark & 0x4000 == 0x4000 return
                    {inside}
                    {ip} saddr != {all} {ip} daddr {pods} return
                    {masquerades}
                }}
                chain POSTROUTING {{
                    {hook}
                    jump FLANNEL-POSTRTG
                }}
            }}"
        )),
        Masquerade::Nobody => None,
    }
}

/// Counts the tunnel's own packets as they leave, and those of them that still have our mark or were
/// translated.
fn witness(family: Family) -> String {
    format!(
        "table {} witness {{
            counter outer {{ }}
            counter marked {{ }}
            counter translated {{ }}
            chain last {{
                type filter hook postrouting priority 300; policy accept;
                udp dport {PORT} counter name outer
                udp dport {PORT} meta mark & 0x4000 != 0 counter name marked
                udp dport {PORT} ct status snat counter name translated
            }}
        }}",
        family.nft()
    )
}

fn witnessed(node: &Namespace, family: Family) -> [u64; 3] {
    ["outer", "marked", "translated"].map(|counter| {
        let listed = nft::nft(node, &["list", "counter", family.nft(), "witness", counter]);
        let listed = listed.unwrap();
        let mut words = listed.split_whitespace();
        assert!(words.any(|word| word == "packets"), "{listed}");
        words.next().unwrap().parse().unwrap()
    })
}
