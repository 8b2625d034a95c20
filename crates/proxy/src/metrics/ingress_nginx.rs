//! The same numbers by the names of ingress-nginx, for dashboards that ask for those.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::collector::routes::{Requests, Route, sum};
use super::histogram::Total;
use super::outcome::{Code, Method};
use super::series::RouteLabels;
use super::{Shards, shard::Shard};

/// Labels and their values.
type Pairs<'a, const N: usize> = [(&'static str, &'a str); N];

/// What the labels say of the controller, which is us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerLabels {
    /// `spec.controller` of the classes.
    pub class: String,
    /// Of the pod.
    pub namespace: String,
    /// Of the pod.
    pub pod: String,
}

impl ControllerLabels {
    /// As they are in each series.
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("controller_class", &self.class),
            ("controller_namespace", &self.namespace),
            ("controller_pod", &self.pod),
        ]
    }
}

/// Tells what the shards counted as ingress-nginx would.
#[derive(Debug)]
pub(super) struct IngressNginx {
    shards: Arc<Shards>,
    controller: ControllerLabels,
}

/// Name, help, and where the value is.
type Seconds = (&'static str, &'static str, fn(&Requests) -> &Total<12>);
type Bytes = (&'static str, &'static str, fn(&Requests) -> &Total<7>);

impl IngressNginx {
    pub(super) fn new(shards: Arc<Shards>, controller: ControllerLabels) -> Self {
        Self { shards, controller }
    }

    /// What ingress-nginx has for labels, in its order.
    fn labels<'a>(
        &'a self,
        route: &'a RouteLabels,
        method: Method,
        code: &'a str,
    ) -> (Pairs<'a, 8>, Pairs<'a, 3>) {
        let of_request = [
            ("status", code),
            ("method", method.label()),
            ("path", &route.path),
            ("namespace", &route.namespace),
            ("ingress", &route.ingress),
            ("service", &route.service),
            ("canary", ""),
            ("host", &route.host),
        ];
        (of_request, self.controller.pairs())
    }

    fn encode_requests(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        routes: &BTreeMap<Arc<RouteLabels>, Route>,
    ) -> fmt::Result {
        // A service may be one of several ports of it, which ingress-nginx does not tell apart.
        let mut all: BTreeMap<Key<'_>, Requests> = BTreeMap::new();
        for (labels, route) in routes {
            for ((method, code), requests) in &route.outcomes {
                let key = Key(labels, *method, *code);
                all.entry(key).or_default().merge(requests);
            }
        }
        // No `_total`: the name that dashboards have is that of a time before there were such rules.
        let mut family = encoder.encode_descriptor(
            "nginx_ingress_controller_requests",
            "Requests answered",
            None,
            MetricType::Unknown,
        )?;
        for (Key(labels, method, code), requests) in &all {
            let code = code.label();
            family
                .encode_family(&self.labels(labels, *method, &code))?
                .encode_gauge(&requests.durations.count())?;
        }
        let durations: [Seconds; 2] = [
            (
                "nginx_ingress_controller_request_duration_seconds",
                "From the request's head to the end of the response",
                |requests| &requests.durations,
            ),
            (
                "nginx_ingress_controller_response_duration_seconds",
                "From the choice of the endpoint that answered to the end of its response",
                |requests| &requests.upstream,
            ),
        ];
        for (name, help, duration) in durations {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (Key(labels, method, code), requests) in &all {
                let code = code.label();
                let labels = self.labels(labels, *method, &code);
                duration(requests).encode(family.encode_family(&labels)?)?;
            }
        }
        let sizes: [Bytes; 2] = [
            (
                "nginx_ingress_controller_request_size",
                "Of request bodies, without heads",
                |requests| &requests.received,
            ),
            (
                "nginx_ingress_controller_response_size",
                "Of response bodies, without heads",
                |requests| &requests.sent,
            ),
        ];
        for (name, help, size) in sizes {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (Key(labels, method, code), requests) in &all {
                let code = code.label();
                let labels = self.labels(labels, *method, &code);
                size(requests).encode(family.encode_family(&labels)?)?;
            }
        }
        let total: u64 = all.values().map(|it| it.durations.count()).sum();
        encoder
            .encode_descriptor(
                "nginx_ingress_controller_nginx_process_requests",
                "Requests answered",
                None,
                MetricType::Counter,
            )?
            .encode_family(&self.controller.pairs())?
            .encode_counter::<NoLabelSet, _, u64>(&total, None)
    }

    fn encode_connections(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        shards: &[Arc<Shard>],
    ) -> fmt::Result {
        let sum = |count: fn(&Shard) -> u64| shards.iter().map(|shard| count(shard)).sum::<u64>();
        let accepted = sum(|shard| shard.accepted.get());
        let refused = sum(|shard| shard.refused_connections.get());
        let active = accepted.saturating_sub(sum(|shard| shard.closed.get()));
        encoder
            .encode_descriptor(
                "nginx_ingress_controller_nginx_process_connections",
                "Client connections that are open",
                None,
                MetricType::Gauge,
            )?
            .encode_family(&([("state", "active")], self.controller.pairs()))?
            .encode_gauge(&active)?;
        let mut connections = encoder.encode_descriptor(
            "nginx_ingress_controller_nginx_process_connections",
            "Client connections since the start",
            None,
            MetricType::Counter,
        )?;
        for (state, count) in [
            ("accepted", accepted),
            ("handled", accepted.saturating_sub(refused)),
        ] {
            connections
                .encode_family(&([("state", state)], self.controller.pairs()))?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl Collector for IngressNginx {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shards = self.shards.all().clone();
        self.encode_requests(&mut encoder, &sum(&shards))?;
        self.encode_connections(&mut encoder, &shards)
    }
}

/// A series: the labels without the port.
struct Key<'a>(&'a RouteLabels, Method, Code);

impl Key<'_> {
    fn parts(&self) -> (&str, &str, &str, &str, &str, Method, Code) {
        let labels = self.0;
        (
            &labels.host,
            &labels.path,
            &labels.namespace,
            &labels.ingress,
            &labels.service,
            self.1,
            self.2,
        )
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key<'_> {}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}
