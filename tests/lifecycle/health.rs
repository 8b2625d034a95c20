//! What the agent says about itself.

use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Response};
use fairway_testkit::objects::{self, endpoint_slices};
use fairway_testkit::{Agent, Echo, Family, Lab, lab};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    health_and_metrics_speak_as_kube_proxy_does,
    a_node_that_leaves_is_not_healthy_but_live,
    services_without_local_endpoints_are_counted,
    the_way_of_a_change_is_measured,
);

/// Local to the node, as is the default.
const METRICS: &str = "127.0.0.1:10249";

fn health_and_metrics_speak_as_kube_proxy_does(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let lab = cluster.lab();
    let service = cluster.service("web", 10).tcp("", 80);
    let pods = lab.pods();
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &pods);
    cluster.apply("service", [service]);
    cluster.start();
    let node = lab.node("node-1");

    // Load balancers ask from outside.
    let outside = SocketAddr::new(node.ip(Family::V4), Agent::HEALTH.port());
    for path in ["/healthz", "/livez"] {
        let response = get(lab.balancer().ns(), outside, path);
        assert_eq!(response.status, 200);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["healthy"], true, "{body}");
        for family in ["IPv4", "IPv6"] {
            assert_eq!(body["status"][family]["healthy"], true, "{body}");
            assert!(body["status"][family]["lastUpdated"].is_string(), "{body}");
        }
        assert_eq!(body["nodeEligible"] == true, path == "/healthz", "{body}");
    }
    let ask_metrics = |path: &str| get(node.ns(), METRICS.parse().unwrap(), path);
    assert_eq!(ask_metrics("/healthz").text(), "ok");
    assert_eq!(ask_metrics("/proxyMode").text(), "nftables");
    let metrics = || ask_metrics("/metrics").text();
    let text = metrics();
    for family in ["IPv4", "IPv6"] {
        let label = format!("{{ip_family=\"{family}\"}}");
        for name in [
            "sync_proxy_rules_duration_seconds_count",
            "sync_full_proxy_rules_duration_seconds_count",
            "sync_partial_proxy_rules_duration_seconds_count",
            "sync_proxy_rules_last_timestamp_seconds",
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "network_programming_duration_seconds_count",
            "sync_proxy_rules_nftables_sync_failures_total",
            "sync_proxy_rules_nftables_cleanup_failures_total",
        ] {
            let line = format!("\nkubeproxy_{name}{label} ");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
    for line in [
        "\nkubeproxy_sync_proxy_rules_endpoint_changes_pending ",
        "\nkubeproxy_sync_proxy_rules_endpoint_changes_total ",
        "\nkubeproxy_sync_proxy_rules_service_changes_pending ",
        "\nkubeproxy_sync_proxy_rules_service_changes_total ",
        "\nkubeproxy_proxy_healthz_total{code=\"200\"} ",
        "\nkubeproxy_proxy_livez_total{code=\"200\"} ",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_start_time_seconds ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // A change is counted.
    let partial = "kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"}";
    let before = value(&text, partial);
    cluster.apply("slices", slices);
    becomes(true, "a partial sync is counted", || {
        value(&metrics(), partial) > before
    });
    for family in Family::BOTH {
        ask::tcp(pods[0].ns(), cluster.cluster_ip(family, 10, 80)).unwrap();
    }
}

fn a_node_that_leaves_is_not_healthy_but_live(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(0));
    cluster.start();
    let node = cluster.lab().node("node-1");
    let probe = |family, path: &str| {
        let outside = SocketAddr::new(node.ip(family), Agent::HEALTH.port());
        let response = get(cluster.lab().balancer().ns(), outside, path);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let eligible = body["nodeEligible"].as_bool();
        // The rules are as they should be.
        assert_eq!(body["healthy"], true);
        (response.status.as_u16(), eligible)
    };
    let eligible = objects::node(node);
    let with = |path: &str, value: Value| {
        let mut object = eligible.clone();
        *object.pointer_mut(path).unwrap() = value;
        cluster.apply("nodes", [object]);
    };
    let both_say = |status: u16| {
        for family in Family::BOTH {
            let expected = (status, Some(status == 200));
            becomes(expected, "health", || probe(family, "/healthz"));
            assert_eq!(probe(family, "/livez"), (200, None));
        }
    };
    let taint = |key: &str| json!({"taints": [{"key": key, "effect": "NoSchedule"}]});
    both_say(200);
    with("/spec", taint("ToBeDeletedByClusterAutoscaler"));
    both_say(503);
    // Others mean only that no new pods come.
    with("/spec", taint("node.kubernetes.io/unschedulable"));
    both_say(200);
    let mut metadata = eligible["metadata"].clone();
    metadata["deletionTimestamp"] = "2026-11-22T10:00:00Z".into();
    with("/metadata", metadata);
    both_say(503);
    cluster.apply("nodes", [eligible.clone()]);
    both_say(200);

    let metrics = get(node.ns(), METRICS.parse().unwrap(), "/metrics").text();
    for (series, least) in [
        ("kubeproxy_proxy_healthz_total{code=\"200\"}", 6.0),
        ("kubeproxy_proxy_healthz_total{code=\"503\"}", 4.0),
        ("kubeproxy_proxy_livez_total{code=\"200\"}", 10.0),
    ] {
        assert!(value(&metrics, series) >= least, "{series} in\n{metrics}");
    }
    assert!(!metrics.contains("kubeproxy_proxy_livez_total{code=\"503\"}"));
}

fn services_without_local_endpoints_are_counted(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let pods = |pods: &[&str]| {
        let pods: Vec<_> = pods.iter().map(|name| cluster.lab().pod(name)).collect();
        let slices = |name| endpoint_slices(name, &[("", Protocol::Tcp, Echo::LINES)], &pods);
        cluster.apply("slices", ["inside", "outside"].into_iter().flat_map(slices));
    };
    let inside = cluster.service("inside", 10).tcp("", 80);
    let outside = cluster.service("outside", 11).tcp("", 80).node_port(30080);
    let services = [
        inside.internal_traffic_local(),
        outside.external_traffic_local(),
    ];
    cluster.apply("services", services);
    pods(&["pod-2-1"]);
    cluster.start();
    let counts = |node: &str| {
        let ns = cluster.lab().node(node).ns();
        let metrics = get(ns, METRICS.parse().unwrap(), "/metrics").text();
        let name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
        let count = |family: &str, policy: &str| {
            let labels = format!("{{ip_family=\"{family}\",traffic_policy=\"{policy}\"}}");
            value(&metrics, &format!("{name}{labels}"))
        };
        ["IPv4", "IPv6"].map(|family| ["internal", "external"].map(|policy| count(family, policy)))
    };
    assert_eq!(counts("node-1"), [[1.0, 1.0], [1.0, 1.0]]);
    assert_eq!(counts("node-2"), [[0.0, 0.0], [0.0, 0.0]]);
    pods(&["pod-1-1", "pod-2-1"]);
    let none = [[0.0, 0.0], [0.0, 0.0]];
    becomes(none, "the gauge", || counts("node-1"));
    // Without any endpoint they are refused everywhere, which is another matter.
    pods(&["pod-1-1"]);
    becomes([[1.0, 1.0], [1.0, 1.0]], "the gauge", || counts("node-2"));
    pods(&[]);
    becomes(none, "the gauge", || counts("node-2"));
}

fn the_way_of_a_change_is_measured(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    cluster.apply("web", [cluster.service("web", 10).tcp("", 80)]);
    let slices = |pod: &str, triggered: &str| {
        let pods = [cluster.lab().pod(pod)];
        let mut slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &pods);
        // Of one family: the other's slice changed for a reason that nobody knows.
        let annotation = "endpoints.kubernetes.io/last-change-trigger-time";
        slices[0]["metadata"]["annotations"] = json!({annotation: triggered});
        cluster.apply("slices", slices);
    };
    slices("pod-1-1", "2100-01-01T00:00:00Z");
    cluster.start();
    let node = cluster.lab().node("node-1").ns();
    let counts = || {
        let metrics = get(node, METRICS.parse().unwrap(), "/metrics").text();
        ["IPv4", "IPv6"].map(|family| {
            let name = "kubeproxy_network_programming_duration_seconds_count";
            value(&metrics, &format!("{name}{{ip_family=\"{family}\"}}"))
        })
    };
    // What was so at the start is not measured, nor what began before.
    assert_eq!(counts(), [0.0, 0.0]);
    slices("pod-1-2", "2026-01-01T00:00:00Z");
    answers(&cluster, "pod-1-2");
    assert_eq!(counts(), [0.0, 0.0]);
    slices("pod-1-1", "2100-01-01T00:00:00.000000001Z");
    answers(&cluster, "pod-1-1");
    becomes([1.0, 0.0], "the count", counts);
    slices("pod-1-2", "not a time");
    answers(&cluster, "pod-1-2");
    assert_eq!(counts(), [1.0, 0.0]);
}

fn answers(cluster: &Cluster, pod: &str) {
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        becomes(Ok(pod.to_owned()), "the answer", || {
            who(ask::tcp(cluster.lab().pod("pod-1-1").ns(), at))
        });
    }
}

#[test]
fn a_node_without_an_object_is_not_healthy() {
    lab::test(|| {
        let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(0));
        cluster.delete("nodes");
        let agent = cluster.spawn_agent("node-1");
        agent
            .wait_for_log("ready", Duration::from_secs(20))
            .unwrap();
        let ns = cluster.lab().node("node-1").ns();
        let status = |path| get(ns, Agent::HEALTH, path).status.as_u16();
        assert_eq!([status("/healthz"), status("/livez")], [503, 200]);
        let node = objects::node(cluster.lab().node("node-1"));
        cluster.apply("nodes", [node]);
        becomes(200, "health", || status("/healthz"));
        cluster.delete("nodes");
        becomes(503, "health", || status("/healthz"));
    });
}

fn get(ns: &fairway_testkit::lab::Namespace, server: SocketAddr, path: &str) -> Response {
    ask::http_get(ns, server, "node", path).unwrap()
}

fn value(metrics: &str, series: &str) -> f64 {
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(series));
    lines
        .next()
        .expect("the series is there")
        .trim()
        .parse()
        .unwrap()
}
