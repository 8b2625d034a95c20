//! Reads what the kernel has counted when somebody asks for the metrics, on a thread of its own: the
//! elements of a large cluster take tens of milliseconds, and no change of the rules waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use fairway_admin::{ConnectionMetrics, Refresh, RefreshRequests};
use fairway_model::Snapshot;
use fairway_nft::{Dataplane, Error, Netlink};
use fairway_plan::{Bytes, Change, Family, Planner, SetName};
use prometheus_client::registry::Registry;
use tracing::warn;

use self::ledger::{Known, Ledger};
use crate::causes::with_causes;

mod ledger;
#[cfg(test)]
mod tests;

/// The sets whose elements count.
const SETS: [SetName; 2] = [SetName::Connections, SetName::NodePortConnections];

/// The connections that Services and their endpoints got.
#[derive(Clone)]
pub(crate) struct ConnectionCounters {
    ledger: Arc<Mutex<Ledger>>,
}

/// Whether the kernel has the elements of the last update, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InKernel {
    /// What is new counts from zero.
    Yes,
    /// What is new may have been there for long.
    Unknown,
}

/// Opens the kernel's tables. Called on the thread, and again after an error.
type Open<D> = fn() -> Result<D, Error>;

struct Reader<D> {
    ledger: Arc<Mutex<Ledger>>,
    requests: RefreshRequests,
    open: Open<D>,
    dataplane: Option<D>,
}

impl InKernel {
    pub(crate) fn of(in_kernel: bool) -> Self {
        match in_kernel {
            true => Self::Yes,
            false => Self::Unknown,
        }
    }
}

impl ConnectionCounters {
    /// Counts from now on, in metrics that are to be brought up to date when they are asked for.
    pub(crate) fn register(registry: &mut Registry) -> (Self, Refresh) {
        let metrics = ConnectionMetrics::default();
        metrics.register(registry);
        let (refresh, requests) = Refresh::new();
        (Self::start(metrics, requests), refresh)
    }

    /// Reads the kernel's tables, of the network namespace of this process, whenever it is asked to. The
    /// thread ends when nobody can ask any more.
    fn start(metrics: ConnectionMetrics, requests: RefreshRequests) -> Self {
        let counters = Self::new(metrics);
        let mut reader = Reader {
            ledger: counters.ledger.clone(),
            requests,
            open: Netlink::open,
            dataplane: None,
        };
        let started = thread::Builder::new()
            .name("connections".to_owned())
            .spawn(move || reader.run());
        if let Err(error) = started {
            let reason = with_causes(&error);
            warn!(reason, "cannot start a thread: connections are not counted");
        }
        counters
    }

    fn new(metrics: ConnectionMetrics) -> Self {
        Self {
            ledger: Arc::new(Mutex::new(Ledger::new(metrics))),
        }
    }

    /// The elements of the Services that the planner has planned anew.
    pub(crate) fn follow(
        &self,
        planner: &Planner,
        family: Family,
        snapshot: &Snapshot,
        in_kernel: InKernel,
    ) {
        let planned = planner.replanned(family).iter();
        let planned: Vec<_> = planned
            .map(|name| Known {
                ports: snapshot.services.get(name).map(|service| {
                    let ports = service.ports.iter();
                    ports.map(fairway_plan::Counter::port_label).collect()
                }),
                counters: planner.counters(family, name),
                service: name.clone(),
            })
            .collect();
        if !planned.is_empty() {
            lock(&self.ledger).follow(family, planned, in_kernel);
        }
    }

    /// What has been counted until now is before our time.
    pub(crate) fn begin(&self, dataplane: &mut impl Dataplane, family: Family) {
        match read(&self.ledger, dataplane, family) {
            Ok(()) => lock(&self.ledger).all_is_known(family),
            Err(error) => unreadable(family, &error),
        }
    }

    /// Reads elements that these changes remove.
    pub(crate) fn read_last(
        &self,
        dataplane: &mut impl Dataplane,
        family: Family,
        changes: &[Change],
    ) {
        for (set, keys) in counting_that_goes(changes).into_iter().flatten() {
            let reading = lock(&self.ledger).begin_reading();
            let counters = match keys {
                Going::Some(keys) => dataplane.counters_of(family, set, &keys),
                Going::All => dataplane.counters(family, set),
            };
            match counters {
                Ok(counters) => lock(&self.ledger).take(reading, family, set, counters),
                Err(error) => unreadable(family, &error),
            }
        }
    }
}

/// Which elements of a set go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Going {
    Some(Vec<Bytes>),
    /// With their set.
    All,
}

/// The elements that count and that these changes remove, if there are any.
pub(crate) fn counting_that_goes(changes: &[Change]) -> Option<BTreeMap<SetName, Going>> {
    let mut going = BTreeMap::new();
    for change in changes {
        match change {
            Change::Delete(element) if element.set.counts() => {
                let set = going.entry(element.set);
                if let Going::Some(keys) = set.or_insert(Going::Some(Vec::new())) {
                    keys.push(element.key.clone());
                }
            }
            Change::DestroySet(name) => {
                let set = SETS.into_iter().find(|set| set.to_string() == *name);
                going.extend(set.map(|set| (set, Going::All)));
            }
            _ => {}
        }
    }
    (!going.is_empty()).then_some(going)
}

impl<D: Dataplane> Reader<D> {
    fn run(&mut self) {
        while let Some(waiting) = self.requests.wait() {
            for family in Family::ALL {
                if let Err(error) = self.read(family) {
                    self.dataplane = None;
                    unreadable(family, &error);
                }
            }
            drop(waiting);
        }
    }

    fn read(&mut self, family: Family) -> Result<(), Error> {
        if !lock(&self.ledger).knows(family) {
            return Ok(());
        }
        let dataplane = match &mut self.dataplane {
            Some(dataplane) => dataplane,
            dataplane => dataplane.insert((self.open)()?),
        };
        read(&self.ledger, dataplane, family)
    }
}

fn read(
    ledger: &Mutex<Ledger>,
    dataplane: &mut impl Dataplane,
    family: Family,
) -> Result<(), Error> {
    for set in SETS {
        let reading = lock(ledger).begin_reading();
        let counters = dataplane.counters(family, set)?;
        lock(ledger).take(reading, family, set, counters);
    }
    Ok(())
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    // Nothing that runs under the lock is left half done by a panic.
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreadable(family: Family, error: &Error) {
    let reason = with_causes(error);
    warn!(%family, reason, "could not read how many connections there were: some may be missing in the metrics");
}
