//! The service proxy half: keeps the kernel's tables at what the planner says.
//!
//! Each family lives on its own: what one cannot take does not hold up the other. When the kernel
//! may hold something else than what was planned, the table is read back and repaired: at once after
//! interference, with growing pauses after failures. A refused element holds up nothing else; a
//! failed batch does, because what it should have built on is not known until the repair.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fairway_admin::{
    FamilyMetrics, Health, IpFamily, Moment, ReportedProblem, ServiceProxyMetrics, SyncKind,
    SyncOutcome,
};
use fairway_cluster::ProblemMetrics;
use fairway_model::{Service, Snapshot, Trigger, Update};
use fairway_nft::{Dataplane, Error, Report};
use fairway_plan::{Family, Observed, Options, Planner, Transaction, WithoutLocalEndpoints};
use tokio::time::Instant;
use tracing::{error, info};

use super::connections::{ConnectionCounters, InKernel};
use super::flows::{self, FlowCleaner};
use crate::causes::with_causes;

use self::clients::Latecomers;
use self::unserved::Unserved;

mod clients;
#[cfg(test)]
mod tests;
mod two_steps;
mod unserved;

/// First pause before a failed family is tried again, doubled up to the longest. kube-proxy waits 30 s
/// at once; most causes (a module being loaded, memory) are gone sooner.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Changes whose arrival is measured, when they cannot arrive: more would tell nothing new.
const LONGEST_WAITING: usize = 10_000;

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

struct FamilyState {
    family: Family,
    metrics: FamilyMetrics,
    /// The kernel has what was planned, but for elements that it refused.
    sound: bool,
    /// When changes began that the kernel does not have yet.
    waiting: Vec<SystemTime>,
    without_local_endpoints: WithoutLocalEndpoints,
    retry: Option<Retry>,
    /// Clients that may have been stored while those that were outdated were removed.
    latecomers: Option<Latecomers>,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    pause: Duration,
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
            .map(|family| FamilyState {
                family: *family,
                metrics: metrics.family(ip_family(*family)),
                sound: false,
                waiting: Vec::new(),
                without_local_endpoints: WithoutLocalEndpoints::new(*family),
                retry: None,
                latecomers: None,
            })
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
        let [services, endpoints] = self.count(update);
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

    /// How many Services changed themselves, and of how many the endpoints did.
    fn count(&self, update: &Update) -> [u32; 2] {
        let mut counts = [0; 2];
        for name in &update.changes.services {
            let versions = [&self.snapshot, &update.snapshot]
                .map(|snapshot| snapshot.services.get(name).map(|service| &**service));
            let [old, new] = versions.map(|service| {
                let ports = service.iter().flat_map(|service| &service.ports);
                ports.map(|port| &port.endpoints).collect::<Vec<_>>()
            });
            let service_changed = match versions {
                [Some(before), Some(after)] if old != new => {
                    with_endpoints_of(before, after) != *after
                }
                _ => versions[0] != versions[1],
            };
            counts[0] += u32::from(service_changed);
            counts[1] += u32::from(old != new);
        }
        counts
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

impl FamilyState {
    /// What the kernel holds; None, and a retry is due, if that cannot be known.
    fn read(&mut self, dataplane: &mut impl Dataplane, health: &Health) -> Option<Observed> {
        let family = self.family;
        match dataplane.read(family) {
            Ok(observed) => Some(observed),
            Err(error) => {
                // Whatever there is to write has to wait until it is known what is there.
                health.queued(ip_family(family), Moment::now());
                let retry = self.try_later();
                let reason = with_causes(&error);
                error!(%family, reason, ?retry, "could not read the kernel's table");
                None
            }
        }
    }

    fn count_local_endpoints(&mut self, update: &Update) {
        let without = &mut self.without_local_endpoints;
        without.update(&update.snapshot, &update.changes);
        let (internal, external) = (without.internal(), without.external());
        self.metrics.without_local_endpoints(internal, external);
    }

    /// Takes note of changes whose arrival in the kernel is to be measured.
    fn wait_for(&mut self, triggers: &[Trigger], started: SystemTime) {
        let ours = triggers.iter().filter(|trigger| {
            trigger.ipv4 == (self.family == Family::Ip4) && trigger.time > started
        });
        let room = LONGEST_WAITING.saturating_sub(self.waiting.len());
        self.waiting
            .extend(ours.take(room).map(|trigger| trigger.time));
    }

    /// The kernel has everything: measures how long that took.
    fn arrived(&mut self) {
        let now = SystemTime::now();
        for began in self.waiting.drain(..) {
            // The control plane's clock may be ahead of ours.
            let took = now.duration_since(began).unwrap_or_default();
            self.metrics.programmed(took);
        }
    }

    fn try_later(&mut self) -> Duration {
        let pause = match self.retry {
            Some(retry) => (retry.pause * 2).min(LONGEST_PAUSE),
            None => SHORTEST_PAUSE,
        };
        self.retry = Some(Retry {
            at: Instant::now() + pause,
            pause,
        });
        pause
    }
}

/// A Service as it was, but for its endpoints.
fn with_endpoints_of(before: &Service, after: &Service) -> Service {
    let mut service = before.clone();
    for (port, after) in service.ports.iter_mut().zip(&after.ports) {
        port.endpoints = after.endpoints.clone();
    }
    service
}

fn ip_family(family: Family) -> IpFamily {
    match family {
        Family::Ip4 => IpFamily::Ipv4,
        Family::Ip6 => IpFamily::Ipv6,
    }
}
