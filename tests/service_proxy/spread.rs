//! Every endpoint gets its share.

use fairway_model::Protocol;
use fairway_testkit::load::ChurnReport;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Churn, Echo, Family, Lab};

use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(connections_are_split_evenly);

fn connections_are_split_evenly(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(6));
    let lab = cluster.lab();
    let pods = lab.pods();
    // Two, three, as many as have a slot each, and more, which are drawn.
    let counts = [2, 3, 8, 12];
    for (number, count) in (10..).zip(counts) {
        let name = format!("web-{count}");
        let service = cluster.service(&name, number);
        let service = service.tcp("tcp", 80).node_port(30000 + u16::from(number));
        let service = service.udp("udp", 80).build();
        let ports = [
            ("tcp", Protocol::Tcp, Echo::LINES),
            ("udp", Protocol::Udp, Echo::LINES),
        ];
        let slices = endpoint_slices(&name, &ports, &pods[..count]);
        cluster.apply(&name, slices.into_iter().chain([service]));
    }
    cluster.start();
    let pod = lab.pod("pod-1-1");
    for (number, count) in (10..).zip(counts) {
        for family in Family::BOTH {
            let cluster_ip = [cluster.cluster_ip(family, number, 80)];
            // Where endpoints are drawn, enough to tell four draws from one: with one, the upper
            // slots would get a quarter less than their share.
            let conversations = if count > 8 { 6000 } else { 400 };
            let tcp = Churn::tcp(cluster_ip).conversations(conversations);
            even(count, &tcp.run(pod.ns()).unwrap());
            let udp = Churn::udp(cluster_ip).conversations(400).run(pod.ns());
            even(count, &udp.unwrap());
            let node_port = (lab.node("node-2").ip(family), 30000 + u16::from(number));
            let churn = Churn::tcp([node_port.into()]).conversations(400);
            even(count, &churn.run(lab.client().ns()).unwrap());
        }
    }
}

/// Within five standard deviations, and for draws a percent of what is expected: three of four
/// slots are taken, so 1 in 256 connections settles for the lower ones.
fn even(count: usize, report: &ChurnReport) {
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.by_pod.len(), count, "{report}");
    let (total, share) = (report.succeeded() as f64, 1.0 / count as f64);
    let expected = total * share;
    let tolerance = 5.0 * (expected * (1.0 - share)).sqrt() + 0.01 * expected;
    for (pod, number) in &report.by_pod {
        let deviation = (*number as f64 - expected).abs();
        assert!(deviation <= tolerance, "{pod} of {count}: {report}");
    }
}
