//! From a [`Snapshot`](fairway_model::Snapshot) to what nf_tables should hold, and to the smallest
//! change that gets there. Pure and deterministic: no I/O, no clock, no randomness.
//!
//! ```text
//! Snapshot + Changes -> Planner -> Transaction (make, release) -> crates/nft
//! Observed (read back at start) -^
//! ```

mod affinity;
mod connections;
mod difference;
mod elements;
mod family;
mod flows;
mod found;
mod frontend;
mod layout;
mod lint;
mod local_endpoints;
mod maglev;
mod node_port_scope;
mod options;
mod planner;
mod repair;
mod ruleset;
mod selection;
mod service;
mod set;
mod slots;
mod trace;
mod transaction;

pub use connections::Counter;
pub use flows::{Flow, FlowChanges, FlowChecks, FlowFilter, NodePortDestination, Round, Verdict};
pub use frontend::{Access, Conflict};
pub use lint::lint;
pub use local_endpoints::WithoutLocalEndpoints;
pub use maglev::{HashedBy, MaglevTable, TableSize};
pub use node_port_scope::NodePortScope;
pub use options::{LocalPods, NodePortAddresses, Options};
pub use planner::Planner;
pub use ruleset::{
    Chain, Family, Hook, HookKind, HookPoint, Rule, Ruleset, Selector, Statement, TABLE,
};
pub use service::shares_of_endpoints;
pub use set::{Bytes, Element, IdleTimeout, Set, SetName, SlotClass};
pub use trace::{Candidate, Cause, Outcome, Packet, Scene, Sender, Walk};
pub use transaction::{Change, Observed, ObservedChain, ObservedSet, Transaction};
