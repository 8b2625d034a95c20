use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

/// What wakes the follower of a directory.
#[derive(Debug)]
pub(super) enum Wake {
    /// Something happened to these paths.
    Changed(Vec<PathBuf>),
    /// These are being written and not yet closed.
    Writing(Vec<PathBuf>),
    /// inotify has a limit or a fault.
    Fault(String),
    /// Nobody is interested any more.
    Stop,
}

impl Wake {
    fn new(event: notify::Result<Event>) -> Option<Self> {
        let event = match event {
            Ok(event) => event,
            Err(error) => return Some(Self::Fault(error.to_string())),
        };
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Our own reading is among these.
            EventKind::Access(_) => return None,
            EventKind::Modify(ModifyKind::Data(_)) => return Some(Self::Writing(event.paths)),
            _ => {}
        }
        Some(Self::Changed(event.paths))
    }
}

/// The directories for which the kernel notifies us.
#[derive(Debug)]
pub(super) struct Notifications {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Watched since the last [`Self::drop_others`].
    current: BTreeSet<PathBuf>,
}

impl Notifications {
    /// Sends to `wake`, also when there is no inotify.
    pub(super) fn new(wake: &Sender<Wake>) -> Self {
        let handler = wake.clone();
        let watcher = notify::recommended_watcher(move |event| {
            // Fails only when the follower has ended.
            drop(Wake::new(event).map(|wake| handler.send(wake)));
        });
        let watcher = watcher.map_err(|error| drop(wake.send(Wake::Fault(error.to_string()))));
        Self {
            watcher: watcher.ok(),
            watched: BTreeSet::new(),
            current: BTreeSet::new(),
        }
    }

    /// Asks to be notified of what happens in a directory, without what is below it. Asking again
    /// costs little, and finds a new directory that has taken the place of an old one.
    pub(super) fn add(&mut self, directory: &Path, wake: &Sender<Wake>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if !self.current.insert(directory.to_owned()) {
            return;
        }
        let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
        if let Err(error) = watched.or_else(unless_seen_anyway) {
            drop(wake.send(Wake::Fault(error.to_string())));
        }
    }

    /// Forgets the directories that were not added again.
    pub(super) fn drop_others(&mut self) {
        let current = std::mem::take(&mut self.current);
        if let Some(watcher) = &mut self.watcher {
            for directory in self.watched.difference(&current) {
                // One that was removed has taken its watch along.
                drop(watcher.unwatch(directory));
            }
        }
        self.watched = current;
    }
}

/// A directory that is gone or closed to us is no fault of inotify: listing it says so, and its parent
/// notifies when that changes.
fn unless_seen_anyway(error: notify::Error) -> notify::Result<()> {
    let seen = match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        ),
        _ => false,
    };
    if seen { Ok(()) } else { Err(error) }
}
