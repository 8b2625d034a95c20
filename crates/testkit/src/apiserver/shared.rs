use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::faults::Faults;
use super::store::Store;
use super::target::Verb;

/// Requests of which the details are kept.
const RECENT: usize = 10_000;

/// What the server's connections and its owner share.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    requests: Mutex<Requests>,
    pub(super) signals: watch::Sender<Signals>,
}

/// Wakes watches and connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    /// The newest version.
    pub(super) revision: u64,
    /// Connections that began in an earlier epoch are cut.
    pub(super) epoch: u64,
    /// How often clients were asked to go on with another connection.
    pub(super) goaways: u64,
    /// How often the watches of the time were ended.
    pub(super) ends: u64,
    /// How often a bookmark was asked for by hand.
    pub(super) bookmarks: u64,
    /// How often watches send a bookmark by themselves.
    pub(super) bookmark_interval: Duration,
    /// Whether requests are accepted.
    pub(super) serving: bool,
    /// The owner is gone.
    pub(super) stopped: bool,
}

/// What was asked of the server.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) counts: BTreeMap<(&'static str, Verb), usize>,
    pub(super) recent: VecDeque<Request>,
    pub(super) watchers: BTreeMap<&'static str, usize>,
    pub(super) connections: Connections,
}

/// Connections over sockets.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Whose they are.
    pub(super) open: BTreeSet<SocketAddr>,
    pub(super) accepted: usize,
}

/// A request that the server has seen.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it does.
    pub verb: Verb,
    /// The kind as in the URL, for example `services`.
    pub resource: &'static str,
    /// The path with the query, as it was sent.
    pub path: String,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            store: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            signals: watch::Sender::new(Signals {
                revision: 0,
                epoch: 0,
                goaways: 0,
                ends: 0,
                bookmarks: 0,
                bookmark_interval: Duration::from_secs(60), // as a real server
                serving: true,
                stopped: false,
            }),
        }
    }
}

impl Shared {
    /// The objects, to read.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// Changes objects and wakes the watches.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store();
        let result = change(&mut store);
        let revision = store.revision();
        drop(store);
        self.signals.send_modify(|signals| {
            signals.revision = signals.revision.max(revision);
        });
        result
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.requests)
    }

    pub(super) fn note(&self, request: Request) {
        let mut requests = self.requests();
        *requests
            .counts
            .entry((request.resource, request.verb))
            .or_default() += 1;
        requests.recent.push_back(request);
        if requests.recent.len() > RECENT {
            requests.recent.pop_front();
        }
    }
}

/// A test that panics elsewhere must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
