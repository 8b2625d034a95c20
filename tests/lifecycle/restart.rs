//! An agent that is killed is not missed, and the next one has nothing to do.

use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab, ask};

use crate::support::{Cluster, Feed, NftMonitor, fed_both_ways};

fed_both_ways!(
    a_restart_loses_no_packet_and_writes_nothing,
    what_changed_meanwhile_is_all_that_is_written,
);

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn a_restart_loses_no_packet_and_writes_nothing(feed: Feed) {
    let cluster = many_services(feed);
    let lab = cluster.lab();
    let client = lab.pod("pod-1-1");
    let node = lab.node("node-1");
    let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let outside = Family::BOTH.map(|family| (node.ip(family), 30010).into());
    let churns = [
        Churn::tcp(inside).start(client.ns()),
        Churn::udp(inside).start(client.ns()),
        Churn::tcp(outside).start(lab.client().ns()),
        Churn::udp(outside).start(lab.client().ns()),
    ];
    let go_on = || {
        for churn in &churns {
            churn.wait_for_more(200, PATIENCE).unwrap();
        }
    };
    go_on();
    let before = cluster.tables("node-1");
    let monitor = NftMonitor::start(node.ns());
    for _ in 0..3 {
        cluster.agent("node-1").kill().unwrap();
        go_on();
        let agent = cluster.start_agent("node-1");
        for family in ["ip", "ip6"] {
            let line = format!("family={family} writes=0");
            agent.wait_for_log(&line, PATIENCE).unwrap();
        }
        go_on();
    }
    assert_eq!(monitor.finish(), [""; 0]);
    assert_eq!(cluster.tables("node-1"), before);
    // A datagram is sent once: over UDP not even a single packet was lost.
    for churn in churns {
        let report = churn.stop().unwrap();
        println!("{report}");
        assert_eq!(report.failed(), 0, "{report}");
    }
}

fn what_changed_meanwhile_is_all_that_is_written(feed: Feed) {
    let cluster = many_services(feed);
    let lab = cluster.lab();
    cluster.agent("node-1").kill().unwrap();
    let pods = [lab.pod("pod-1-2")];
    cluster.apply("slices-11", endpoint_slices("web-11", &PORTS, &pods));
    cluster.delete("service-12");
    let monitor = NftMonitor::start(lab.node("node-1").ns());
    cluster.start_agent("node-1");
    let written = monitor.finish();
    // Elements of these two Services in both families, TCP and UDP, by address and by node port.
    let elements = written.iter().filter(|line| line.contains(" element "));
    for line in elements {
        let ours = Family::BOTH.iter().any(|family| {
            let [changed, deleted] = [11, 12].map(|n| lab.cluster_ip(*family, n).to_string());
            let addresses = [changed, deleted, "30011".into(), "30012".into()];
            addresses.iter().any(|text| line.contains(text.as_str()))
        }) || line.contains(" hairpin ");
        assert!(ours, "{line}");
    }
    let others = |line: &&String| !line.contains(" element ") && !line.starts_with('#');
    assert_eq!(written.iter().filter(others).count(), 0, "{written:#?}");
    let client = lab.pod("pod-1-1");
    for family in Family::BOTH {
        let reply = ask::tcp(client.ns(), cluster.cluster_ip(family, 11, 80)).unwrap();
        assert_eq!(reply.pod, "pod-1-2");
        let gone = ask::tcp(client.ns(), cluster.cluster_ip(family, 12, 80));
        assert_eq!(gone.unwrap_err().failure(), ask::Failure::Unreachable);
    }
}

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];

/// Services of all sizes, `web-10` with two endpoints among them, and a first agent on each node.
fn many_services(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(6));
    let pods = cluster.lab().pods();
    for (number, count) in (10_u8..).zip([2, 1, 0, 3, 8, 9, 12]) {
        let name = format!("web-{number}");
        let service = cluster.service(&name, number);
        let node_port = 30000 + u16::from(number);
        let service = service.tcp("tcp", 80).node_port(node_port);
        let service = service.udp("udp", 80).node_port(node_port);
        cluster.apply(&format!("service-{number}"), [service]);
        let slices = endpoint_slices(&name, &PORTS, &pods[..count]);
        cluster.apply(&format!("slices-{number}"), slices);
    }
    cluster.start();
    cluster
}
