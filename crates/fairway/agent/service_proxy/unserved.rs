//! What Services ask for and do not get here: addresses that others have, and what the kernel refuses.

use std::collections::{BTreeMap, BTreeSet};

use fairway_admin::{MOST_PROBLEMS, ReportedProblem, SyncKind};
use fairway_cluster::{ProblemMetrics, Reason};
use fairway_nft::Report;
use fairway_plan::{Conflict, Element, Family, Planner};
use tracing::{error, warn};

/// The current state of it, so that what is new is told, and counted, once.
pub(super) struct Unserved {
    metrics: ProblemMetrics,
    /// Contested addresses, sorted.
    conflicts: Vec<Conflict>,
    refused: BTreeMap<Family, BTreeSet<Element>>,
}

impl Unserved {
    pub(super) fn new(metrics: ProblemMetrics) -> Self {
        Self {
            metrics,
            conflicts: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// All of it, for people.
    pub(super) fn reported(&self) -> Vec<ReportedProblem> {
        let conflicts = self.conflicts.iter().map(|conflict| ReportedProblem {
            object: format!("Service {}", conflict.loser),
            field: conflict.field.to_owned(),
            reason: Reason::AddressConflict.as_str(),
            message: conflict.message(),
        });
        let refused = self.refused.iter().flat_map(|(family, elements)| {
            elements.iter().map(move |element| ReportedProblem {
                object: "Service".to_owned(),
                field: String::new(),
                reason: Reason::RefusedByKernel.as_str(),
                message: format!("the kernel refused an element of {family} {}", element.set),
            })
        });
        conflicts.chain(refused).take(MOST_PROBLEMS).collect()
    }

    /// These are all contested addresses now, sorted: tells who does not get one.
    pub(super) fn contested(&mut self, conflicts: Vec<Conflict>) {
        let is_new = |conflict: &&Conflict| self.conflicts.binary_search(conflict).is_err();
        let mut appeared = 0;
        for conflict in conflicts.iter().filter(is_new) {
            warn!("{conflict}");
            appeared += 1;
        }
        let [before, now] = [self.conflicts.len(), conflicts.len()];
        self.metrics
            .changed("Service", Reason::AddressConflict, before, now, appeared);
        self.conflicts = conflicts;
    }

    /// The kernel took all but these. After a partial sync, what it refused before still is.
    pub(super) fn refused(
        &mut self,
        family: Family,
        kind: SyncKind,
        report: &Report,
        planner: &Planner,
    ) {
        for refused in &report.refused {
            let services = planner.owners(family, &refused.element);
            let services: Vec<_> = services.iter().map(ToString::to_string).collect();
            error!(
                %family,
                services = services.join(", "),
                set = %refused.element.set,
                reason = %refused.errno,
                "the kernel refused an element of a Service; everything else is in place, trying again later",
            );
        }
        let known = self.refused.entry(family).or_default();
        let before = known.len();
        let refused = report.refused.iter().map(|it| it.element.clone());
        let new: BTreeSet<_> = refused.filter(|it| !known.contains(it)).collect();
        if kind == SyncKind::Full {
            known.retain(|element| report.refused.iter().any(|it| it.element == *element));
        }
        let appeared = new.len();
        known.extend(new);
        let now = known.len();
        self.metrics
            .changed("Service", Reason::RefusedByKernel, before, now, appeared);
    }
}
