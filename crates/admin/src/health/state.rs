use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{FamilyHealth, HealthReport, NodeState};
use crate::{IpFamily, Moment};

/// What [`super::Health`] guards: plain data and functions of a given moment.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) node: NodeState,
    pub(super) router_serving: Option<bool>,
    pub(super) service_proxy_serving: Option<bool>,
    pub(super) draining: bool,
    stale_after: Duration,
    families: BTreeMap<IpFamily, Progress>,
}

/// How far one family has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    oldest_waiting: Option<Instant>,
    last_applied: Option<Timestamp>,
}

impl State {
    pub(super) fn new(stale_after: Duration) -> Self {
        Self {
            node: NodeState::Eligible,
            router_serving: None,
            service_proxy_serving: None,
            draining: false,
            stale_after,
            families: BTreeMap::new(),
        }
    }

    pub(super) fn queued(&mut self, family: IpFamily, now: Moment) {
        let progress = self.families.entry(family).or_default();
        progress.oldest_waiting.get_or_insert(now.monotonic);
    }

    pub(super) fn applied(&mut self, family: IpFamily, now: Moment) {
        let applied = Progress {
            oldest_waiting: None,
            last_applied: Some(now.wall),
        };
        self.families.insert(family, applied);
    }

    pub(super) fn report(&self, now: Moment) -> HealthReport {
        let families = self
            .families
            .iter()
            .map(|(family, progress)| (*family, self.family_health(progress, now)))
            // kube-proxy lists a family from its first sync on, and for ever takes one that never
            // comes that far for healthy. We list such a family as soon as it is late.
            .filter(|(_, health)| health.last_applied.is_some() || !health.fresh)
            .collect();
        HealthReport {
            now: now.wall,
            families,
            node_eligible: self.node == NodeState::Eligible,
            router_serving: self.router_serving,
            service_proxy_serving: self.service_proxy_serving,
            draining: self.draining,
            forbidden: Vec::new(),
        }
    }

    fn family_health(&self, progress: &Progress, now: Moment) -> FamilyHealth {
        let waited = progress
            .oldest_waiting
            .map(|since| now.monotonic.saturating_duration_since(since));
        FamilyHealth {
            last_applied: progress.last_applied,
            fresh: waited.is_none_or(|waited| waited < self.stale_after),
        }
    }
}
