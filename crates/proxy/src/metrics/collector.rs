use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Shards;
use super::shard::{BUCKETS, RouteLabels, RouteStats, Shard};
use crate::downstream::proxy_protocol;
use crate::error::Rejection;
use crate::tls::Failure;

/// Adds the shards up when somebody looks.
#[derive(Debug)]
pub(super) struct Sum {
    shards: Arc<Shards>,
}

#[derive(Default)]
struct Route {
    codes: BTreeMap<String, u64>,
    buckets: [u64; BUCKETS.len() + 1],
    seconds: f64,
    connect_failures: u64,
}

impl Route {
    fn add(&mut self, stats: &RouteStats) {
        for (code, count) in stats.codes().filter(|(_, count)| *count > 0) {
            *self.codes.entry(code).or_default() += count;
        }
        for (sum, count) in self.buckets.iter_mut().zip(stats.buckets()) {
            *sum += count;
        }
        self.seconds += stats.seconds();
        self.connect_failures += stats.connect_failures.get();
    }
}

impl Sum {
    pub(super) fn new(shards: Arc<Shards>) -> Self {
        Self { shards }
    }
}

impl Collector for Sum {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shards = self.shards.all();
        // Several rules of one object share their labels.
        let mut routes: BTreeMap<RouteLabels, Route> = BTreeMap::new();
        for shard in shards.iter() {
            for stats in shard.routes().iter() {
                routes.entry(stats.labels.clone()).or_default().add(stats);
            }
        }
        let sum = |count: fn(&Shard) -> u64| shards.iter().map(|shard| count(shard)).sum::<u64>();

        encode_routes(&mut encoder, &routes)?;
        let mut rejected = encoder.encode_descriptor(
            "fairway_proxy_rejected_requests",
            "Requests that were refused before they were routed",
            None,
            MetricType::Counter,
        )?;
        for rejection in Rejection::ALL {
            let count: u64 = shards.iter().map(|shard| shard.rejections(rejection)).sum();
            rejected
                .encode_family(&[("reason", rejection.label())])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let mut refused = encoder.encode_descriptor(
            "fairway_proxy_proxy_protocol_failures",
            "Connections closed because of the PROXY protocol",
            None,
            MetricType::Counter,
        )?;
        for failure in proxy_protocol::Failure::ALL {
            let count: u64 = shards
                .iter()
                .map(|shard| shard.proxy_protocol_failures(failure))
                .sum();
            refused
                .encode_family(&[("reason", failure.label())])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let mut failed = encoder.encode_descriptor(
            "fairway_proxy_tls_handshake_failures",
            "TLS handshakes that came to nothing",
            None,
            MetricType::Counter,
        )?;
        for failure in Failure::ALL {
            let count: u64 = shards
                .iter()
                .map(|shard| shard.handshake_failures(failure))
                .sum();
            failed
                .encode_family(&[("reason", failure.label())])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let accepted = sum(|shard| shard.accepted.get());
        let active = accepted.saturating_sub(sum(|shard| shard.closed.get()));
        encoder
            .encode_descriptor(
                "fairway_proxy_client_connections",
                "Client connections that are open",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&i64::try_from(active).unwrap_or(i64::MAX))?;
        for (name, help, count) in [
            (
                "fairway_proxy_client_connections_accepted",
                "Client connections accepted",
                accepted,
            ),
            (
                "fairway_proxy_accept_errors",
                "Failed accepts, most often because of the file descriptor limit",
                sum(|shard| shard.accept_errors.get()),
            ),
            (
                "fairway_proxy_client_connections_refused",
                "Client connections closed because their client has as many as it may",
                sum(|shard| shard.refused_connections.get()),
            ),
            (
                "fairway_proxy_client_connections_shed",
                "Idle client connections closed to make room for others",
                sum(|shard| shard.shed_connections.get()),
            ),
            (
                "fairway_proxy_tls_handshakes",
                "TLS handshakes completed",
                sum(|shard| shard.handshakes.get()),
            ),
            (
                "fairway_proxy_upstream_connections_opened",
                "Connections opened to endpoints",
                sum(|shard| shard.upstream_connections.get()),
            ),
            (
                "fairway_proxy_upstream_retries",
                "Requests sent again after they had left for an endpoint",
                sum(|shard| shard.upstream_retries.get()),
            ),
            (
                "fairway_proxy_upstream_retries_over_budget",
                "Requests not sent again because the upstream's retry budget was used up",
                sum(|shard| shard.retries_over_budget.get()),
            ),
            (
                "fairway_proxy_upstream_ejections",
                "Times that a thread left an endpoint alone because requests to it failed",
                sum(|shard| shard.ejections.get()),
            ),
            (
                "fairway_proxy_upstream_full",
                "Requests refused because their upstream had as many as it may",
                sum(|shard| shard.upstream_full.get()),
            ),
            (
                "fairway_proxy_underscore_headers_dropped",
                "Request headers dropped for an underscore in their name",
                sum(|shard| shard.underscore_headers.get()),
            ),
            (
                "fairway_proxy_access_log_lines_dropped",
                "Access log lines dropped because the reader was too slow",
                sum(|shard| shard.log_lines_dropped.get()),
            ),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

fn encode_routes(
    encoder: &mut DescriptorEncoder<'_>,
    routes: &BTreeMap<RouteLabels, Route>,
) -> fmt::Result {
    let mut requests = encoder.encode_descriptor(
        "fairway_proxy_requests",
        "Requests answered, by the status sent",
        None,
        MetricType::Counter,
    )?;
    for (labels, route) in routes {
        for (code, count) in &route.codes {
            let [host, namespace, ingress, service] = pairs(labels);
            requests
                .encode_family(&[host, namespace, ingress, service, ("code", code.as_str())])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
    }
    let mut durations = encoder.encode_descriptor(
        "fairway_proxy_request_duration_seconds",
        "From the last byte of the request head to the last byte of the response",
        None,
        MetricType::Histogram,
    )?;
    for (labels, route) in routes {
        let bounds = BUCKETS.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(route.buckets).collect();
        durations
            .encode_family(&pairs(labels))?
            .encode_histogram::<NoLabelSet>(
                route.seconds,
                route.buckets.iter().sum(),
                &buckets,
                None,
            )?;
    }
    let mut failures = encoder.encode_descriptor(
        "fairway_proxy_upstream_connect_failures",
        "Endpoints that could not be connected to",
        None,
        MetricType::Counter,
    )?;
    for (labels, route) in routes
        .iter()
        .filter(|(labels, _)| !labels.service.is_empty())
    {
        failures
            .encode_family(&pairs(labels))?
            .encode_counter::<NoLabelSet, _, u64>(&route.connect_failures, None)?;
    }
    Ok(())
}

fn pairs(labels: &RouteLabels) -> [(&'static str, &str); 4] {
    [
        ("host", &labels.host),
        ("namespace", &labels.namespace),
        ("ingress", &labels.ingress),
        ("service", &labels.service),
    ]
}
