//! What is for no Service is not touched, and what belongs to others neither.

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::echo::Identity;
use fairway_testkit::lab::Node;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab, nft};

use crate::support::{Cluster, Feed, TCP_AND_UDP, fed_both_ways, who};

fed_both_ways!(
    packets_for_no_service_pass_as_they_are,
    tables_of_others_stay_byte_for_byte,
    marks_of_others_pass_through,
);

fn packets_for_no_service_pass_as_they_are(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    let lab = cluster.lab();
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &lab.pods());
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();

    let node = lab.node("node-1");
    let _servers = host_servers(node, &[22, 30081, Echo::LINES]);
    let pod = lab.pod("pod-1-1");
    for family in Family::BOTH {
        for ask in TCP_AND_UDP {
            for port in [22, 30081, Echo::LINES] {
                let at = (node.ip(family), port).into();
                let reply = ask(lab.client().ns(), at).unwrap();
                assert_eq!((reply.pod.as_str(), reply.own), ("host", at));
                assert_eq!(reply.peer.ip(), lab.client().ip(family));
                let reply = ask(pod.ns(), at).unwrap();
                assert_eq!(reply.peer.ip(), pod.ip(family));
                assert_eq!(ask(node.ns(), at).unwrap().peer.ip(), node.ip(family));
            }
            // Between pods of one node and of two, and from outside.
            for name in ["pod-1-2", "pod-2-1"] {
                let other = lab.pod(name);
                let at = (other.ip(family), Echo::LINES).into();
                assert_eq!(ask(pod.ns(), at).unwrap().peer.ip(), pod.ip(family));
                let reply = ask(lab.client().ns(), at).unwrap();
                assert_eq!(reply.peer.ip(), lab.client().ip(family));
            }
        }
        // The node's own "no" is not ours, and the other transport is nobody's.
        let at = (node.ip(family), 30082).into();
        let refused = Err(Failure::Refused);
        assert_eq!(who(ask::tcp(lab.client().ns(), at)), refused);
        let at = (node.ip(family), 30080).into();
        assert_eq!(who(ask::udp(lab.client().ns(), at)), refused);
    }
}

fn tables_of_others_stay_byte_for_byte(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let lab = cluster.lab();
    let node = lab.node("node-1");
    nft::apply(node.ns(), STRANGERS).unwrap();
    let strangers = || {
        let tables = ["ip filter", "ip nat", "ip6 other", "inet other"];
        tables.map(|table| {
            let words: Vec<_> = ["--handle", "list", "table"]
                .into_iter()
                .chain(table.split(' '))
                .collect();
            nft::nft(node.ns(), &words).unwrap()
        })
    };
    let before = strangers();
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &lab.pods());
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    for family in Family::BOTH {
        let node_port = (node.ip(family), 30080).into();
        ask::tcp(lab.client().ns(), node_port).unwrap();
    }
    // Their translation goes on working beside ours.
    let _server = host_servers(node, &[22]);
    let redirected = (node.ip(Family::V4), 4000).into();
    let reply = ask::tcp(lab.client().ns(), redirected).unwrap();
    assert_eq!(reply.own.port(), 22);
    assert_eq!(strangers(), before);

    // Through a repair, a restart, and the end.
    let agent = cluster.agent("node-1");
    nft::apply(node.ns(), "delete table ip fairway").unwrap();
    let node_port = (node.ip(Family::V4), 30080).into();
    fairway_testkit::eventually("repair", || ask::tcp(lab.client().ns(), node_port));
    agent.terminate().unwrap();
    cluster.start_agent("node-1").terminate().unwrap();
    assert_eq!(strangers(), before);
    let cleanup = cluster.fairway("node-1", &["cleanup"]);
    assert!(cleanup.status.success(), "{cleanup:?}");
    assert_eq!(strangers(), before);
    let all = nft::list_ruleset(node.ns()).unwrap();
    assert!(!all.contains("fairway"), "{all}");
}

fn marks_of_others_pass_through(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let node = lab.node("node-1");
    nft::apply(node.ns(), MARKS).unwrap();
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let slices = endpoint_slices("web", &ports, &[lab.pod("pod-2-1")]);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    for family in Family::BOTH {
        let node_port = (node.ip(family), 30080).into();
        for client in [lab.client().ns(), node.ns(), lab.pod("pod-1-1").ns()] {
            let reply = ask::tcp(client, node_port).unwrap();
            assert_eq!(reply.peer.ip(), node.ip(family));
        }
        let at = cluster.cluster_ip(family, 10, 80);
        for client in [node.ns(), lab.pod("pod-1-1").ns()] {
            ask::tcp(client, at).unwrap();
        }
    }
    let counted = |counter| {
        let listed = nft::nft(node.ns(), &["list", "counter", "inet", "marks", counter]);
        let listed = listed.unwrap();
        let mut words = listed.split_whitespace();
        assert!(words.any(|word| word == "packets"), "{listed}");
        words.next().unwrap().parse::<u64>().unwrap()
    };
    assert!(counted("kept") > 30, "{}", counted("kept"));
    assert_eq!([counted("changed"), counted("ours")], [0, 0]);
}

/// A program that marks every packet for a policy route, and looks at what leaves for a pod: its own
/// bits must be there, and ours must not.
const MARKS: &str = "
table inet marks {
    counter kept { }
    counter changed { }
    counter ours { }
    chain prerouting {
        type filter hook prerouting priority mangle; policy accept;
        meta mark set 0x01008001
    }
    chain output {
        type route hook output priority mangle; policy accept;
        meta mark set 0x01008001
    }
    chain last {
        type filter hook postrouting priority 300; policy accept;
        tcp dport 9000 meta mark 0x01008001 counter name kept
        tcp dport 9000 meta mark & 0x01008001 != 0x01008001 counter name changed
        tcp dport 9000 meta mark & 0x00004000 != 0 counter name ours
    }
}
";

/// What other programs have in the kernel: names as ours, hooks as ours, sets of all kinds.
const STRANGERS: &str = r#"
table ip filter {
    chain INPUT {
        type filter hook input priority filter; policy accept;
        ct state invalid drop
    }
    chain KUBE-FORWARD {
        meta mark & 0x00004000 == 0x00004000 accept comment "kubelet"
    }
    chain FORWARD {
        type filter hook forward priority filter; policy accept;
        jump KUBE-FORWARD
    }
}
table ip nat {
    chain services {
        tcp dport 4000 redirect to :22
    }
    chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        jump services
    }
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 192.0.2.0/24 masquerade
    }
}
table ip6 other {
    set cluster-ips {
        type ipv6_addr
        flags interval
        elements = { 2001:db8::/64 }
    }
    map endpoints-2 {
        type inet_service : verdict
        elements = { 80 : accept, 443 : drop }
    }
    chain services {
        tcp dport vmap @endpoints-2
    }
}
table inet other {
    set seen {
        type ipv4_addr . inet_service
        flags dynamic,timeout
        timeout 1h
    }
    quota some {
        over 10 mbytes
    }
    chain c {
        meta l4proto { tcp, udp } ct mark set 0x1
    }
}
"#;

/// Servers of the node itself.
pub(crate) fn host_servers(node: &Node, ports: &[u16]) -> Echo {
    let identity = Identity {
        pod: "host".into(),
        node: node.name().into(),
    };
    let addresses = Family::BOTH.map(|family| node.ip(family));
    let echo = Echo::new(node.ns(), identity, &addresses);
    for port in ports {
        echo.serve_lines(*port).unwrap();
    }
    echo
}
