//! From a [`Snapshot`](fairway_model::Snapshot) to what nf_tables should hold, and to the smallest
//! change that gets there. Pure and deterministic: no I/O, no clock, no randomness.
//!
//! ```text
//! Snapshot + Changes -> Planner -> Transaction (make, release) -> crates/nft
//! Observed (read back at start) -^
//! ```

mod difference;
mod family;
mod found;
mod frontend;
mod layout;
mod lint;
mod planner;
mod repair;
mod ruleset;
mod service;
mod slots;
mod transaction;

pub use lint::lint;
pub use planner::{Options, Planner};
pub use ruleset::{
    Bytes, Chain, Element, Family, Hook, HookKind, HookPoint, Rule, Ruleset, Selector, Set,
    SetName, SlotClass, Statement, TABLE,
};
pub use transaction::{Change, Observed, ObservedChain, ObservedSet, Transaction};
