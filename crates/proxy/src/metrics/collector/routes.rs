//! What is told by route and by Service port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::metrics::histogram::{DURATIONS, SIZES, Total};
use crate::metrics::outcome::{Code, Method, Outcome};
use crate::metrics::series::{RouteLabels, RouteSeries, UpstreamLabels, UpstreamSeries};
use crate::metrics::shard::Shard;

/// One route in all workers.
#[derive(Default)]
pub(in crate::metrics) struct Route {
    pub(in crate::metrics) in_flight: u64,
    pub(in crate::metrics) outcomes: BTreeMap<(Method, Code), Requests>,
}

/// Requests with one outcome in all workers.
pub(in crate::metrics) struct Requests {
    pub(in crate::metrics) durations: Total<12>,
    pub(in crate::metrics) upstream: Total<12>,
    pub(in crate::metrics) received: Total<7>,
    pub(in crate::metrics) sent: Total<7>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            durations: Total::new(DURATIONS),
            upstream: Total::new(DURATIONS),
            received: Total::new(SIZES),
            sent: Total::new(SIZES),
        }
    }
}

impl Requests {
    fn add(&mut self, outcome: &Outcome) {
        self.durations.add(&outcome.durations);
        self.upstream.add(&outcome.upstream);
        self.received.add(&outcome.received);
        self.sent.add(&outcome.sent);
    }

    pub(in crate::metrics) fn merge(&mut self, other: &Self) {
        self.durations.merge(&other.durations);
        self.upstream.merge(&other.upstream);
        self.received.merge(&other.received);
        self.sent.merge(&other.sent);
    }
}

impl Route {
    fn add(&mut self, series: &RouteSeries) {
        self.in_flight += series.in_flight();
        for outcome in series.outcomes.iter() {
            let key = (outcome.method, outcome.code);
            self.outcomes.entry(key).or_default().add(outcome);
        }
    }

    fn total(&self) -> Requests {
        let mut total = Requests::default();
        for requests in self.outcomes.values() {
            total.merge(requests);
        }
        total
    }
}

/// One Service port in all workers.
struct Upstream {
    tries: u64,
    connect_failures: u64,
    connect: Total<12>,
    head: Total<12>,
}

impl Upstream {
    fn new() -> Self {
        Self {
            tries: 0,
            connect_failures: 0,
            connect: Total::new(DURATIONS),
            head: Total::new(DURATIONS),
        }
    }

    fn add(&mut self, series: &UpstreamSeries) {
        self.tries += series.tries.get();
        self.connect_failures += series.connect_failures.get();
        self.connect.add(&series.connect);
        self.head.add(&series.head);
    }
}

/// Name and help of a family, and where its value is.
type OfRequests = (&'static str, &'static str, fn(&Requests) -> &Total<7>);
type OfUpstream<T> = (&'static str, &'static str, fn(&Upstream) -> T);
type HistogramOfUpstream = (&'static str, &'static str, fn(&Upstream) -> &Total<12>);

/// All routes that have series, each added up.
pub(in crate::metrics) fn sum(shards: &[Arc<Shard>]) -> BTreeMap<Arc<RouteLabels>, Route> {
    let mut routes: BTreeMap<Arc<RouteLabels>, Route> = BTreeMap::new();
    for series in shards.iter().flat_map(|shard| shard.series.routes()) {
        routes
            .entry(series.labels.clone())
            .or_default()
            .add(&series);
    }
    routes
}

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, shards: &[Arc<Shard>]) -> fmt::Result {
    encode_routes(encoder, &sum(shards))?;
    let mut upstreams: BTreeMap<UpstreamLabels, Upstream> = BTreeMap::new();
    for series in shards.iter().flat_map(|shard| shard.series.upstreams()) {
        upstreams
            .entry(series.labels.clone())
            .or_insert_with(Upstream::new)
            .add(&series);
    }
    encode_upstreams(encoder, &upstreams)
}

fn encode_routes(
    encoder: &mut DescriptorEncoder<'_>,
    routes: &BTreeMap<Arc<RouteLabels>, Route>,
) -> fmt::Result {
    let mut requests = encoder.encode_descriptor(
        "fairway_proxy_requests",
        "Requests answered, by the status sent",
        None,
        MetricType::Counter,
    )?;
    for (labels, route) in routes {
        for ((method, code), outcome) in &route.outcomes {
            let code = code.label();
            let how = [("method", method.label()), ("code", code.as_str())];
            requests
                .encode_family(&(pairs(labels), how))?
                .encode_counter::<NoLabelSet, _, u64>(&outcome.durations.count(), None)?;
        }
    }
    let mut in_flight = encoder.encode_descriptor(
        "fairway_proxy_requests_in_flight",
        "Requests that are not over yet, tunnels included",
        None,
        MetricType::Gauge,
    )?;
    for (labels, route) in routes {
        in_flight
            .encode_family(&pairs(labels))?
            .encode_gauge(&route.in_flight)?;
    }
    let totals: Vec<_> = routes
        .iter()
        .map(|(labels, route)| (labels, route.total()))
        .collect();
    let mut durations = encoder.encode_descriptor(
        "fairway_proxy_request_duration_seconds",
        "From the last byte of the request head to the last byte of the response",
        None,
        MetricType::Histogram,
    )?;
    for (labels, requests) in &totals {
        requests
            .durations
            .encode(durations.encode_family(&pairs(labels))?)?;
    }
    let mut upstream = encoder.encode_descriptor(
        "fairway_proxy_upstream_response_duration_seconds",
        "From the choice of the endpoint that answered to the last byte of its response",
        None,
        MetricType::Histogram,
    )?;
    for (labels, requests) in &totals {
        if !labels.service.is_empty() {
            requests
                .upstream
                .encode(upstream.encode_family(&pairs(labels))?)?;
        }
    }
    let bytes: [OfRequests; 2] = [
        (
            "fairway_proxy_request_body_bytes",
            "Bytes of request bodies received",
            |requests| &requests.received,
        ),
        (
            "fairway_proxy_response_body_bytes",
            "Bytes of response bodies sent",
            |requests| &requests.sent,
        ),
    ];
    for (name, help, size) in bytes {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, requests) in &totals {
            family
                .encode_family(&pairs(labels))?
                .encode_counter::<NoLabelSet, _, u64>(&(size(requests).sum() as u64), None)?;
        }
    }
    Ok(())
}

fn encode_upstreams(
    encoder: &mut DescriptorEncoder<'_>,
    upstreams: &BTreeMap<UpstreamLabels, Upstream>,
) -> fmt::Result {
    let counters: [OfUpstream<u64>; 2] = [
        (
            "fairway_proxy_upstream_tries",
            "Endpoints tried; more than requests where some are tried again",
            |upstream| upstream.tries,
        ),
        (
            "fairway_proxy_upstream_connect_failures",
            "Endpoints that could not be connected to",
            |upstream| upstream.connect_failures,
        ),
    ];
    for (name, help, count) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, upstream) in upstreams {
            family
                .encode_family(&of_service(labels))?
                .encode_counter::<NoLabelSet, _, u64>(&count(upstream), None)?;
        }
    }
    let histograms: [HistogramOfUpstream; 2] = [
        (
            "fairway_proxy_upstream_connect_duration_seconds",
            "How long new connections to endpoints took, TLS included",
            |upstream| &upstream.connect,
        ),
        (
            "fairway_proxy_upstream_head_duration_seconds",
            "From the choice of an endpoint to the head of its response",
            |upstream| &upstream.head,
        ),
    ];
    for (name, help, histogram) in histograms {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, upstream) in upstreams {
            histogram(upstream).encode(family.encode_family(&of_service(labels))?)?;
        }
    }
    Ok(())
}

fn pairs(labels: &RouteLabels) -> [(&'static str, &str); 6] {
    [
        ("host", &labels.host),
        ("path", &labels.path),
        ("namespace", &labels.namespace),
        ("ingress", &labels.ingress),
        ("service", &labels.service),
        ("port", &labels.port),
    ]
}

fn of_service(labels: &UpstreamLabels) -> [(&'static str, &str); 3] {
    [
        ("namespace", &labels.namespace),
        ("service", &labels.service),
        ("port", &labels.port),
    ]
}
