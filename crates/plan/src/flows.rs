//! Flows that a change leaves behind.
//!
//! The nat chains see the first packet of a flow only; its other packets go where conntrack remembers.
//! So a UDP client that keeps its port goes on talking to an endpoint that is gone, or, if it spoke
//! before there was one, to nobody. Here is decided which flows those are; `crates/nft` finds them.
//!
//! ```text
//! old and new Snapshot -> FlowChanges -> FlowChecks <- Flow, from the kernel
//!                                            '-> Verdict
//! ```

use std::net::{IpAddr, SocketAddr};

use fairway_model::{Port, Protocol};

use crate::Statement;

mod changes;
mod checks;

pub(crate) use changes::Context;
pub use changes::FlowChanges;
pub use checks::{FlowChecks, Round};

#[cfg(test)]
mod tests;

/// A flow as conntrack remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Where the client sends to.
    pub destination: SocketAddr,
    /// Where its packets go and answers come from: the same, unless the destination is translated.
    pub answered_from: SocketAddr,
    /// The destination is translated.
    pub translated: bool,
}

/// What to do with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Leave it alone.
    Keep,
    /// Its next packet must be looked at anew.
    Stale,
    /// It is stale if node ports are served at its destination: see [`NodePortDestination`].
    StaleOnNodePort,
}

/// Which flows to look at: a filter for the kernel, which may let more pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowFilter {
    /// Of this protocol.
    pub protocol: Protocol,
    /// To this port; to any if absent.
    pub port: Option<Port>,
}

/// The addresses that node ports are served at, as the conditions of the rules have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePortDestination(pub(crate) Vec<Vec<Statement>>);

impl NodePortDestination {
    /// Whether node ports are served at an address. `is_local` tells whether the kernel takes it for one
    /// of this node's, and is asked only where that matters.
    pub fn covers(&self, address: IpAddr, mut is_local: impl FnMut(IpAddr) -> bool) -> bool {
        let mut holds = |condition: &Statement| match condition {
            Statement::DestinationIn { network, negated } => network.contains(&address) != *negated,
            Statement::DestinationIsLocal => is_local(address),
            other => unreachable!("not a condition of a destination: {other:?}"),
        };
        // The conditions that cost nothing come first.
        let cheap = |condition: &&Statement| **condition != Statement::DestinationIsLocal;
        self.0.iter().any(|conditions| {
            let [first, last] = [true, false].map(|wanted| {
                let conditions = conditions.iter();
                conditions.filter(move |condition| cheap(condition) == wanted)
            });
            first.chain(last).all(&mut holds)
        })
    }
}
