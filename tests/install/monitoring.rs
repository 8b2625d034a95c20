//! Rules and dashboard: valid, and about metrics that there are.

use std::collections::BTreeSet;
use std::process::Command;

use fairway_model::Protocol;
use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{endpoint_slices, ingress, tls_secret};
use fairway_testkit::{Echo, Lab, ask, lab};
use serde_json::{Value, json};

use super::rendering::{folder, run, stdout};
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed, becomes};

#[test]
fn the_alerts_and_the_dashboard_are_valid_promql() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    let panels = dashboard_expressions().into_iter().map(|expression| {
        let expression = expression.replace("$__rate_interval", "5m");
        json!({"record": "panel", "expr": expression})
    });
    let panels = json!({"groups": [{"name": "panels", "rules": panels.collect::<Vec<_>>()}]});
    for rules in [alerts()["spec"].clone(), panels] {
        std::fs::write(&file, rules.to_string()).unwrap();
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "rules", "--lint=none"]).arg(&file);
        stdout(run(promtool, ""));
    }
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let asked: Vec<String> = alert_expressions()
        .into_iter()
        .chain(dashboard_expressions())
        .collect();
    let asked: BTreeSet<String> = asked.iter().flat_map(|it| metrics(it)).collect();
    assert!(asked.len() > 25, "{asked:?}");
    lab::test(|| {
        let site = site();
        let node = site.lab().node("node-1").ns();
        let missing = || {
            let address = "127.0.0.1:10249".parse().unwrap();
            let metrics = ask::http_get(node, address, "localhost", "/metrics").unwrap();
            let names: BTreeSet<String> = metrics.text().lines().filter_map(name).collect();
            let missing = asked.iter().filter(|name| !names.contains(*name));
            missing.cloned().collect::<Vec<_>>()
        };
        // Some count what takes a moment.
        becomes(Vec::new(), "what is asked for and is not there", missing);
    });
}

/// A cluster in which something of each kind has happened.
fn site() -> Site {
    let site = Site::new(Cluster::new(
        Feed::Manifests,
        Lab::builder().nodes(1).pod("web", "node-1"),
    ));
    let service = site.service("web", 10).tcp("http", 80).node_port(30080);
    let slices = endpoint_slices(
        "web",
        &[("http", Protocol::Tcp, Echo::HTTP)],
        &site.lab().pods(),
    );
    site.apply("web", slices.into_iter().chain([service.build()]));
    let issued = Authority::new("test").unwrap().server(&["secure"]).unwrap();
    site.apply("secret", [tls_secret("web", &issued)]);
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    let secure = ingress("secure")
        .class("fairway")
        .prefix("secure", "/", "web", 80);
    site.apply("ingress", [web, secure.tls(&["secure"], "web")]);
    site.start_agent("node-1");
    site.becomes("web", "/", "web");
    site
}

fn alerts() -> Value {
    let text = std::fs::read_to_string(folder().join("monitoring/prometheus-rule.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn alert_expressions() -> Vec<String> {
    let alerts = alerts();
    let groups = alerts["spec"]["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules
        .map(|rule| rule["expr"].as_str().unwrap().to_owned())
        .collect()
}

fn dashboard_expressions() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("monitoring/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The metrics that an expression selects.
fn metrics(expression: &str) -> Vec<String> {
    let words = expression.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    let ours = ["fairway_", "kubeproxy_", "process_"];
    let words = words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix)));
    words.map(str::to_owned).collect()
}

/// The name of a series, also of one of a histogram.
fn name(line: &str) -> Option<String> {
    let end = line.find(['{', ' '])?;
    Some(line[..end].to_owned()).filter(|name| !name.starts_with('#'))
}
