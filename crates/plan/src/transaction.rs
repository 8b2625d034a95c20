//! What passes between the planner and the kernel.

use std::collections::BTreeSet;

use crate::{Chain, Element, Family, Hook, SetName};

/// The way from one state of a family's table to another, in two atomic batches.
///
/// After `make` every packet finds the old or the new state, whole; `release` then removes what only
/// the old state needed. A packet that looks up twice while a batch commits sees half of each
/// generation, so nothing that an old lookup may still lead to goes away in `make`, and nothing leads
/// to what is new before `release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The family.
    pub family: Family,
    /// First batch, in order.
    pub make: Vec<Change>,
    /// Second batch, in order.
    pub release: Vec<Change>,
    /// Maps that packets fill, and that may hold elements which lead to what `release` removes: to
    /// be read between the two batches, and cleared by [`Planner::forget`](crate::Planner::forget).
    pub outdated: BTreeSet<SetName>,
}

impl Transaction {
    /// A transaction that does nothing yet.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            make: Vec::new(),
            release: Vec::new(),
            outdated: BTreeSet::new(),
        }
    }

    /// Whether the kernel need not be told anything.
    pub fn is_empty(&self) -> bool {
        self.make.is_empty() && self.release.is_empty()
    }
}

/// One change of a table. The order within a batch is the order of execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates fairway's table; nothing if it is there.
    CreateTable,
    /// Removes fairway's table and all in it; nothing if it is not there.
    DestroyTable,
    /// Creates the set or map of this name, with the shape that follows from the name.
    CreateSet(SetName),
    /// Removes the set or map of this name, whether it is one of ours or not.
    DestroySet(String),
    /// Creates a chain without rules.
    CreateChain {
        /// The name.
        name: &'static str,
        /// Where it is attached.
        hook: Option<Hook>,
    },
    /// Removes the chain and its rules, whether it is one of ours or not.
    DestroyChain(String),
    /// Replaces all rules of an existing chain by the rules of this one.
    SetRules(Chain),
    /// Removes all rules of the chain.
    ClearRules(String),
    /// Adds an element whose key is not there.
    Add(Element),
    /// Replaces the value of an element whose key is there.
    Replace(Element),
    /// Removes the element of this key; its value does not matter.
    Delete(Element),
}

/// What the kernel holds of one family's table, as read back at start or after interference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The table exists.
    pub table: bool,
    /// Its chains.
    pub chains: Vec<ObservedChain>,
    /// Its sets and maps.
    pub sets: Vec<ObservedSet>,
}

/// A chain in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedChain {
    /// The name.
    pub name: String,
    /// Where it is attached.
    pub hook: Option<Hook>,
    /// For each rule the [fingerprint](crate::Rule::fingerprint) stored with it; None for a rule of somebody else.
    pub rules: Vec<Option<u64>>,
}

/// A set or map in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSet {
    /// The name as text.
    pub name: String,
    /// The name, if the set is one of ours in both name and shape.
    pub ours: Option<SetName>,
    /// Its elements; empty when it is not ours.
    pub elements: Vec<Element>,
}
