//! Objects from a directory of manifests.
//!
//! ```text
//! inotify --> follow --> tree (which files) --> store (what changed) --> Batch of Apply and Delete
//!                                                 |
//!                                           document (text -> objects)
//! ```
//!
//! inotify only wakes: what is there is always read from the directory itself, so that lost or
//! merged notifications, renames and swapped symbolic links all come to the same.

mod document;
mod endpoints;
mod follow;
mod kinds;
mod notifications;
mod store;
mod tree;

use std::path::Path;
use std::sync::mpsc as wake;

use tokio::sync::mpsc;

use crate::cluster::LoadError;
use crate::event::Named;
use crate::{Event, Kind, Object};
use follow::Follower;
use notifications::Wake;
use store::Store;
use tree::Tree;

/// A manifest directory that is being followed, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    wake: wake::Sender<Wake>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Fails only when the thread has already ended.
        drop(self.wake.send(Wake::Stop));
    }
}

/// Follows a directory on a thread of its own: reading files blocks. `keep` makes of each object what
/// is to be kept of it.
pub(crate) fn watch<T: Named + Send + 'static>(
    directory: &Path,
    events: mpsc::Sender<Event<T>>,
    keep: impl FnMut(Object) -> Option<T> + Send + 'static,
) -> Result<Watch, LoadError> {
    check(directory)?;
    let (wake, woken) = wake::channel();
    let follower = Follower::new(directory.to_owned(), wake.clone(), events, keep);
    let thread = std::thread::Builder::new().name("manifests".to_owned());
    let spawned = thread.spawn(move || follower.run(&woken));
    spawned.map_err(|source| error(directory, source))?;
    Ok(Watch { wake })
}

/// Reads a directory once.
pub(crate) fn read<T: Named>(
    directory: &Path,
    mut keep: impl FnMut(Object) -> Option<T>,
) -> Result<Vec<Event<T>>, LoadError> {
    check(directory)?;
    let mut store = Store::default();
    let tree = Tree::read(directory, |_| {});
    Ok(complete(store.update(&tree, |_| false, &mut keep)))
}

/// The first look at a directory: changes to nothing, as complete lists of every kind.
fn complete<T: Named>(changes: Vec<Event<T>>) -> Vec<Event<T>> {
    let mut lists = Kind::ALL.map(|kind| (kind, Vec::new()));
    let mut others = Vec::new();
    for event in changes {
        match event {
            Event::Apply(object) => {
                let kind = object.kind();
                let list = lists.iter_mut().find(|(other, _)| *other == kind);
                list.expect("every kind has a list").1.push(object);
            }
            other => others.push(other),
        }
    }
    let lists = lists.into_iter();
    let lists = lists.map(|(kind, objects)| Event::Replace(kind, objects));
    lists.chain(others).collect()
}

fn check(directory: &Path) -> Result<(), LoadError> {
    match std::fs::read_dir(directory) {
        Ok(_) => Ok(()),
        Err(source) => Err(error(directory, source)),
    }
}

fn error(directory: &Path, source: std::io::Error) -> LoadError {
    LoadError::Directory {
        path: directory.to_owned(),
        source,
    }
}

/// Objects written as YAML, for tests.
#[cfg(test)]
pub(crate) fn objects(yaml: &str) -> Vec<crate::Object> {
    let parsed = document::parse(Path::new("test.yaml"), yaml.as_bytes(), &mut Some);
    let parsed = parsed.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!((parsed.problems, parsed.skipped), (vec![], vec![]));
    let contents = parsed
        .declarations
        .into_iter()
        .flat_map(|declared| declared.content);
    contents.flatten().collect()
}

#[cfg(test)]
mod tests;
