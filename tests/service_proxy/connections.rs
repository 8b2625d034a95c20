//! `--count-connections`: how many connections Services and endpoints got.

use std::collections::BTreeMap;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::objects::{Object, Service, endpoint_slices};
use fairway_testkit::{Churn, Echo, Family, Lab, ask};

use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways};

fed_both_ways!(
    connections_are_counted_by_endpoint,
    counting_begins_and_ends_without_a_lost_packet,
);

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];
const NODE_PORT: u16 = 30080;

/// The totals of a metric by the labels that we are after.
fn totals(cluster: &Cluster, metric: &str, labels: &[&str]) -> BTreeMap<String, u64> {
    let ns = cluster.lab().node("node-1").ns();
    let metrics = ([127, 0, 0, 1], 10249).into();
    let response = ask::http_get(ns, metrics, "localhost", "/metrics").unwrap();
    let prefix = format!("{metric}{{");
    let mut totals = BTreeMap::new();
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    let lines = text.lines();
    for (series, value) in lines.filter_map(|line| line.strip_prefix(&prefix)?.split_once("} ")) {
        let values = labels.iter().filter_map(|label| {
            let (_, rest) = series.split_once(&format!("{label}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        });
        let key = values.collect::<Vec<_>>().join(" ");
        *totals.entry(key).or_default() += value.parse::<u64>().unwrap();
    }
    totals
}

fn of_service(cluster: &Cluster) -> BTreeMap<String, u64> {
    let labels = ["namespace", "service", "port"];
    totals(cluster, "fairway_service_connections_total", &labels)
}

fn of_endpoints(cluster: &Cluster) -> BTreeMap<String, u64> {
    totals(cluster, "fairway_endpoint_connections_total", &["endpoint"])
}

fn web(cluster: &Cluster) -> Object<Service> {
    let service = cluster.service("web", 10).tcp("tcp", 80);
    let service = service.node_port(NODE_PORT).udp("udp", 80);
    service.node_port(NODE_PORT)
}

/// Drawn, remembered and hashed; from a pod, from the node and from outside.
fn connections_are_counted_by_endpoint(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let cluster = cluster.with_flags(&["--count-connections"]);
    let lab = cluster.lab();
    let pods = lab.pods();
    let slices = endpoint_slices("web", &PORTS, &pods);
    cluster.apply("web", [web(&cluster)]);
    cluster.apply("endpoints", slices);
    cluster.start();
    let node = lab.node("node-1");

    let mut by_pod: BTreeMap<String, u64> = BTreeMap::new();
    let mut all = 0;
    let mut connect = |by_pod: &mut BTreeMap<String, u64>| {
        for family in Family::BOTH {
            let cluster_ip = cluster.cluster_ip(family, 10, 80);
            let node_port = (node.ip(family), NODE_PORT).into();
            let clients = [
                (lab.client().ns(), node_port),
                (node.ns(), cluster_ip),
                (node.ns(), node_port),
                (pods[0].ns(), cluster_ip),
            ];
            for (client, at) in clients {
                for ask in TCP_AND_UDP {
                    for _ in 0..2 {
                        let reply = ask(client, at).unwrap();
                        let pod = pods.iter().find(|pod| pod.name() == reply.pod).unwrap();
                        let endpoint = std::net::SocketAddr::from((pod.ip(family), Echo::LINES));
                        *by_pod.entry(endpoint.to_string()).or_default() += 1;
                        all += 1;
                    }
                }
            }
        }
        all
    };
    let both_ports = |connections: u64| {
        let ports = ["tcp", "udp"].map(|port| format!("default web {port}"));
        BTreeMap::from(ports.map(|port| (port, connections / 2)))
    };
    let drawn = connect(&mut by_pod);
    assert_eq!(of_service(&cluster), both_ports(drawn));
    assert_eq!(of_endpoints(&cluster), by_pod);

    let sticky = web(&cluster).annotation("fairway.dev/balance", "maglev");
    cluster.apply("web", [sticky.client_ip_affinity(60)]);
    becomes(true, "clients are hashed and remembered", || {
        let tables = cluster.tables("node-1");
        tables.matches("jhash").count() == 4 && tables.matches("map clients-60").count() == 2
    });
    let more = connect(&mut by_pod);
    assert_eq!(of_service(&cluster), both_ports(more));
    assert_eq!(of_endpoints(&cluster), by_pod);

    // What an endpoint had counts for its Service when it is gone, and begins anew with the agent.
    cluster.apply("endpoints", endpoint_slices("web", &PORTS, &pods[..1]));
    let left: Vec<_> = Family::BOTH
        .map(|family| std::net::SocketAddr::from((pods[0].ip(family), Echo::LINES)).to_string())
        .into();
    by_pod.retain(|endpoint, _| left.contains(endpoint));
    becomes(by_pod, "the endpoints", || of_endpoints(&cluster));
    assert_eq!(of_service(&cluster), both_ports(more));
    cluster.agent("node-1").kill().unwrap();
    cluster.start_agent("node-1");
    assert_eq!(of_service(&cluster), BTreeMap::new());
    ask::tcp(node.ns(), cluster.cluster_ip(Family::V4, 10, 80)).unwrap();
    let one = BTreeMap::from([("default web tcp".to_owned(), 1)]);
    assert_eq!(of_service(&cluster), one);
}

/// By a file of the configuration: what it says of the tables is followed while they are in use.
fn counting_begins_and_ends_without_a_lost_packet(feed: Feed) {
    const PATIENCE: Duration = Duration::from_secs(60);
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("fairway.yaml");
    let configure = |counting: bool| {
        let new = directory.path().join(".new");
        let text = format!(
            "apiVersion: fairway.dev/v1alpha1\n\
             kind: FairwayConfiguration\n\
             drainSeconds: 1\n\
             countConnections: {counting}\n"
        );
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    configure(false);
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let cluster = cluster.with_flags(&["--config", file.to_str().unwrap()]);
    let lab = cluster.lab();
    cluster.apply("web", [web(&cluster)]);
    cluster.apply("endpoints", endpoint_slices("web", &PORTS, &lab.pods()));
    cluster.start();
    let servers = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    let churns = [
        Churn::tcp(servers).start(lab.pod("pod-1-1").ns()),
        Churn::udp(servers).start(lab.pod("pod-1-1").ns()),
    ];
    let go_on = || {
        for churn in &churns {
            churn.wait_for_more(100, PATIENCE).unwrap();
        }
    };
    let sets = || {
        let tables = cluster.tables("node-1");
        ["set connections {", "set node-port-connections {"].map(|set| tables.matches(set).count())
    };
    go_on();
    assert_eq!(sets(), [0, 0]);
    configure(true);
    becomes([2, 2], "the sets that count", sets);
    go_on();
    becomes(true, "that connections are counted", || {
        let counted = of_service(&cluster);
        ["tcp", "udp"].map(|port| counted.contains_key(&format!("default web {port}"))) == [true; 2]
    });
    configure(false);
    becomes([0, 0], "the sets that count", sets);
    go_on();
    for churn in churns {
        let report = churn.stop().unwrap();
        assert_eq!(report.failed(), 0, "{report}");
    }
}
