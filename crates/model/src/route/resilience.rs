//! What is done about endpoints that fail or are full.

use std::num::NonZeroU32;
use std::time::Duration;

/// When a request is sent to another endpoint. What has left for an endpoint is sent again only where RFC
/// 9110 allows to do it twice (GET, HEAD, OPTIONS, PUT, DELETE), without a body, and before a byte of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Endpoints that are asked for one request in all, 1 to [`MOST_TRIES`](Self::MOST_TRIES); 1 for no retries.
    pub tries: u8,
    /// After a connection broke.
    pub broken_connections: bool,
    /// After the endpoint's silence for longer than the read timeout.
    pub timeouts: bool,
    /// After answers with these statuses.
    pub statuses: Vec<u16>,
    /// How many there may be.
    pub budget: RetryBudget,
}

impl RetryPolicy {
    /// More could not help: who has been refused by so many is refused by the service.
    pub const MOST_TRIES: u8 = 8;
}

impl Default for RetryPolicy {
    /// ingress-nginx's `proxy-next-upstream: error` with three tries. Its `timeout` would have a request
    /// that hangs for a minute hang for three.
    fn default() -> Self {
        Self {
            tries: 3,
            broken_connections: true,
            timeouts: false,
            statuses: Vec::new(),
            budget: RetryBudget::default(),
        }
    }
}

/// A limit for how much more the endpoints of an upstream get to do because some of them fail. A request
/// that could not be sent at all takes nothing from it: whoever gets it gets it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests of the last ten seconds.
    pub percent: u8,
    /// Retries a second that there may be in any case.
    pub per_second: u32,
}

impl Default for RetryBudget {
    /// The numbers of Finagle and Linkerd.
    fn default() -> Self {
        Self {
            percent: 20,
            per_second: 10,
        }
    }
}

/// When an endpoint that is listed as ready is left alone for a while, because requests to it fail. It
/// then gets single requests, and all its share again when one of these succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionPolicy {
    /// Failures in a row: no connection, or none that lasted to an answer, or no answer in time. At least 1.
    pub failures: u32,
    /// Answers 502, 503 and 504 are failures, too.
    pub gateway_errors: bool,
    /// For how long, the first time. Twice as long each time that it fails again.
    pub time: Duration,
    /// For how long at most.
    pub longest: Duration,
}

impl Default for EjectionPolicy {
    /// Envoy's five in a row. Its half a minute is for hosts; pods that are gone are taken off the list
    /// sooner than that, and what stays listed is worth a try soon.
    fn default() -> Self {
        Self {
            failures: 5,
            gateway_errors: false,
            time: Duration::from_secs(5),
            longest: Duration::from_secs(60),
        }
    }
}

/// How much an upstream gets to do at once from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Requests under way, each of which has a connection of its own unless they are sent by HTTP/2.
    /// Absent for no limit. Split between the traffic threads, each of which has one at least.
    pub requests: Option<NonZeroU32>,
    /// Requests that may wait until others are answered; further ones are 503. Split likewise.
    pub waiting: u32,
    /// For how long one may wait, before it is 503.
    pub wait: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            requests: None,
            // Envoy's `max_pending_requests`.
            waiting: 1024,
            wait: Duration::from_secs(5),
        }
    }
}
