//! The endpoints of one upstream as a worker knows them, and what they have been given to do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use fairway_model::{EjectionPolicy, RetryBudget};
use fairway_router::{Endpoints, Upstream, UsableEndpoint};

use super::admission::Admission;
use super::budget::Budget;
use super::endpoint::Endpoint;
use super::health::Change;
use super::members::Members;
use super::pool::Pool;
use crate::clock::{Clock, Tick};
use crate::metrics::Shard;
use crate::random::Random;

/// A worker's view of an upstream. It outlives changes of routes and of endpoints.
#[derive(Debug)]
pub(crate) struct Group {
    upstream: Weak<Upstream>,
    pub(super) tools: Rc<Tools>,
    members: RefCell<Rc<Members>>,
    budget: RefCell<Budget>,
    pub(super) admission: Admission,
    used: Cell<Tick>,
}

/// What all groups of a worker use.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) clock: Rc<Clock>,
    pub(crate) random: Rc<Random>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) shard: Arc<Shard>,
    /// How many workers there are, for limits that they share.
    pub(crate) workers: u32,
}

impl Group {
    pub(super) fn new(upstream: &Arc<Upstream>, tools: Rc<Tools>) -> Self {
        Self {
            upstream: Arc::downgrade(upstream),
            used: Cell::new(tools.clock.now()),
            tools,
            members: RefCell::default(),
            budget: RefCell::default(),
            admission: Admission::default(),
        }
    }

    /// The endpoints, which are to be these.
    pub(super) fn follow(&self, current: &Arc<[UsableEndpoint]>) -> Rc<Members> {
        self.used.set(self.tools.clock.now());
        let members = self.members.borrow().clone();
        match Arc::ptr_eq(&members.source, current) {
            true => members,
            false => self.replace(current),
        }
    }

    /// The endpoints that were followed last.
    pub(super) fn members(&self) -> Rc<Members> {
        self.members.borrow().clone()
    }

    /// Follows what the upstream has by now; false where it has nothing to offer any more. One that no
    /// route leads to has nobody who would say that its endpoints have left: requests that it was given
    /// before go on with those.
    pub(crate) fn refresh(&self) -> bool {
        let Some(upstream) = self.upstream.upgrade() else {
            return false;
        };
        match &**upstream.endpoints() {
            Endpoints::Usable(current) => {
                if !Arc::ptr_eq(&self.members.borrow().source, current) {
                    self.replace(current);
                }
                true
            }
            _ => {
                self.clear();
                false
            }
        }
    }

    /// Has no endpoints any more.
    pub(super) fn clear(&self) {
        self.replace(&Arc::default());
    }

    /// Since when nobody has asked for it.
    pub(super) fn used(&self) -> Tick {
        self.used.get()
    }

    fn replace(&self, current: &Arc<[UsableEndpoint]>) -> Rc<Members> {
        let Tools { pool, random, .. } = &*self.tools;
        let before = self.members.borrow().clone();
        // The new ones first: what stays is never gone in between.
        current.iter().for_each(|it| pool.add(it.address));
        let members = Rc::new(Members::new(current, &before, random));
        let left = before.endpoints.iter();
        left.for_each(|endpoint| pool.remove(endpoint.address));
        self.members.replace(members.clone());
        members
    }

    /// A request is sent for the first time.
    pub(crate) fn count_request(&self) {
        self.budget.borrow_mut().request(self.tools.clock.now());
    }

    /// Whether the budget has room for sending a request again; the retry is counted.
    pub(crate) fn may_retry(&self, limit: RetryBudget) -> bool {
        let now = self.tools.clock.now();
        let allowed = self.budget.borrow_mut().retry(now, limit);
        let Shard {
            upstream_retries,
            retries_over_budget,
            ..
        } = &*self.tools.shard;
        match allowed {
            true => upstream_retries.add(1),
            false => retries_over_budget.add(1),
        }
        allowed
    }

    /// The endpoint answered.
    pub(crate) fn succeeded(&self, endpoint: &Endpoint) {
        let change = endpoint.health.succeeded(self.tools.clock.now());
        self.changed(endpoint, change);
    }

    /// The endpoint could not be connected to, or did not answer.
    pub(crate) fn failed(&self, endpoint: &Endpoint, policy: Option<&EjectionPolicy>) {
        let now = self.tools.clock.now();
        let change = policy.map(|policy| endpoint.health.failed(now, policy));
        self.changed(endpoint, change.unwrap_or(Change::None));
    }

    fn changed(&self, endpoint: &Endpoint, change: Change) {
        let address = endpoint.address;
        match change {
            Change::None => return,
            Change::Ejected => {
                self.tools.shard.ejections.add(1);
                tracing::debug!(%address, "requests to an endpoint fail; it is left alone for a while");
            }
            Change::Returned => tracing::debug!(%address, "an endpoint answers again"),
        }
        self.members.borrow().count_ejected();
    }
}
