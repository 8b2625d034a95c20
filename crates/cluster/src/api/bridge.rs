use fairway_model::ObjectName;
use kube::Resource;
use kube::runtime::watcher;

use super::guard::Guarded;
use super::kinds::Watched;
use crate::{Event, Kind, Object};

/// Objects in one event: as many as in one of the watcher's pages. A list of 100,000 would be 300 MB.
const PART: usize = 500;

/// Turns a watcher's steps into events.
#[derive(Debug, Default)]
pub(super) struct Bridge {
    /// What came since the last part was sent.
    listing: Vec<Object>,
    /// Parts of a list are on their way that is not complete.
    in_parts: bool,
    known: Known,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    /// The server does not have the kind.
    Absent,
    /// The server does not let us list it.
    Withheld,
    /// A list was complete at least once.
    Listed,
}

impl Bridge {
    pub(super) fn step<K: Watched>(&mut self, step: watcher::Event<Guarded<K>>) -> Option<Event> {
        match step {
            watcher::Event::Init => self.forget_list(K::KIND),
            watcher::Event::InitApply(object) => {
                self.listing.extend(accept(object));
                (self.listing.len() == PART).then(|| {
                    self.in_parts = true;
                    Event::Part(K::KIND, std::mem::take(&mut self.listing))
                })
            }
            watcher::Event::InitDone => {
                self.known = Known::Listed;
                self.in_parts = false;
                let objects = std::mem::take(&mut self.listing);
                Some(Event::Replace(K::KIND, objects))
            }
            watcher::Event::Apply(object) => accept(object).map(Event::Apply),
            watcher::Event::Delete(object) => Some(Event::Delete(K::KIND, name(&object))),
        }
    }

    /// A list was not completed: what there is of it must neither be used nor kept.
    pub(super) fn forget_list(&mut self, kind: Kind) -> Option<Event> {
        self.listing = Vec::new();
        std::mem::take(&mut self.in_parts).then_some(Event::Void(kind))
    }

    /// Whether a list was ever complete.
    pub(super) fn listed(&self) -> bool {
        self.known == Known::Listed
    }

    /// The server does not let us list the kind. Returns whether that is news; it is of no interest where a list is known.
    pub(super) fn withheld(&mut self) -> bool {
        let is_news = self.known == Known::Nothing;
        if is_news {
            self.known = Known::Withheld;
        }
        is_news
    }

    /// The server does not have the kind. Returns whether that is news.
    pub(super) fn absent(&mut self) -> bool {
        std::mem::replace(&mut self.known, Known::Absent) != Known::Absent
    }
}

fn accept<K: Watched>(object: Guarded<K>) -> Option<Object> {
    match object.object {
        Ok(mut object) => {
            object.prune();
            Some(object.into_object())
        }
        Err(ref invalid) => {
            tracing::warn!(
                "{} {} makes no sense and is left aside: {}",
                K::kind(&()),
                name(&object),
                invalid
            );
            None
        }
    }
}

fn name(object: &impl Resource) -> ObjectName {
    let metadata = object.meta();
    ObjectName::new(
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}
