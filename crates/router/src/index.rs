use std::sync::Arc;

use fairway_model::{
    Changes, Filter, HostPattern, Redirect, RuleId, Snapshot, UpstreamPolicy,
};

use crate::{Host, Path, Upstream};

/// Builds the index from snapshots, host by host.
#[derive(Debug, Default)]
pub struct Builder {}

impl Builder {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies an update. Endpoint changes take effect in the upstreams at once; the returned index
    /// holds the new routes and shares everything else with the one before.
    pub fn apply(&mut self, _snapshot: &Snapshot, _changes: &Changes) -> Arc<Index> {
        Arc::default()
    }
}

/// All routes, immutable and cheap to share.
#[derive(Debug, Default)]
pub struct Index {}

/// The parts of a request that routes look at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host.
    pub host: &'a Host,
    /// The path.
    pub path: &'a Path<'a>,
    /// The method, as sent.
    pub method: &'a str,
}

impl Index {
    /// The route for a request, or None where the answer is 404.
    pub fn find(&self, _request: Request<'_>) -> Option<&Route> {
        None
    }
}

/// A compiled rule.
#[derive(Debug)]
pub struct Route {
    /// Where it was declared.
    pub id: RuleId,
    /// The host entry it belongs to; the only host that metrics may name.
    pub host: HostPattern,
    /// Applied in order before the target.
    pub filters: Vec<Filter>,
    /// What answers.
    pub target: Target,
    /// How the upstream is spoken to.
    pub policy: Arc<UpstreamPolicy>,
}

/// What answers a request.
#[derive(Debug)]
pub enum Target {
    /// One of these, by weight (never all 0, never empty).
    Forward(Vec<(u32, Arc<Upstream>)>),
    /// A redirect.
    Redirect(Redirect),
    /// A status of our own.
    Respond(u16),
}
