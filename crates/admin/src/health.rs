//! Is this node worth sending traffic to, and is this process worth keeping?

mod report;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::report::{FamilyHealth, HealthReport};
use self::state::State;
use crate::{IpFamily, Moment};

/// How long a change may wait before it counts as late: twice kube-proxy's default sync period.
pub const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(60);

/// What is known of this node's Node object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It may receive traffic. Also right where there are no Node objects, as with manifests.
    Eligible,
    /// The API server is our source and has not shown us the object, or has it no longer.
    Unknown,
    /// It is being deleted, or the autoscaler has tainted it for deletion.
    Leaving,
}

/// The health of the agent: told by the control loop, read by the probes. Clones share one state.
///
/// A fresh process is healthy, as kube-proxy is: a restart must not take the node out of rotation
/// while the rules of the last run still work.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

impl Health {
    /// Health of an agent whose changes are late when they wait longer than `stale_after`.
    pub fn new(stale_after: Duration) -> Self {
        Self(Arc::new(Mutex::new(State::new(stale_after))))
    }

    /// A change for `family` waits to be applied. The oldest one that waits counts.
    pub fn queued(&self, family: IpFamily, now: Moment) {
        self.state().queued(family, now);
    }

    /// All changes queued for `family` so far are in the kernel.
    pub fn applied(&self, family: IpFamily, now: Moment) {
        self.state().applied(family, now);
    }

    /// What the Node object says. An agent that is fed by the API server sets
    /// [`NodeState::Unknown`] until it has seen the object; otherwise the node is eligible.
    pub fn set_node(&self, node: NodeState) {
        self.state().node = node;
    }

    /// Whether the ingress router's listeners accept connections. Never called: there is no router.
    pub fn set_router_serving(&self, serving: bool) {
        self.state().router_serving = Some(serving);
    }

    /// Whether Services can be programmed on this node. Never called: nothing is in the way.
    pub fn set_service_proxy_serving(&self, serving: bool) {
        self.state().service_proxy_serving = Some(serving);
    }

    /// The agent is shutting down: the load balancer should send new connections elsewhere.
    pub fn set_draining(&self) {
        self.state().draining = true;
    }

    /// The health at `now`.
    pub fn report(&self, now: Moment) -> HealthReport {
        self.state().report(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every update is one assignment, so a panic elsewhere cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new(DEFAULT_STALE_AFTER)
    }
}
