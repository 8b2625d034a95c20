//! For fuzz targets: objects in, a snapshot out, without a source that runs.

use std::sync::Arc;

use fairway_model::Snapshot;

use crate::index::Index;
use crate::{Event, Kind, Object, Options};

/// The model of these objects, which come one after the other, and what is wrong with them.
pub fn snapshot(objects: impl IntoIterator<Item = Object>) -> (Arc<Snapshot>, Vec<String>) {
    let mut index = Index::new(Options::default());
    for kind in Kind::ALL {
        index.apply(Event::Replace(kind, Vec::new()));
    }
    let mut snapshot = index.update().map(|update| update.snapshot);
    for object in objects {
        index.apply(Event::Apply(object));
        if let Some(update) = index.update() {
            snapshot = Some(update.snapshot);
        }
    }
    let problems = index.problems().map(ToString::to_string).collect();
    (snapshot.unwrap_or_default(), problems)
}
