//! New connections as fast as the machine makes them, while all endpoints are replaced again and
//! again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::lab::{self, Pod};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab, eventually};

use crate::support::{Cluster, Feed};

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);
const ENDPOINTS: usize = 3;

/// `FAIRWAY_LOAD_SECONDS=30` makes it the test that `docs/scenarios-service-proxy.md` records: of so
/// many seconds, in which all endpoints are replaced ten times, and not slower than 3,000 connections
/// a second. Without, it is twice, and the rate is only printed.
#[test]
fn no_connection_fails_while_all_endpoints_are_replaced() {
    let seconds = std::env::var("FAIRWAY_LOAD_SECONDS").ok();
    let seconds = seconds.map(|seconds| seconds.parse().expect("a number of seconds"));
    lab::test(move || replace_all(seconds));
}

fn replace_all(seconds: Option<u64>) {
    let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(2));
    let lab = cluster.lab();
    let client = lab.add_pod("client", "node-1").unwrap();
    let mut names = (0..).map(|number| format!("web-{number}"));
    let start_pod = |number: usize, name: &str| {
        let node = lab.nodes()[number % 2].name();
        lab.add_pod(name, node).unwrap()
    };
    let mut pods: Vec<Arc<Pod>> = (0..ENDPOINTS)
        .zip(&mut names)
        .map(|(number, name)| start_pod(number, &name))
        .collect();
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let serve = |pods: &[Arc<Pod>]| cluster.apply("slices", endpoint_slices("web", &ports, pods));
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    cluster.apply("service", [service]);
    serve(&pods);
    cluster.start();

    let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let outside = Family::BOTH.map(|family| (lab.node("node-2").ip(family), 30080).into());
    let started = Instant::now();
    let churns = [
        Churn::tcp(inside).concurrency(16).start(client.ns()),
        Churn::tcp(outside).concurrency(16).start(lab.client().ns()),
    ];
    let all = Duration::from_secs(seconds.unwrap_or(2));
    let rounds = if seconds.is_some() { 10 } else { 2 };
    for round in 0..rounds {
        for (number, name) in (0..ENDPOINTS).zip(&mut names) {
            pods.push(start_pod(round + number, &name));
            serve(&pods);
            let old = pods.remove(0);
            serve(&pods);
            leaves(&cluster, &old);
            let part = (round * ENDPOINTS + number) as f64 / (rounds * ENDPOINTS) as f64;
            let due = all.mul_f64(part);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    std::thread::sleep(all.saturating_sub(started.elapsed()));
    let reports = churns.map(|churn| churn.stop().unwrap());
    let took = started.elapsed();
    let mut rate = 0.0;
    for report in &reports {
        println!("{report}");
        assert_eq!(report.failed(), 0, "{report}");
        // The first three and the last three at least: in between one may be missed on a busy machine.
        assert!(report.by_pod.len() >= 2 * ENDPOINTS, "{report}");
        rate += report.succeeded() as f64 / took.as_secs_f64();
    }
    println!("{rate:.0} connections a second for {took:.1?}");
    if seconds.is_some() {
        assert!(rate >= 3_000.0, "{rate:.0} connections a second");
    }
}

/// A pod ends as it should: it serves until it is out of everybody's tables (`preStop`), and then
/// until those are done who met it at their first packet.
fn leaves(cluster: &Cluster, pod: &Pod) {
    let addresses = Family::BOTH.map(|family| format!(": {} ", pod.ip(family)));
    for node in cluster.lab().nodes() {
        eventually("the pod is out of the tables", || {
            let tables = cluster.tables(node.name());
            match addresses.iter().any(|address| tables.contains(address)) {
                true => Err(tables),
                false => Ok(()),
            }
        });
    }
    assert!(drained(pod));
    cluster.lab().remove_pod(pod.name()).unwrap();
}

/// A first packet that met the pod may still be on its way when the tables change: a millisecond or
/// two. Kubernetes allows a pod thirty seconds.
fn drained(pod: &Pod) -> bool {
    std::thread::sleep(Duration::from_millis(20));
    pod.echo().drain(PATIENCE)
}
