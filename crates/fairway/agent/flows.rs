//! Removes the flows that changes leave behind, on a thread of its own: a look walks all of
//! conntrack's table, and no change of the rules waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use fairway_admin::FamilyMetrics;
use fairway_nft::{Conntrack, Error, LocalAddresses, Sweep};
use fairway_plan::{Family, Flow, FlowChanges, FlowFilter, Verdict};
use tracing::{debug, info, warn};

use self::schedule::Schedule;
use crate::causes::with_causes;

mod schedule;

#[cfg(test)]
mod tests;

/// Removes the flows that changes leave behind.
///
/// A change is announced by [`hold`](Self::hold) before it goes to the kernel, and followed up by
/// [`check`](Self::check) afterwards, or by [`forget`](Self::forget) if it did not get there.
/// None of them waits for the thread.
pub(crate) struct FlowCleaner {
    shared: Arc<Shared>,
}

/// The flows there are.
pub(crate) trait FlowTable: Send {
    /// Deletes the flows that are stale.
    fn sweep(
        &mut self,
        family: Family,
        filter: FlowFilter,
        is_stale: &mut dyn FnMut(&Flow) -> bool,
    ) -> Result<Sweep, Error>;
}

/// Opens a table. Called on the thread, and again after an error.
pub(crate) type Open = Box<dyn FnMut() -> Result<Box<dyn FlowTable>, Error> + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ip4: Schedule,
    ip6: Schedule,
    closed: bool,
}

struct Worker {
    shared: Arc<Shared>,
    metrics: Vec<(Family, FamilyMetrics)>,
    open: Open,
    table: Option<Box<dyn FlowTable>>,
}

impl FlowCleaner {
    /// Starts the thread; it ends, sooner or later, when the cleaner is dropped.
    pub(crate) fn start(open: Open, metrics: Vec<(Family, FamilyMetrics)>) -> Self {
        let shared = Arc::<Shared>::default();
        let mut worker = Worker {
            shared: shared.clone(),
            metrics,
            open,
            table: None,
        };
        let started = thread::Builder::new()
            .name("conntrack".to_owned())
            .spawn(move || worker.run());
        if let Err(error) = started {
            let reason = with_causes(&error);
            warn!(reason, "cannot start a thread: stale flows are not removed");
        }
        Self { shared }
    }

    /// The kernel's flows, of the network namespace of this process.
    pub(crate) fn open_kernel() -> Open {
        Box::new(|| Ok(Box::new(Conntrack::open()?)))
    }

    /// A change is about to go to the kernel.
    pub(crate) fn hold(&self, family: Family, changes: &FlowChanges) {
        if !changes.is_empty() {
            self.shared.lock().of(family).checks.hold(changes);
        }
    }

    /// The change is in the kernel.
    pub(crate) fn check(&self, family: Family, changes: FlowChanges) {
        if changes.is_empty() {
            return;
        }
        self.shared.lock().of(family).check(changes, Instant::now());
        self.shared.changed.notify_one();
    }

    /// The change did not get into the kernel, or nobody knows.
    pub(crate) fn forget(&self, family: Family, changes: &FlowChanges) {
        if !changes.is_empty() {
            self.shared.lock().of(family).checks.forget(changes);
        }
    }
}

impl Drop for FlowCleaner {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl FlowTable for Conntrack {
    fn sweep(
        &mut self,
        family: Family,
        filter: FlowFilter,
        is_stale: &mut dyn FnMut(&Flow) -> bool,
    ) -> Result<Sweep, Error> {
        self.sweep(family, filter, is_stale)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time to look at the flows of a family; None at the end.
    fn wait(&self) -> Option<Family> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let now = Instant::now();
            let due = Family::ALL.map(|family| (state.of(family).due(now), family));
            let due = due
                .into_iter()
                .filter_map(|(at, family)| Some((at?, family)));
            state = match due.min() {
                Some((at, family)) if at <= now => return Some(family),
                Some((at, _)) => {
                    let waited = self.changed.wait_timeout(state, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl State {
    fn of(&mut self, family: Family) -> &mut Schedule {
        match family {
            Family::Ip4 => &mut self.ip4,
            Family::Ip6 => &mut self.ip6,
        }
    }
}

impl Worker {
    fn run(&mut self) {
        while let Some(family) = self.shared.wait() {
            let started = Instant::now();
            match self.look(family) {
                Ok(sweep) => {
                    let took = started.elapsed();
                    let metrics = self.metrics.iter().find(|(of, _)| *of == family);
                    if let Some((_, metrics)) = metrics {
                        metrics.swept(sweep.deleted, took);
                    }
                    let Sweep { seen, deleted } = sweep;
                    match deleted {
                        0 => debug!(%family, seen, ?took, "no flow is stale"),
                        _ => info!(%family, seen, deleted, ?took, "removed stale flows"),
                    }
                }
                Err(error) => {
                    self.table = None;
                    let pause = self.shared.lock().of(family).failed(Instant::now());
                    let reason = with_causes(&error);
                    warn!(%family, reason, ?pause, "could not look for stale flows: some clients may still be sent to endpoints that are gone; trying again");
                }
            }
        }
    }

    /// Looks at the flows once.
    fn look(&mut self, family: Family) -> Result<Sweep, Error> {
        let started = Instant::now();
        let (round, scope) = {
            let mut state = self.shared.lock();
            let schedule = state.of(family);
            (schedule.begin(), schedule.checks.scope())
        };
        let table = match &mut self.table {
            Some(table) => table,
            table => table.insert((self.open)()?),
        };
        let mut local = LocalAddresses::open()?;
        let mut failure = None;
        let mut total = Sweep::default();
        for filter in round.filters() {
            let mut is_stale = |flow: &Flow| {
                let verdict = self
                    .shared
                    .lock()
                    .of(family)
                    .checks
                    .verdict(flow, Instant::now());
                let is_local = |address| {
                    let local = local.contains(address);
                    local.unwrap_or_else(|error| {
                        failure = Some(error);
                        false
                    })
                };
                match verdict {
                    Verdict::Keep => false,
                    Verdict::Stale => true,
                    Verdict::StaleOnNodePort => scope.covers(flow.destination.ip(), is_local),
                }
            };
            let sweep = table.sweep(family, filter, &mut is_stale)?;
            total.seen += sweep.seen;
            total.deleted += sweep.deleted;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let mut state = self.shared.lock();
        state.of(family).finish(&round, started, Instant::now());
        Ok(total)
    }
}
