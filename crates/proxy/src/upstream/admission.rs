//! How much an upstream is given to do at once.

use std::cell::Cell;
use std::rc::Rc;

use fairway_model::UpstreamLimits;
use tokio::sync::Notify;

use super::endpoint::Endpoint;
use super::group::Group;

/// The requests of one upstream in one worker.
#[derive(Debug, Default)]
pub(super) struct Admission {
    under_way: Cell<u32>,
    waiting: Cell<u32>,
    /// A request is over.
    freed: Notify,
}

/// A request that an upstream has been given, for as long as this exists.
#[derive(Debug)]
pub(crate) struct UnderWay {
    group: Rc<Group>,
    endpoint: Option<Rc<Endpoint>>,
}

/// As many requests are under way as may be, and as many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl UnderWay {
    /// The endpoint that has the request now.
    pub(crate) fn at(&mut self, endpoint: Rc<Endpoint>) {
        self.leave();
        endpoint.under_way.set(endpoint.under_way.get() + 1);
        self.endpoint = Some(endpoint);
    }

    pub(crate) fn endpoint(&self) -> Option<&Rc<Endpoint>> {
        self.endpoint.as_ref()
    }

    fn leave(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.under_way.set(endpoint.under_way.get() - 1);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.leave();
        let Admission {
            under_way,
            waiting,
            freed,
        } = &self.group.admission;
        under_way.set(under_way.get() - 1);
        if waiting.get() > 0 {
            freed.notify_one();
        }
    }
}

impl Group {
    /// A place for a request, if there is one at once and nobody waits for it.
    pub(crate) fn enter(self: &Rc<Self>, limits: &UpstreamLimits) -> Option<UnderWay> {
        let nobody_waits = self.admission.waiting.get() == 0;
        (nobody_waits || limits.requests.is_none())
            .then(|| self.take_place(limits))
            .flatten()
    }

    /// A place for a request when its turn has come.
    pub(crate) async fn queue(self: &Rc<Self>, limits: &UpstreamLimits) -> Result<UnderWay, Full> {
        if self.admission.waiting.get() >= self.share(limits.waiting) {
            return Err(Full);
        }
        let _waiting = Waiting::new(self);
        loop {
            self.admission.freed.notified().await;
            if let Some(place) = self.take_place(limits) {
                return Ok(place);
            }
        }
    }

    fn take_place(self: &Rc<Self>, limits: &UpstreamLimits) -> Option<UnderWay> {
        let under_way = &self.admission.under_way;
        let limit = limits.requests.map(|limit| self.share(limit.get()));
        if limit.is_some_and(|limit| under_way.get() >= limit) {
            return None;
        }
        under_way.set(under_way.get() + 1);
        Some(UnderWay {
            group: self.clone(),
            endpoint: None,
        })
    }

    fn share(&self, limit: u32) -> u32 {
        limit.div_ceil(self.tools.workers.max(1))
    }
}

struct Waiting<'a>(&'a Group);

impl<'a> Waiting<'a> {
    fn new(group: &'a Group) -> Self {
        let waiting = &group.admission.waiting;
        waiting.set(waiting.get() + 1);
        Self(group)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waiting = &self.0.admission.waiting;
        waiting.set(waiting.get() - 1);
    }
}
