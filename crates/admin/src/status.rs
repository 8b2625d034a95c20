//! What the agent knows and does, as a page for people and as JSON, at the metrics port.
//!
//! ```text
//! browser ── GET /status ──> one page, with a nonce for its own style and script
//!         └─ GET /status.json?view=routes&filter=shop ──> StatusFeed ──> agent loop
//!                  50 items, 500 at most <── Document <── Status <─────────┘
//! ```
//!
//! Nobody who does not look pays for it: the agent is asked when somebody does, and answers with what it
//! has anyway, an immutable snapshot above all. Of that, one page of one view at a time is made JSON,
//! however large the cluster is.

mod ask;
mod certificates;
mod document;
mod overview;
mod page;
mod problems;
mod query;
mod routes;
mod services;
mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use fairway_model::{Node, ObjectName, Service, ServicePort, Snapshot};

pub use ask::{StatusFeed, StatusRequest, StatusRequests};
pub(crate) use site::StatusSite;

/// What the agent knows at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Of fairway.
    pub version: &'static str,
    /// The moment.
    pub at: SystemTime,
    /// Since when there has been something to tell: the first complete state of this configuration.
    pub since: SystemTime,
    /// The cluster, as this node sees it.
    pub snapshot: Arc<Snapshot>,
    /// Says of each endpoint of a Service's port, in order, whether it is used and why. Asked only for those
    /// that are looked at.
    pub judge: Judge,
    /// What is shown to clients, sorted.
    pub certificates: Vec<ShownCertificate>,
    /// What objects ask for and do not get, sorted by object; not more than [`MOST_PROBLEMS`].
    pub problems: Vec<ReportedProblem>,
    /// How many problems there are.
    pub problem_count: usize,
    /// What requests did so far, by route; of one that had none there is nothing. Empty without a router.
    pub traffic: Vec<RouteTraffic>,
}

/// What becomes of the endpoints of a Service's port on a node.
pub type Judge = fn(&Service, &ServicePort, &Node) -> Vec<Judgement>;

/// What becomes of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether clients of the Service get there from this node.
    pub used: bool,
    /// Why, as a sentence without its end.
    pub why: String,
}

/// Most problems that are told, of a cluster in which nothing is right.
pub const MOST_PROBLEMS: usize = 10_000;

/// A certificate and who is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The host, as declared; None for all that have none of their own.
    pub host: Option<String>,
    /// The Secret it is from.
    pub secret: ObjectName,
    /// Its last second, since 1970.
    pub not_after: i64,
}

/// Something that an object asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedProblem {
    /// Kind, namespace and name.
    pub object: String,
    /// Empty where it is about the whole object.
    pub field: String,
    /// In one word.
    pub reason: &'static str,
    /// What is wrong and what follows.
    pub message: String,
}

/// Requests of one route to one of its backends, since the configuration is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTraffic {
    /// The host as declared, `*` for all; empty for what met no route.
    pub host: String,
    /// The path as declared.
    pub path: String,
    /// Of the Ingress.
    pub ingress: ObjectNameText,
    /// Those that are over.
    pub requests: u64,
    /// Of them, answered with 4xx.
    pub client_errors: u64,
    /// Of them, answered with 5xx.
    pub server_errors: u64,
    /// Those that are not over.
    pub in_flight: u64,
    /// How many took as long as each of [`Status::LATENCY_BOUNDS_MS`] at most and longer than the one before;
    /// the last one is of those that took longer than all.
    pub latencies: [u64; 13],
}

/// Namespace and name, as they are counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectNameText {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Status {
    /// Upper bounds of [`RouteTraffic::latencies`], in milliseconds: those of the metrics.
    pub const LATENCY_BOUNDS_MS: [u64; 12] =
        [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
}

impl RouteTraffic {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.in_flight += other.in_flight;
        for (sum, count) in self.latencies.iter_mut().zip(other.latencies) {
            *sum += count;
        }
    }
}
