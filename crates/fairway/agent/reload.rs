//! Follows the files of the configuration.
//!
//! A ConfigMap is mounted as links to a directory that is swapped for another one; an editor writes in
//! place or renames. So inotify only wakes, for every file and directory on the way to the content,
//! and what counts is what the files say then. A configuration that cannot be used changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::config::{Config, Loader};

/// A change is over when nothing has happened for so long, or at the latest after this: half a file is
/// no configuration.
const QUIET: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(1);

/// The most links that Linux follows on the way to a file.
const MOST_LINKS: usize = 40;

/// The configurations that come after the first.
#[derive(Debug)]
pub(crate) struct Reload {
    changed: watch::Receiver<Config>,
}

impl Reload {
    /// Follows the files on a thread of its own, where there are any: reading files blocks.
    pub(crate) fn follow(loader: Loader, config: &Config) -> std::io::Result<Self> {
        let (sender, changed) = watch::channel(config.clone());
        if !loader.files().is_empty() {
            let thread = std::thread::Builder::new().name("config-files".to_owned());
            thread.spawn(move || Follower::new(loader).run(&sender))?;
        }
        Ok(Self { changed })
    }

    /// The next configuration. Cancel safe.
    pub(crate) async fn next(&mut self) -> Config {
        match self.changed.changed().await {
            Ok(()) => self.changed.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    }
}

struct Follower {
    loader: Loader,
    watcher: Option<RecommendedWatcher>,
    woken: Receiver<()>,
}

impl Follower {
    fn new(loader: Loader) -> Self {
        let (wake, woken) = mpsc::channel();
        Self {
            loader,
            watcher: watcher(wake),
            woken,
        }
    }

    /// Until nobody is interested any more.
    fn run(mut self, sender: &watch::Sender<Config>) {
        let mut told = None;
        while !sender.is_closed() {
            // Watched first and read then, so that no change in between is missed.
            self.watch();
            let loaded = self.loader.load().map_err(|error| error.to_string());
            match loaded.and_then(|config| following(&sender.borrow(), config)) {
                Ok(config) => {
                    told = None;
                    sender.send_if_modified(|current| replace(current, config));
                }
                Err(error) => {
                    if told.as_ref() != Some(&error) {
                        warn!("{error}; the configuration of before stays in force");
                        told = Some(error);
                    }
                }
            }
            if self.wait().is_err() {
                return;
            }
        }
    }

    fn watch(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let files = self.loader.files().iter();
        for path in files.flat_map(|file| way_to(file)).collect::<BTreeSet<_>>() {
            // What is gone has a directory that tells when it is back.
            if let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive) {
                debug!(%error, "cannot watch a part of the way to a configuration file");
            }
        }
    }

    /// Waits for a change, and until it is over.
    fn wait(&self) -> Result<(), mpsc::RecvError> {
        self.woken.recv()?;
        let latest = Instant::now() + LATEST;
        while Instant::now() < latest {
            match self.woken.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Err(mpsc::RecvError),
            }
        }
        Ok(())
    }
}

fn watcher(wake: Sender<()>) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_of_interest = event.is_ok_and(|event| match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            // Our own reading.
            EventKind::Access(_) => false,
            _ => true,
        });
        if is_of_interest {
            // Fails only when the follower has ended.
            let _ = wake.send(());
        }
    });
    let watcher = watcher.inspect_err(|error| {
        warn!(%error, "cannot watch the files of the configuration: their changes count at the next start");
    });
    watcher.ok()
}

/// Refuses a new configuration with faulty policies: what they are to protect is protected by those of
/// before. One that is in force from the start on is nothing new.
fn following(current: &Config, new: Config) -> Result<Config, String> {
    match new.faults.as_slice() {
        [] => Ok(new),
        _ if *current == new => Ok(new),
        faults => Err(faults.join("; ")),
    }
}

/// Takes the new configuration if it means something else.
fn replace(current: &mut Config, mut new: Config) -> bool {
    let warnings = std::mem::take(&mut new.warnings);
    let before = std::mem::take(&mut current.warnings);
    if *current == new {
        for warning in warnings.iter().filter(|it| !before.contains(it)) {
            warn!("{warning}");
        }
        current.warnings = warnings;
        return false;
    }
    info!("the configuration has changed");
    *current = new;
    current.warnings = warnings;
    true
}

/// The files and directories that decide what a path leads to.
fn way_to(file: &Path) -> Vec<PathBuf> {
    let mut way = Vec::new();
    let mut path = file.to_owned();
    for _ in 0..MOST_LINKS {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let target = std::fs::read_link(&path);
        way.push(directory.clone());
        match target {
            Ok(target) => path = directory.join(target),
            Err(_) => break,
        }
    }
    // Mounted alone, a file has a directory where nothing happens.
    way.push(path);
    way
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_way_leads_through_every_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        std::fs::create_dir(at("..2026")).unwrap();
        std::fs::write(at("..2026/config.conf"), "").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/config.conf", at("config.conf")).unwrap();
        let way = way_to(&at("config.conf"));
        let expected = [
            directory.path().to_owned(),
            at("..data"),
            at("..data/config.conf"),
        ];
        assert_eq!(way, expected);
        // A link to itself leads nowhere, and an end is found all the same.
        symlink("loop", at("loop")).unwrap();
        assert!(way_to(&at("loop")).len() <= MOST_LINKS + 1);
    }
}
