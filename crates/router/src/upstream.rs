use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use fairway_model::{BackendPort, ObjectName};

/// Names a Service port that routes forward to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamKey {
    /// The Service.
    pub service: ObjectName,
    /// Its port.
    pub port: BackendPort,
}

/// A Service port with its usable endpoints. One value serves all routes that name the same Service
/// port, and stays the same while endpoints come and go: workers may key their own state by `id`.
#[derive(Debug)]
pub struct Upstream {
    /// Unique within the process, never reused.
    pub id: u64,
    /// What it stands for.
    pub key: UpstreamKey,
    endpoints: ArcSwap<Endpoints>,
}

/// What an upstream currently offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// At least one usable endpoint: the ready ones or, if there is none, those that still serve
    /// while they terminate. Sorted, no duplicates.
    Usable(Arc<[SocketAddr]>),
    /// The Service exists, but nothing can answer.
    None,
    /// There is no such Service.
    NoService,
    /// The Service has no such port.
    NoPort,
    /// The Service is a kind that this version does not forward to (ExternalName).
    Unsupported,
}

impl Upstream {
    /// The endpoints right now: one atomic load, never blocks.
    pub fn endpoints(&self) -> Guard<Arc<Endpoints>> {
        self.endpoints.load()
    }
}
