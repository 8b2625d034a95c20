//! Which endpoint is asked next.
//!
//! Round robin per worker and upstream. The start is random, so that workers (and nodes) do not walk in
//! step, and neither a restart nor a change of endpoints sends the next burst to the same first one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fairway_router::{Endpoints, Upstream};

use super::pool::Pool;
use crate::clock::{Clock, Tick};
use crate::error::Kind;
use crate::random::Random;

/// An upstream that nobody asked for in this time is forgotten until it is asked for again.
const KEEP: Duration = Duration::from_secs(300);

/// The positions of one worker.
#[derive(Debug)]
pub(crate) struct Balancer {
    clock: Rc<Clock>,
    random: Rc<Random>,
    pool: Rc<Pool>,
    upstreams: RefCell<HashMap<u64, Position, foldhash::fast::RandomState>>,
}

#[derive(Debug)]
struct Position {
    upstream: Weak<Upstream>,
    endpoints: Arc<[SocketAddr]>,
    next: usize,
    used: Tick,
}

/// The endpoints to try for one request, each once.
#[derive(Debug)]
pub(crate) struct Choice {
    endpoints: Arc<[SocketAddr]>,
    next: usize,
    left: usize,
}

impl Choice {
    /// The next endpoint that was not tried yet.
    pub(crate) fn next(&mut self) -> Option<SocketAddr> {
        self.left = self.left.checked_sub(1)?;
        let endpoint = self.endpoints[self.next % self.endpoints.len()];
        self.next += 1;
        Some(endpoint)
    }

    /// Whether an endpoint is left to try.
    pub(crate) fn has_more(&self) -> bool {
        self.left > 0
    }
}

impl Balancer {
    pub(crate) fn new(clock: Rc<Clock>, random: Rc<Random>, pool: Rc<Pool>) -> Self {
        Self {
            clock,
            random,
            pool,
            upstreams: RefCell::default(),
        }
    }

    /// One of several backends, by weight.
    pub(crate) fn backend(&self, backends: &[(u32, Arc<Upstream>)]) -> Option<usize> {
        if backends.len() <= 1 {
            return (!backends.is_empty()).then_some(0);
        }
        let total: u64 = backends.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let total = usize::try_from(total).ok().filter(|total| *total > 0)?;
        let mut ticket = self.random.below(total) as u64;
        backends.iter().position(|(weight, _)| {
            let hit = ticket < u64::from(*weight);
            ticket = ticket.saturating_sub(u64::from(*weight));
            hit
        })
    }

    /// The endpoints for one request, starting with the one whose turn it is.
    pub(crate) fn choose(&self, upstream: &Arc<Upstream>) -> Result<Choice, Kind> {
        let current = upstream.endpoints();
        let endpoints = match &**current {
            Endpoints::Usable(endpoints) if !endpoints.is_empty() => endpoints,
            Endpoints::Usable(_) | Endpoints::None => return Err(Kind::NoEndpoints),
            Endpoints::NoService => return Err(Kind::NoService),
            Endpoints::NoPort => return Err(Kind::NoPort),
            Endpoints::Unsupported => return Err(Kind::UnsupportedService),
        };
        let mut upstreams = self.upstreams.borrow_mut();
        let position = upstreams.entry(upstream.id).or_insert_with(|| Position {
            upstream: Arc::downgrade(upstream),
            endpoints: Arc::default(),
            next: 0,
            used: self.clock.now(),
        });
        if !Arc::ptr_eq(&position.endpoints, endpoints) {
            self.replace(position, endpoints);
        }
        position.used = self.clock.now();
        let next = position.next % endpoints.len();
        position.next = next + 1;
        Ok(Choice {
            endpoints: position.endpoints.clone(),
            next,
            left: endpoints.len(),
        })
    }

    /// Forgets unused upstreams, and closes idle connections to endpoints that went away.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        self.upstreams.borrow_mut().retain(|_, position| {
            let is_used = now.since(position.used) < KEEP;
            let current = position.upstream.upgrade().filter(|_| is_used);
            match current
                .as_deref()
                .map(Upstream::endpoints)
                .as_deref()
                .map(|arc| &**arc)
            {
                Some(Endpoints::Usable(endpoints)) => {
                    if !Arc::ptr_eq(&position.endpoints, endpoints) {
                        self.replace(position, endpoints);
                    }
                    true
                }
                _ => {
                    self.replace(position, &Arc::default());
                    false
                }
            }
        });
    }

    fn replace(&self, position: &mut Position, endpoints: &Arc<[SocketAddr]>) {
        // The new ones first: what stays is never gone in between.
        endpoints.iter().for_each(|it| self.pool.add(*it));
        position
            .endpoints
            .iter()
            .for_each(|it| self.pool.remove(*it));
        position.endpoints = endpoints.clone();
        if !endpoints.is_empty() {
            position.next = self.random.below(endpoints.len());
        }
    }
}
