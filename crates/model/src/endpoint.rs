use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::Port;

/// One address and port that serves a service port, with what decides whether it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod's (or host's) address.
    pub address: IpAddr,
    /// The target port; may differ between the endpoints of one service port.
    pub port: Port,
    /// Readiness as the EndpointSlice gives it, defaults applied.
    pub conditions: Conditions,
    /// The node it runs on; absent for endpoints made by hand, which then count as remote.
    pub node: Option<Arc<str>>,
    /// The zone it runs in.
    pub zone: Option<Arc<str>>,
    /// Who should prefer it. Absent for most endpoints.
    pub hints: Option<Box<Hints>>,
}

impl Endpoint {
    /// A ready endpoint of unknown whereabouts.
    pub fn ready(address: IpAddr, port: Port) -> Self {
        Self {
            address,
            port,
            conditions: Conditions::READY,
            node: None,
            zone: None,
            hints: None,
        }
    }

    /// Address and port in one value.
    pub fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port.get())
    }

    /// Whether it runs on the node of that name.
    pub fn is_on(&self, node: &str) -> bool {
        self.node.as_deref() == Some(node)
    }
}

/// Endpoint conditions with the API's defaults applied: absent `ready` and `serving` are true,
/// absent `terminating` is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// May be given new connections.
    pub ready: bool,
    /// Answers, even if it is about to stop.
    pub serving: bool,
    /// Is being deleted.
    pub terminating: bool,
}

impl Conditions {
    /// An endpoint in normal use.
    pub const READY: Self = Self {
        ready: true,
        serving: true,
        terminating: false,
    };

    /// Still answers while it is being deleted: used when nothing is ready.
    pub fn is_serving_while_terminating(self) -> bool {
        self.serving && self.terminating
    }
}

/// Topology hints of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Zones whose clients should prefer this endpoint.
    pub zones: Vec<Arc<str>>,
    /// Nodes whose clients should prefer this endpoint.
    pub nodes: Vec<Arc<str>>,
}
