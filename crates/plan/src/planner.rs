//! Keeps what is programmed of each Service and turns changes into transactions. The cost of a change
//! is that of the Services it touches, never of all.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_model::{Changes, ObjectName, Snapshot};

use crate::family::FamilyPlanner;
use crate::repair::repair;
use crate::{
    Conflict, Counter, Element, Family, FlowChanges, Observed, Options, Ruleset, Transaction,
};

/// Plans both families.
#[derive(Debug)]
pub struct Planner {
    ip4: FamilyPlanner,
    ip6: FamilyPlanner,
}

impl Planner {
    /// Plans everything in the snapshot, starting from what the kernel holds: endpoints keep the
    /// slots they have there, so that a restart moves nothing. The transactions lead from what was
    /// observed to what is planned, and are empty if they agree.
    pub fn start(
        options: Options,
        snapshot: &Snapshot,
        observed: [&Observed; 2],
    ) -> (Self, [Transaction; 2]) {
        let options = Arc::new(options);
        let [ip4, ip6] = observed;
        let planner = Self {
            ip4: FamilyPlanner::start(Family::Ip4, options.clone(), snapshot, ip4),
            ip6: FamilyPlanner::start(Family::Ip6, options, snapshot, ip6),
        };
        let transactions = [
            planner.repair(Family::Ip4, ip4),
            planner.repair(Family::Ip6, ip6),
        ];
        (planner, transactions)
    }

    /// Plans an update. The transactions lead from what was planned before to the snapshot.
    pub fn update(&mut self, snapshot: &Snapshot, changes: &Changes) -> [Transaction; 2] {
        [
            self.ip4.update(snapshot, changes),
            self.ip6.update(snapshot, changes),
        ]
    }

    /// The way from what the kernel holds to what is planned; empty if they agree.
    pub fn repair(&self, family: Family, observed: &Observed) -> Transaction {
        repair(self.ruleset(family), observed)
    }

    /// Removes from maps that packets fill what leads to endpoints that are not for these clients
    /// any more. `clients` is what the [outdated](Transaction::outdated) maps hold.
    pub fn forget(&self, family: Family, clients: &[Element]) -> Transaction {
        self.family(family).forget(clients)
    }

    /// The whole planned table: expensive, for rendering, repair and tests.
    pub fn ruleset(&self, family: Family) -> Ruleset {
        self.family(family).ruleset()
    }

    /// The Services that need an element: whom to name when the kernel refuses it.
    pub fn owners(&self, family: Family, element: &Element) -> Vec<ObjectName> {
        self.family(family).owners(element)
    }

    /// What an [`update`](Self::update) from one snapshot to the next means for flows that exist.
    pub fn flow_changes(
        &self,
        family: Family,
        old: &Snapshot,
        new: &Snapshot,
        changes: &Changes,
    ) -> FlowChanges {
        let context = self.family(family).flow_context();
        FlowChanges::between(context, old, new, changes)
    }

    /// What the planned snapshot means for flows, when not all is known of the past; `observed` is what
    /// the kernel held before. Costs as much as there are Services.
    pub fn all_flows(
        &self,
        family: Family,
        snapshot: &Snapshot,
        observed: &Observed,
    ) -> FlowChanges {
        let context = self.family(family).flow_context();
        FlowChanges::everything(context, snapshot, observed)
    }

    /// The Services that the last update planned anew; none unless connections are counted.
    pub fn replanned(&self, family: Family) -> &BTreeSet<ObjectName> {
        self.family(family).replanned()
    }

    /// The elements that count the connections of a Service.
    pub fn counters(&self, family: Family, service: &ObjectName) -> Vec<Counter> {
        self.family(family).counters(service)
    }

    /// Addresses and node ports that several Services ask for: one for each that does not get one.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let all: BTreeSet<_> = self.ip4.conflicts().chain(self.ip6.conflicts()).collect();
        all.into_iter().collect()
    }

    fn family(&self, family: Family) -> &FamilyPlanner {
        match family {
            Family::Ip4 => &self.ip4,
            Family::Ip6 => &self.ip6,
        }
    }
}

#[cfg(test)]
mod explained;

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
mod history;

#[cfg(test)]
mod remember;

#[cfg(test)]
mod walk;
