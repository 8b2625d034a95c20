use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::complete;
use super::notifications::{Notifications, Wake};
use super::store::Store;
use super::tree::Tree;
use crate::event::Named;
use crate::{Event, Object};

/// So long must nothing happen before the directory is looked at: `kubectl`, editors and `git` touch
/// several files within a few milliseconds.
const QUIET: Duration = Duration::from_millis(20);

/// A directory in which something always happens is looked at this often.
const RESTLESS: Duration = Duration::from_millis(200);

/// So long may a file stay open for writing before it is read half-written; with [`RESTLESS`] below
/// the second within which changes are promised to take effect.
const WRITING: Duration = Duration::from_millis(600);

/// How often the directory is looked at in any case, for file systems that notify of nothing.
const ANYWAY: Duration = Duration::from_secs(30);

/// The same where inotify does not work or the directory is away.
const WITHOUT_INOTIFY: Duration = Duration::from_millis(500);

/// Follows one directory. `K` makes of each object the `T` that is kept of it.
#[derive(Debug)]
pub(super) struct Follower<T, K> {
    root: PathBuf,
    wake: Sender<Wake>,
    events: mpsc::Sender<Event<T>>,
    keep: K,
    store: Store,
    notifications: Notifications,
    /// Files that are open for writing, and since when.
    writing: HashMap<PathBuf, Instant>,
    is_faulty: bool,
    is_away: bool,
}

/// Nobody receives the events any more.
struct Stopped;

impl<T: Named, K: FnMut(Object) -> Option<T>> Follower<T, K> {
    pub(super) fn new(
        root: PathBuf,
        wake: Sender<Wake>,
        events: mpsc::Sender<Event<T>>,
        keep: K,
    ) -> Self {
        Self {
            root,
            events,
            keep,
            store: Store::default(),
            notifications: Notifications::new(&wake),
            writing: HashMap::new(),
            is_faulty: false,
            is_away: false,
            wake,
        }
    }

    /// Runs until it is told to stop or nobody listens.
    pub(super) fn run(mut self, woken: &Receiver<Wake>) {
        // Returns on Stopped; there is nobody left to tell.
        drop(self.follow(woken));
    }

    fn follow(&mut self, woken: &Receiver<Wake>) -> Result<(), Stopped> {
        let first = self.look();
        for event in complete(first) {
            self.send(event)?;
        }
        loop {
            self.wait(woken)?;
            let changes = self.look();
            if !changes.is_empty() {
                self.send(Event::Batch(changes))?;
            }
        }
    }

    /// Waits until it is worth looking.
    fn wait(&mut self, woken: &Receiver<Wake>) -> Result<(), Stopped> {
        let mut patience = self.patience();
        let mut restless = None;
        while self.take_one(woken, patience)? {
            patience = QUIET;
            if Instant::now() >= *restless.get_or_insert_with(|| Instant::now() + RESTLESS) {
                break;
            }
        }
        Ok(())
    }

    /// How long to wait when nothing happens.
    fn patience(&self) -> Duration {
        match self.writing.values().min() {
            Some(oldest) => WRITING.saturating_sub(oldest.elapsed()),
            None if self.is_faulty || self.is_away => WITHOUT_INOTIFY,
            None => ANYWAY,
        }
    }

    /// Takes in one notification. False when none came in time.
    fn take_one(&mut self, woken: &Receiver<Wake>, patience: Duration) -> Result<bool, Stopped> {
        match woken.recv_timeout(patience) {
            Ok(Wake::Changed(paths)) => {
                for path in paths {
                    self.writing.remove(&path);
                }
            }
            Ok(Wake::Writing(paths)) => {
                for path in paths {
                    self.writing.entry(path).or_insert_with(Instant::now);
                }
            }
            Ok(Wake::Fault(why)) => {
                if !std::mem::replace(&mut self.is_faulty, true) {
                    tracing::warn!(
                        "inotify does not work for {}: {why}; looking every half second instead \
                         (check fs.inotify.max_user_watches and max_user_instances)",
                        self.root.display()
                    );
                }
            }
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            Err(RecvTimeoutError::Timeout) => return Ok(false),
        }
        Ok(true)
    }

    /// What has changed since the last look.
    fn look(&mut self) -> Vec<Event<T>> {
        let tree = Tree::read(&self.root, |directory| {
            self.notifications.add(directory, &self.wake);
        });
        self.notifications.drop_others();
        self.is_away = tree.unreadable.contains_key(&self.root);
        self.writing.retain(|_, since| since.elapsed() < WRITING);
        let writing = &self.writing;
        let is_busy = |path: &Path| {
            // Notifications name the real path.
            let real = || path.canonicalize();
            !writing.is_empty() && real().is_ok_and(|path| writing.contains_key(&path))
        };
        self.store.update(&tree, is_busy, &mut self.keep)
    }

    fn send(&self, event: Event<T>) -> Result<(), Stopped> {
        self.events.blocking_send(event).map_err(|_| Stopped)
    }
}
