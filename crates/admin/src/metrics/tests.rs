use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;

use super::*;
use crate::encode;

/// One metric family of the text format, read strictly.
#[derive(Debug, Default)]
struct Parsed {
    kind: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn now() -> Moment {
    Moment {
        monotonic: Instant::now(),
        wall: Timestamp::constant(1_795_341_600, 500_000_000),
    }
}

/// Parses the text format 0.0.4 and panics at whatever a scraper would stumble over.
fn parse(text: &str) -> BTreeMap<String, Parsed> {
    let mut families = BTreeMap::<String, Parsed>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap().to_owned();
            let first = families
                .insert(current.clone(), Parsed::default())
                .is_none();
            assert!(first, "{current} comes twice");
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let sample = parse_sample(line);
            let family = families
                .get_mut(&current)
                .expect("a sample before its family");
            let suffix = sample
                .name
                .strip_prefix(current.as_str())
                .expect("a stray sample");
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_sum", "_count", "_bucket"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            family.samples.push(sample);
        }
    }
    families
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    let labels = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (key, value) = label.split_once('=').unwrap();
            let value = value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .unwrap();
            (key.to_owned(), value.to_owned())
        });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value.parse().unwrap(),
    }
}

fn scrape(metrics: &ServiceProxyMetrics) -> BTreeMap<String, Parsed> {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    parse(&encode(&registry).unwrap())
}

fn value(families: &BTreeMap<String, Parsed>, name: &str, family: &str) -> f64 {
    let samples = &families[name].samples;
    let found = samples
        .iter()
        .find(|sample| sample.labels["ip_family"] == family);
    found
        .unwrap_or_else(|| panic!("no {name} of {family}"))
        .value
}

#[test]
fn names_types_and_labels_are_those_of_kube_proxy() {
    let metrics = ServiceProxyMetrics::new();
    let v4 = metrics.family(IpFamily::Ipv4);
    v4.synced(SyncKind::Full, SyncOutcome::Applied, Duration::ZERO, now());
    metrics.probes().healthz.answered(StatusCode::OK);
    metrics
        .probes()
        .livez
        .answered(StatusCode::SERVICE_UNAVAILABLE);

    let families = scrape(&metrics);
    let found: BTreeMap<&str, (&str, Vec<&str>)> = families
        .iter()
        .map(|(name, family)| {
            let labels = family.samples.last().expect("a sample").labels.keys();
            let labels = labels.map(String::as_str).filter(|label| *label != "le");
            (name.as_str(), (family.kind.as_str(), labels.collect()))
        })
        .collect();
    let by_family = vec!["ip_family"];
    let expected = BTreeMap::from([
        (
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            ("counter", by_family.clone()),
        ),
        (
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            ("histogram", by_family.clone()),
        ),
        (
            "kubeproxy_network_programming_duration_seconds",
            ("histogram", by_family.clone()),
        ),
        ("kubeproxy_proxy_healthz_total", ("counter", vec!["code"])),
        ("kubeproxy_proxy_livez_total", ("counter", vec!["code"])),
        (
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            ("histogram", by_family.clone()),
        ),
        (
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            ("histogram", by_family.clone()),
        ),
        (
            "kubeproxy_sync_proxy_rules_duration_seconds",
            ("histogram", by_family.clone()),
        ),
        (
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
            ("gauge", vec![]),
        ),
        (
            "kubeproxy_sync_proxy_rules_endpoint_changes_total",
            ("counter", vec![]),
        ),
        (
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            ("gauge", by_family.clone()),
        ),
        (
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            ("gauge", by_family.clone()),
        ),
        (
            "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total",
            ("counter", by_family.clone()),
        ),
        (
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            ("counter", by_family),
        ),
        (
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            ("gauge", vec!["ip_family", "traffic_policy"]),
        ),
        (
            "kubeproxy_sync_proxy_rules_service_changes_pending",
            ("gauge", vec![]),
        ),
        (
            "kubeproxy_sync_proxy_rules_service_changes_total",
            ("counter", vec![]),
        ),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn buckets_are_those_of_kube_proxy_and_cumulative() {
    let metrics = ServiceProxyMetrics::new();
    let v4 = metrics.family(IpFamily::Ipv4);
    v4.synced(
        SyncKind::Partial,
        SyncOutcome::Applied,
        Duration::from_millis(3),
        now(),
    );
    v4.programmed(Duration::from_millis(400));
    let families = scrape(&metrics);

    let bounds = |name: &str| -> Vec<String> {
        let samples = families[name].samples.iter();
        samples
            .filter_map(|sample| sample.labels.get("le").cloned())
            .collect()
    };
    assert_eq!(
        bounds("kubeproxy_sync_proxy_rules_duration_seconds"),
        [
            "0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256",
            "0.512", "1.024", "2.048", "4.096", "8.192", "16.384", "+Inf"
        ]
    );
    let programming = bounds("kubeproxy_network_programming_duration_seconds");
    assert_eq!(programming[..4], ["0.25", "0.5", "1", "2"]);
    assert_eq!(programming[60..64], ["59", "60", "65", "70"]);
    assert_eq!(
        programming[72..],
        [
            "115", "120", "150", "180", "210", "240", "270", "300", "+Inf"
        ][..]
    );

    for name in [
        "kubeproxy_sync_proxy_rules_duration_seconds",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    ] {
        let buckets = families[name]
            .samples
            .iter()
            .filter(|sample| sample.name.ends_with("_bucket"));
        let counts: Vec<f64> = buckets.map(|sample| sample.value).collect();
        assert_eq!(counts[..3], [0.0, 0.0, 1.0], "{name}");
        assert_eq!(counts.last(), Some(&1.0), "{name}");
    }
}

#[test]
fn each_sync_leaves_its_times_and_its_failure() {
    let metrics = ServiceProxyMetrics::new();
    let v6 = metrics.family(IpFamily::Ipv6);
    let of = |name: &str| {
        let name = format!("kubeproxy_sync_proxy_rules_{name}");
        value(&scrape(&metrics), &name, "IPv6")
    };
    v6.queued(now());
    let failed = SyncOutcome::Failed;
    v6.synced(SyncKind::Partial, failed, Duration::ZERO, now());
    assert_eq!(of("nftables_sync_failures_total"), 1.0);
    assert_eq!(of("last_timestamp_seconds"), 0.0);
    assert_eq!(of("last_queued_timestamp_seconds"), 1_795_341_600.5);

    v6.synced(SyncKind::Full, SyncOutcome::Applied, Duration::ZERO, now());
    assert_eq!(of("last_timestamp_seconds"), 1_795_341_600.5);
    assert_eq!(of("nftables_cleanup_failures_total"), 0.0);
    v6.cleanup_failed();
    assert_eq!(of("nftables_cleanup_failures_total"), 1.0);
}

#[test]
fn changes_are_pending_until_every_family_has_them() {
    let metrics = ServiceProxyMetrics::new();
    metrics.changed(2, 3);
    let counts = || {
        let families = scrape(&metrics);
        let of = |name: &str| {
            let samples = &families[&format!("kubeproxy_sync_proxy_rules_{name}")].samples;
            assert_eq!(samples.len(), 1, "{name}");
            samples[0].value
        };
        [
            of("service_changes_pending"),
            of("service_changes_total"),
            of("endpoint_changes_pending"),
            of("endpoint_changes_total"),
        ]
    };
    assert_eq!(counts(), [2.0, 2.0, 3.0, 3.0]);
    metrics.all_applied();
    assert_eq!(counts(), [0.0, 2.0, 0.0, 3.0]);
    metrics.changed(1, 0);
    assert_eq!(counts(), [1.0, 3.0, 0.0, 3.0]);
}

#[test]
fn services_without_local_endpoints_are_told_by_policy() {
    let metrics = ServiceProxyMetrics::new();
    metrics.family(IpFamily::Ipv4).without_local_endpoints(2, 3);
    let families = scrape(&metrics);
    let samples = &families["kubeproxy_sync_proxy_rules_no_local_endpoints_total"].samples;
    for (policy, count) in [("internal", 2.0), ("external", 3.0)] {
        let mut samples = samples.iter();
        let sample = samples.find(|sample| sample.labels["traffic_policy"] == policy);
        assert_eq!(sample.unwrap().value, count);
    }
}

#[test]
fn a_family_that_is_not_proxied_shows_no_series() {
    let metrics = ServiceProxyMetrics::new();
    metrics.family(IpFamily::Ipv4);
    let families = scrape(&metrics);
    for sample in families.values().flat_map(|family| &family.samples) {
        let family = sample.labels.get("ip_family");
        assert!(family.is_none_or(|family| family == "IPv4"), "{sample:?}");
    }
}
