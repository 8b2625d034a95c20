//! Ingresses whose status could not be written: each is tried again at a time of its own, so that none
//! holds up another.

use std::collections::BTreeMap;
use std::time::Duration;

use fairway_model::ObjectName;
use tokio::time::Instant;

/// After a failure, doubled up to the longest.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<ObjectName, Refusal>);

#[derive(Debug)]
struct Refusal {
    until: Instant,
    pause: Duration,
    /// What was said of it; empty for nothing.
    why: String,
}

impl Refusals {
    /// An attempt failed. Returns whether `why` is news.
    pub(super) fn add(&mut self, name: &ObjectName, why: String) -> bool {
        let known = self.0.remove(name);
        let pause = known
            .as_ref()
            .map_or(SHORTEST_PAUSE, |known| (2 * known.pause).min(LONGEST_PAUSE));
        let is_news = known.is_none_or(|known| known.why != why);
        let refusal = Refusal {
            until: Instant::now() + pause,
            pause,
            why,
        };
        self.0.insert(name.clone(), refusal);
        is_news
    }

    /// An attempt succeeded.
    pub(super) fn end(&mut self, name: &ObjectName) {
        self.0.remove(name);
    }

    /// Forgets Ingresses to which nothing is to be written any more.
    pub(super) fn retain(&mut self, is_due: impl Fn(&ObjectName) -> bool) {
        self.0.retain(|name, _| is_due(name));
    }

    /// When an Ingress may be tried again.
    pub(super) fn until(&self, name: &ObjectName) -> Option<Instant> {
        self.0.get(name).map(|refusal| refusal.until)
    }
}
