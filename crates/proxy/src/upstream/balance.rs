//! Which endpoint is asked next: the upstreams of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{LoadBalancing, UpstreamPolicy};
use fairway_router::{Endpoints, Upstream};

use super::choice::Choice;
use super::group::{Group, Tools};
use super::pick::Pick;
use crate::error::Kind;

/// An upstream that nobody asked for in this time is forgotten until it is asked for again.
const KEEP: Duration = Duration::from_secs(300);

/// The upstreams of one worker.
#[derive(Debug)]
pub(crate) struct Balancer {
    tools: Rc<Tools>,
    groups: RefCell<HashMap<u64, Rc<Group>, foldhash::fast::RandomState>>,
}

impl Balancer {
    pub(crate) fn new(tools: Tools) -> Self {
        Self {
            tools: Rc::new(tools),
            groups: RefCell::default(),
        }
    }

    /// One of several backends, by weight.
    pub(crate) fn backend(&self, backends: &[(u32, Arc<Upstream>)]) -> Option<usize> {
        if backends.len() <= 1 {
            return (!backends.is_empty()).then_some(0);
        }
        let total: u64 = backends.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let total = usize::try_from(total).ok().filter(|total| *total > 0)?;
        let mut ticket = self.tools.random.below(total) as u64;
        backends.iter().position(|(weight, _)| {
            let hit = ticket < u64::from(*weight);
            ticket = ticket.saturating_sub(u64::from(*weight));
            hit
        })
    }

    /// The endpoints for one request with this key, if it has one.
    pub(crate) fn choose(
        &self,
        upstream: &Arc<Upstream>,
        policy: &UpstreamPolicy,
        key: Option<u64>,
    ) -> Result<Choice, Kind> {
        let current = upstream.endpoints();
        let endpoints = match &**current {
            Endpoints::Usable(endpoints) if !endpoints.is_empty() => endpoints,
            Endpoints::Usable(_) | Endpoints::None => return Err(Kind::NoEndpoints),
            Endpoints::NoService => return Err(Kind::NoService),
            Endpoints::NoPort => return Err(Kind::NoPort),
            Endpoints::Unresolved => return Err(Kind::UnresolvedHost),
        };
        let mut groups = self.groups.borrow_mut();
        let group = groups
            .entry(upstream.id)
            .or_insert_with(|| Rc::new(Group::new(upstream, self.tools.clone())));
        let members = group.follow(endpoints);
        let pick = match (&policy.balancing, key) {
            (LoadBalancing::ConsistentHash(_), Some(key)) => Pick::Hash(key),
            (LoadBalancing::RoundRobin | LoadBalancing::ConsistentHash(_), _) => Pick::RoundRobin,
            (LoadBalancing::LeastRequests, _) => Pick::LeastRequests,
            (LoadBalancing::PeakEwma, _) => Pick::PeakEwma,
        };
        Ok(Choice::new(group.clone(), members, pick, &policy.retry))
    }

    /// Forgets unused upstreams, and closes idle connections to endpoints that went away.
    pub(crate) fn sweep(&self) {
        let now = self.tools.clock.now();
        self.groups.borrow_mut().retain(|_, group| {
            // Those that have requests under way count them.
            let has_requests = Rc::strong_count(group) > 1;
            let is_of_use = group.refresh() && now.since(group.used()) < KEEP;
            let stays = has_requests || is_of_use;
            if !stays {
                group.clear();
            }
            stays
        });
    }
}
