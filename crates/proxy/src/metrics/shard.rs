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
