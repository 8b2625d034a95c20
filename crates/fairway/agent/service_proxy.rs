//! The service proxy half: keeps the kernel's tables at what the planner says.
//!
//! Each family lives on its own: what one cannot take does not hold up the other. When the kernel
//! may hold something else than what was planned, the table is read back and repaired: at once after
//! interference, with growing pauses after failures. A refused element holds up nothing else; a
//! failed batch does, because what it should have built on is not known until the repair.

use std::sync::Arc;
use std::time::SystemTime;

use fairway_admin::{Health, Moment, ReportedProblem, ServiceProxyMetrics, SyncKind, SyncOutcome};
use fairway_cluster::ProblemMetrics;
use fairway_model::{Snapshot, Update};
use fairway_nft::{Dataplane, Error, Report};
use fairway_plan::{Family, Observed, Options, Planner, Transaction};
use tokio::time::Instant;
use tracing::{error, info};

use super::connections::{ConnectionCounters, InKernel};
use super::flows::{self, FlowCleaner};
use crate::causes::with_causes;

use self::family::{FamilyState, ip_family};
use self::unserved::Unserved;

mod changed;
mod clients;
mod family;
#[cfg(test)]
mod tests;
mod two_steps;
mod unserved;

/// Keeps the tables of both families.
pub(crate) struct ServiceProxy<D> {
    dataplane: D,
    planner: Planner,
    flows: FlowCleaner,
    families: Vec<FamilyState>,
    health: Health,
    metrics: ServiceProxyMetrics,
    /// Changes that began before are no delay of ours.
    started: SystemTime,
    /// What was planned last.
    snapshot: Arc<Snapshot>,
    unserved: Unserved,
    /// Only if connections are counted.
    connections: Option<ConnectionCounters>,
}

/// Who is told how it goes.
pub(crate) struct Observers {
    pub(crate) health: Health,
    pub(crate) metrics: ServiceProxyMetrics,
    pub(crate) problems: ProblemMetrics,
    pub(crate) connections: Option<ConnectionCounters>,
}

impl<D: Dataplane> ServiceProxy<D> {
    /// Reads what the kernel holds, plans the update on top of it and writes the difference.
    pub(crate) fn start(
        mut dataplane: D,
        families: &[Family],
        options: Options,
        update: &Update,
        observers: Observers,
        open_flows: flows::Open,
    ) -> Self {
        let started = Instant::now();
        let Observers {
            health,
            metrics,
            problems,
            connections,
        } = observers;
        let mut families: Vec<_> = families
            .iter()
            .map(|family| FamilyState::new(*family, metrics.family(ip_family(*family))))
            .collect();
        let observed = Family::ALL.map(|family| {
            let mut states = families.iter_mut();
            let state = states.find(|state| state.family == family)?;
            state.read(&mut dataplane, &health)
        });
        let nothing = Observed::default();
        let known = observed
            .each_ref()
            .map(|it| it.as_ref().unwrap_or(&nothing));
        let (planner, transactions) = Planner::start(options, &update.snapshot, known);
        let flow_metrics = families.iter().map(|it| (it.family, it.metrics.clone()));
        let mut proxy = Self {
            dataplane,
            planner,
            flows: FlowCleaner::start(open_flows, flow_metrics.collect()),
            families,
            health,
            metrics,
            started: SystemTime::now(),
            snapshot: update.snapshot.clone(),
            unserved: Unserved::new(problems),
            connections,
        };
        for state in &mut proxy.families {
            state.count_local_endpoints(update);
        }
        for (transaction, observed) in transactions.iter().zip(&observed) {
            proxy.begin_counting(transaction.family, observed.is_some());
            if let Some(observed) = observed
                && proxy.commit(transaction, SyncKind::Full, started).is_some()
            {
                proxy.check_all_flows(transaction.family, observed);
            }
        }
        proxy.unserved.contested(proxy.planner.conflicts());
        proxy
    }

    /// Writes an update. A family that is unsound follows when it is repaired.
    pub(crate) fn apply(&mut self, update: &Update) {
        let started = Instant::now();
        let transactions = self.planner.update(&update.snapshot, &update.changes);
        let [services, endpoints] = changed::count(&self.snapshot, update);
        self.metrics.changed(services, endpoints);
        let before = std::mem::replace(&mut self.snapshot, update.snapshot.clone());
        for state in &mut self.families {
            state.count_local_endpoints(update);
            state.wait_for(&update.changes.triggers, self.started);
        }
        for transaction in transactions {
            let family = transaction.family;
            let mut states = self.families.iter_mut();
            let Some(state) = states.find(|state| state.family == family) else {
                continue;
            };
            if !state.sound {
                self.health.queued(ip_family(family), Moment::now());
                self.follow_counters(family, InKernel::Unknown);
                continue;
            }
            let flows =
                self.planner
                    .flow_changes(family, &before, &update.snapshot, &update.changes);
            self.flows.hold(family, &flows);
            let in_kernel = if transaction.is_empty() {
                state.arrived();
                true
            } else {
                self.commit(&transaction, SyncKind::Partial, started)
                    .is_some()
            };
            self.follow_counters(family, InKernel::of(in_kernel));
            match in_kernel {
                true => self.flows.check(family, flows),
                false => self.flows.forget(family, &flows),
            }
        }
        self.settle();
        self.unserved.contested(self.planner.conflicts());
    }

    /// Takes what the kernel has counted before as nothing: the totals of a process begin at zero.
    fn begin_counting(&mut self, family: Family, known: bool) {
        self.follow_counters(family, InKernel::Unknown);
        if let Some(connections) = self.connections.as_ref().filter(|_| known) {
            connections.begin(&mut self.dataplane, family);
        }
    }

    fn follow_counters(&self, family: Family, in_kernel: InKernel) {
        if let Some(connections) = &self.connections {
            connections.follow(&self.planner, family, &self.snapshot, in_kernel);
        }
    }

    /// Reads the tables back and repairs what differs: after somebody else may have changed them.
    pub(crate) fn verify(&mut self) {
        for index in 0..self.families.len() {
            self.repair(index);
        }
    }

    /// What Services ask for and do not get here.
    pub(crate) fn unserved(&self) -> Vec<ReportedProblem> {
        self.unserved.reported()
    }

    /// When [`Self::retry`] should be called.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        let families = self.families.iter();
        let times = families.flat_map(|state| {
            let latecomers = state.latecomers.as_ref();
            [
                state.retry.map(|retry| retry.at),
                latecomers.map(|latecomers| latecomers.at),
            ]
        });
        times.flatten().min()
    }

    /// Tries the families again whose time has come.
    pub(crate) fn retry(&mut self) {
        let now = Instant::now();
        for index in 0..self.families.len() {
            if self.families[index]
                .retry
                .is_some_and(|retry| retry.at <= now)
            {
                self.repair(index);
            }
            self.forget_latecomers(index, now);
        }
    }

    fn repair(&mut self, index: usize) {
        let started = Instant::now();
        let state = &mut self.families[index];
        let (family, was_sound) = (state.family, state.sound);
        let Some(observed) = state.read(&mut self.dataplane, &self.health) else {
            return;
        };
        let transaction = self.planner.repair(family, &observed);
        let writes = self.commit(&transaction, SyncKind::Full, started);
        // Flows may have begun while the rules were wrong.
        if writes.is_some_and(|writes| writes > 0 || !was_sound) {
            self.check_all_flows(family, &observed);
        }
        self.settle();
    }

    /// Counts no change as pending any more, once every family has all of them.
    fn settle(&self) {
        if self.families.iter().all(|state| state.sound) {
            self.metrics.all_applied();
        }
    }

    fn check_all_flows(&self, family: Family, observed: &Observed) {
        let flows = self.planner.all_flows(family, &self.snapshot, observed);
        self.flows.check(family, flows);
    }

    /// Returns the number of changes that were taken; None after a failure.
    fn commit(
        &mut self,
        transaction: &Transaction,
        kind: SyncKind,
        started: Instant,
    ) -> Option<usize> {
        let family = transaction.family;
        let mut states = self.families.iter_mut();
        let state = states.find(|state| state.family == family)?;
        self.health.queued(ip_family(family), Moment::now());
        state.metrics.queued(Moment::now());
        let result = match transaction.is_empty() {
            true => Ok(Report::default()),
            false => two_steps::commit(
                &mut self.dataplane,
                &self.planner,
                self.connections.as_ref(),
                transaction,
            ),
        };
        let took = started.elapsed();
        let outcome = match &result {
            Ok(_) => SyncOutcome::Applied,
            Err(_) => SyncOutcome::Failed,
        };
        state.metrics.synced(kind, outcome, took, Moment::now());
        match result {
            Ok(report) => {
                self.health.applied(ip_family(family), Moment::now());
                let writes = report.writes;
                if kind == SyncKind::Full {
                    info!(%family, writes, ?took, "the kernel's table is as planned");
                }
                state.sound = true;
                state.expect_latecomers(&transaction.outdated);
                state.arrived();
                self.unserved.refused(family, kind, &report, &self.planner);
                if report.refused.is_empty() {
                    // A lone change says nothing about elements that were refused before.
                    state.retry = state.retry.filter(|_| kind == SyncKind::Partial);
                    return Some(writes);
                }
                state.try_later();
                Some(writes)
            }
            Err(error) => {
                state.sound = false;
                if matches!(error, Error::Cleanup(_)) {
                    state.metrics.cleanup_failed();
                }
                let retry = state.try_later();
                let reason = with_causes(&error);
                error!(%family, reason, ?retry, "could not write the kernel's table; what it holds stays in force");
                None
            }
        }
    }
}
