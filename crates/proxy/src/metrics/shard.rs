use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::downstream::proxy_protocol;
use crate::error::Rejection;
use crate::tls::Failure;

/// Upper bounds of the latency buckets in seconds: nginx's and 1 ms below them.
pub(super) const BUCKETS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Statuses with a counter of their own; others are counted by class, so that an upstream that invents
/// statuses cannot create series.
pub(super) const CODES: [u16; 31] = [
    101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409,
    413, 414, 421, 422, 429, 431, 499, 500, 501, 502, 503, 504,
];

pub(super) const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What one worker has counted.
#[derive(Debug, Default)]
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
    pub(crate) underscore_headers: Count,
    pub(crate) log_lines_dropped: Count,
    proxy_protocol_failures: [Count; proxy_protocol::Failure::ALL.len()],
    handshake_failures: [Count; Failure::ALL.len()],
    rejections: [Count; Rejection::ALL.len()],
    routes: Mutex<Vec<Arc<RouteStats>>>,
}

impl Shard {
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

    /// Adds counters for a route. Locked for this and for scrapes only.
    pub(crate) fn add_route(&self, labels: RouteLabels) -> Arc<RouteStats> {
        let stats = Arc::new(RouteStats::new(labels));
        self.routes().push(stats.clone());
        stats
    }

    /// Drops the counters that no worker holds any more.
    pub(crate) fn forget_unused_routes(&self) {
        self.routes().retain(|stats| Arc::strong_count(stats) > 1);
    }

    pub(super) fn routes(&self) -> MutexGuard<'_, Vec<Arc<RouteStats>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What requests are counted by. Empty for requests that met no route.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteLabels {
    pub(crate) host: String,
    pub(crate) namespace: String,
    pub(crate) ingress: String,
    pub(crate) service: String,
}

/// The counters of one route and backend in one worker.
#[derive(Debug)]
pub(crate) struct RouteStats {
    pub(crate) labels: RouteLabels,
    pub(crate) connect_failures: Count,
    codes: [Count; CODES.len()],
    classes: [Count; CLASSES.len()],
    buckets: [Count; BUCKETS.len() + 1],
    microseconds: Count,
}

impl RouteStats {
    fn new(labels: RouteLabels) -> Self {
        Self {
            labels,
            connect_failures: Count::default(),
            codes: Default::default(),
            classes: Default::default(),
            buckets: Default::default(),
            microseconds: Count::default(),
        }
    }

    /// Counts a finished request.
    pub(crate) fn observe(&self, status: u16, duration: Duration) {
        match CODES.binary_search(&status) {
            Ok(index) => self.codes[index].add(1),
            Err(_) => {
                let class = usize::from(status / 100);
                self.classes[if class < CLASSES.len() { class } else { 0 }].add(1);
            }
        }
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(BUCKETS.len())].add(1);
        self.microseconds
            .add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn codes(&self) -> impl Iterator<Item = (String, u64)> {
        let codes = CODES.iter().zip(&self.codes);
        let classes = CLASSES.iter().zip(&self.classes);
        codes
            .map(|(code, count)| (code.to_string(), count.get()))
            .chain(classes.map(|(class, count)| ((*class).to_owned(), count.get())))
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::get)
    }

    pub(super) fn seconds(&self) -> f64 {
        Duration::from_micros(self.microseconds.get()).as_secs_f64()
    }
}

/// A counter with one writer and any number of readers.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Not a read-modify-write: only the shard's worker writes.
    pub(crate) fn add(&self, count: u64) {
        let value = self.0.load(Ordering::Relaxed).wrapping_add(count);
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
