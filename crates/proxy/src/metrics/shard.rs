use std::sync::Arc;

use super::Count;
use super::series::{Known, RouteLabels, RouteSeries, Series};
use crate::downstream::proxy_protocol;
use crate::error::Rejection;
use crate::tls::Failure;

/// What one thread has counted.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) accepted: Count,
    pub(crate) closed: Count,
    pub(crate) accept_errors: Count,
    pub(crate) refused_connections: Count,
    pub(crate) shed_connections: Count,
    pub(crate) handshakes: Count,
    pub(crate) upstream_connections: Count,
    pub(crate) upstream_retries: Count,
    pub(crate) retries_over_budget: Count,
    pub(crate) ejections: Count,
    pub(crate) upstream_full: Count,
    pub(crate) requests_shed: Count,
    pub(crate) underscore_headers: Count,
    pub(crate) log_lines_dropped: Count,
    pub(crate) spans_dropped: Count,
    proxy_protocol_failures: [Count; proxy_protocol::Failure::ALL.len()],
    handshake_failures: [Count; Failure::ALL.len()],
    rejections: [Count; Rejection::ALL.len()],
    /// What is counted by declared objects.
    pub(super) series: Series,
}

impl Shard {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self {
            accepted: Count::default(),
            closed: Count::default(),
            accept_errors: Count::default(),
            refused_connections: Count::default(),
            shed_connections: Count::default(),
            handshakes: Count::default(),
            upstream_connections: Count::default(),
            upstream_retries: Count::default(),
            retries_over_budget: Count::default(),
            ejections: Count::default(),
            upstream_full: Count::default(),
            requests_shed: Count::default(),
            underscore_headers: Count::default(),
            log_lines_dropped: Count::default(),
            spans_dropped: Count::default(),
            proxy_protocol_failures: Default::default(),
            handshake_failures: Default::default(),
            rejections: Default::default(),
            series: Series::new(known),
        }
    }

    /// Adds what another thread has counted, which has ended: all of its connections are closed, however that
    /// came about.
    pub(super) fn fold(&self, ended: &Self) {
        let Self {
            accepted,
            closed: _,
            accept_errors,
            refused_connections,
            shed_connections,
            handshakes,
            upstream_connections,
            upstream_retries,
            retries_over_budget,
            ejections,
            upstream_full,
            requests_shed,
            underscore_headers,
            log_lines_dropped,
            spans_dropped,
            proxy_protocol_failures,
            handshake_failures,
            rejections,
            series,
        } = ended;
        self.closed.add(accepted.get());
        for (count, ended) in [
            (&self.accepted, accepted),
            (&self.accept_errors, accept_errors),
            (&self.refused_connections, refused_connections),
            (&self.shed_connections, shed_connections),
            (&self.handshakes, handshakes),
            (&self.upstream_connections, upstream_connections),
            (&self.upstream_retries, upstream_retries),
            (&self.retries_over_budget, retries_over_budget),
            (&self.ejections, ejections),
            (&self.upstream_full, upstream_full),
            (&self.requests_shed, requests_shed),
            (&self.underscore_headers, underscore_headers),
            (&self.log_lines_dropped, log_lines_dropped),
            (&self.spans_dropped, spans_dropped),
        ] {
            count.add(ended.get());
        }
        let reasons = self.proxy_protocol_failures.iter();
        let reasons = reasons.chain(&self.handshake_failures);
        let reasons = reasons.chain(&self.rejections);
        let ended = proxy_protocol_failures.iter();
        let ended = ended.chain(handshake_failures).chain(rejections);
        for (count, ended) in reasons.zip(ended) {
            count.add(ended.get());
        }
        self.series.fold(series);
    }

    pub(crate) fn rejected(&self, rejection: Rejection) {
        self.rejections[rejection as usize].add(1);
    }

    pub(super) fn rejections(&self, rejection: Rejection) -> u64 {
        self.rejections[rejection as usize].get()
    }

    pub(crate) fn proxy_protocol_failed(&self, failure: proxy_protocol::Failure) {
        self.proxy_protocol_failures[failure as usize].add(1);
    }

    pub(super) fn proxy_protocol_failures(&self, failure: proxy_protocol::Failure) -> u64 {
        self.proxy_protocol_failures[failure as usize].get()
    }

    pub(crate) fn handshake_failed(&self, failure: Failure) {
        self.handshake_failures[failure as usize].add(1);
    }

    pub(super) fn handshake_failures(&self, failure: Failure) -> u64 {
        self.handshake_failures[failure as usize].get()
    }

    /// The counters of a route. Locked for this and for scrapes only.
    pub(crate) fn route(&self, labels: RouteLabels) -> Arc<RouteSeries> {
        self.series.route(labels)
    }
}
