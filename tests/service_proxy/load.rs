//! Changes under load: no connection may notice them.

use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::load::ChurnReport;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab, eventually};

use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(
    endpoints_come_and_go_without_a_failed_connection,
    pods_are_replaced_without_a_failed_connection,
);

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECTIONS: u64 = 10_000;

fn endpoints_come_and_go_without_a_failed_connection(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(6));
    let lab = cluster.lab();
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080);
    cluster.apply("service", [service]);
    let pods = lab.pods();
    let serve = |first: usize, count: usize| {
        let ports = [
            ("tcp", Protocol::Tcp, Echo::LINES),
            ("udp", Protocol::Udp, Echo::LINES),
        ];
        let used: Vec<_> = pods
            .iter()
            .cycle()
            .skip(first)
            .take(count)
            .cloned()
            .collect();
        cluster.apply("slices", endpoint_slices("web", &ports, &used));
    };
    serve(0, 2);
    cluster.start();

    // Endpoints that leave live on, as pods do while they terminate.
    let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let outside: Vec<SocketAddr> = Family::BOTH
        .into_iter()
        .flat_map(|family| {
            lab.nodes()
                .iter()
                .map(move |node| (node.ip(family), 30080).into())
        })
        .collect();
    let pod = lab.pod("pod-1-1");
    let churns = [
        Churn::tcp(inside)
            .conversations(CONNECTIONS)
            .start(pod.ns()),
        Churn::udp(inside).start(pod.ns()),
        Churn::tcp(outside.clone()).start(lab.client().ns()),
        Churn::udp(outside).start(lab.client().ns()),
    ];
    // One more, one less, others of the same number, few to many and back: every way in which the
    // layout of a Service changes.
    let counts = [2, 3, 2, 1, 2, 5, 8, 9, 12, 11, 9, 8, 4, 1];
    let mut changes = 0;
    let mut rounds = counts.iter().cycle().enumerate();
    while churns[0].done() < CONNECTIONS {
        let (first, count) = rounds.next().unwrap();
        serve(first, *count);
        changes += 1;
        let until = (churns[0].done() + 100).min(CONNECTIONS);
        churns[0].wait_until(until, PATIENCE).unwrap();
    }
    assert!(changes >= 2 * counts.len(), "{changes} changes");
    let reports = churns.map(|churn| churn.stop().unwrap());
    assert!(reports[0].succeeded() == CONNECTIONS, "{}", reports[0]);
    for report in reports {
        unhurt(&report);
        assert_eq!(report.by_pod.len(), pods.len(), "{report}");
    }
}

fn pods_are_replaced_without_a_failed_connection(feed: Feed) {
    let cluster = Cluster::new(
        feed,
        Lab::builder()
            .nodes(2)
            .pod("web-0", "node-1")
            .pod("web-1", "node-2"),
    );
    let lab = cluster.lab();
    let client = lab.add_pod("client", "node-1").unwrap();
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    cluster.apply("service", [service]);
    let mut pods = vec![lab.pod("web-0"), lab.pod("web-1")];
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    cluster.apply("slices", endpoint_slices("web", &ports, &pods));
    cluster.start();

    let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let outside = Family::BOTH.map(|family| (lab.node("node-2").ip(family), 30080).into());
    let churns = [
        Churn::tcp(inside).start(client.ns()),
        Churn::tcp(outside).start(lab.client().ns()),
    ];
    for churn in &churns {
        // Enough for both of the first pods to be met.
        churn.wait_for_more(100, PATIENCE).unwrap();
    }
    for number in 2..12 {
        // A rolling update: the new pod is ready, the old one is told to end.
        let node = lab.nodes()[number % 2].name();
        pods.push(lab.add_pod(&format!("web-{number}"), node).unwrap());
        cluster.apply("slices", endpoint_slices("web", &ports, &pods));
        let old = pods.remove(0);
        cluster.apply("slices", endpoint_slices("web", &ports, &pods));
        // It waits (`preStop`) until it is out of everybody's tables, and for what is on its way.
        let [v4, v6] = Family::BOTH.map(|family| format!(": {} ", old.ip(family)));
        for node in lab.nodes() {
            eventually("the old pod is out of the tables", || {
                let tables = cluster.tables(node.name());
                if tables.contains(&v4) || tables.contains(&v6) {
                    Err(tables)
                } else {
                    Ok(())
                }
            });
        }
        for churn in &churns {
            churn.wait_for_more(100, PATIENCE).unwrap();
        }
        assert!(old.echo().drain(PATIENCE));
        lab.remove_pod(old.name()).unwrap();
    }
    for churn in churns {
        churn.wait_for_more(100, PATIENCE).unwrap();
        let report = churn.stop().unwrap();
        unhurt(&report);
        assert_eq!(report.by_pod.len(), 12, "{report}");
    }
}

/// A datagram is sent once, so that over UDP not even a single packet was lost. TCP sends again,
/// sometimes without need on a busy machine.
fn unhurt(report: &ChurnReport) {
    println!("{report}");
    assert_eq!(report.failed(), 0, "{report}");
}
