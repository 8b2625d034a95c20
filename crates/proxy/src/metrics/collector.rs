pub(super) mod routes;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Shards;
use super::shard::Shard;
use crate::downstream::proxy_protocol;
use crate::error::Rejection;
use crate::tls::Failure;

/// Adds the shards up when somebody looks.
#[derive(Debug)]
pub(super) struct Sum {
    shards: Arc<Shards>,
}

impl Sum {
    pub(super) fn new(shards: Arc<Shards>) -> Self {
        Self { shards }
    }
}

impl Collector for Sum {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shards = self.shards.all().clone();
        routes::encode(&mut encoder, &shards)?;
        encode_reasons(&mut encoder, &shards)?;
        encode_totals(&mut encoder, &shards)
    }
}

/// A counter by reason.
type Reasons<'a> = &'a dyn Fn(&Shard) -> Vec<(&'static str, u64)>;

fn encode_reasons(encoder: &mut DescriptorEncoder<'_>, shards: &[Arc<Shard>]) -> fmt::Result {
    let families: [(&str, &str, Reasons<'_>); 3] = [
        (
            "fairway_proxy_rejected_requests",
            "Requests that were refused before they were routed",
            &|shard| {
                let reasons = Rejection::ALL.into_iter();
                let counts = reasons.map(|it| (it.label(), shard.rejections(it)));
                counts.collect()
            },
        ),
        (
            "fairway_proxy_proxy_protocol_failures",
            "Connections closed because of the PROXY protocol",
            &|shard| {
                let reasons = proxy_protocol::Failure::ALL.into_iter();
                let counts = reasons.map(|it| (it.label(), shard.proxy_protocol_failures(it)));
                counts.collect()
            },
        ),
        (
            "fairway_proxy_tls_handshake_failures",
            "TLS handshakes that came to nothing",
            &|shard| {
                let reasons = Failure::ALL.into_iter();
                let counts = reasons.map(|it| (it.label(), shard.handshake_failures(it)));
                counts.collect()
            },
        ),
    ];
    for (name, help, counts) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let mut totals: Vec<(&str, u64)> = Vec::new();
        for shard in shards {
            for (at, (reason, count)) in counts(shard).into_iter().enumerate() {
                match totals.get_mut(at) {
                    Some(total) => total.1 += count,
                    None => totals.push((reason, count)),
                }
            }
        }
        for (reason, count) in totals {
            family
                .encode_family(&[("reason", reason)])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn encode_totals(encoder: &mut DescriptorEncoder<'_>, shards: &[Arc<Shard>]) -> fmt::Result {
    let sum = |count: fn(&Shard) -> u64| shards.iter().map(|shard| count(shard)).sum::<u64>();
    let accepted = sum(|shard| shard.accepted.get());
    let active = accepted.saturating_sub(sum(|shard| shard.closed.get()));
    encoder
        .encode_descriptor(
            "fairway_proxy_client_connections",
            "Client connections that are open",
            None,
            MetricType::Gauge,
        )?
        .encode_gauge(&active)?;
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
            "fairway_proxy_requests_shed",
            "Requests refused because too much memory is in use",
            sum(|shard| shard.requests_shed.get()),
        ),
        (
            "fairway_proxy_underscore_headers_dropped",
            "Request headers dropped for an underscore in their name",
            sum(|shard| shard.underscore_headers.get()),
        ),
        (
            "fairway_proxy_access_log_lines_dropped",
            "Access log lines dropped because the reader was too slow or nothing could be written",
            sum(|shard| shard.log_lines_dropped.get()),
        ),
        (
            "fairway_proxy_spans_dropped",
            "Recorded spans dropped because their export was too slow",
            sum(|shard| shard.spans_dropped.get()),
        ),
    ] {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}
