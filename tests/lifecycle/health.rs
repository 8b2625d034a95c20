//! What the agent says about itself.

use std::net::SocketAddr;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Response};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Agent, Echo, Family, Lab};
use serde_json::Value;

use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(health_and_metrics_speak_as_kube_proxy_does);

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
            "sync_proxy_rules_endpoint_changes_pending",
            "sync_proxy_rules_endpoint_changes_total",
            "sync_proxy_rules_service_changes_pending",
            "sync_proxy_rules_service_changes_total",
            "sync_proxy_rules_nftables_sync_failures_total",
        ] {
            let line = format!("\nkubeproxy_{name}{label} ");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
    for line in [
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
