use std::rc::Rc;

use fairway_model::{RetryPolicy, UpstreamPolicy};

use super::endpoint::Endpoint;
use super::group::Group;
use super::members::Members;
use super::pick::Pick;

/// The endpoints to ask for one request, each once.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) group: Rc<Group>,
    members: Rc<Members>,
    pick: Pick,
    /// Places of those members that were asked, as many as `tried_count` says.
    tried: [u16; RetryPolicy::MOST_TRIES as usize],
    tried_count: u8,
    /// How many were asked, with those that are members no more.
    asked: u8,
    tries: u8,
}

impl Choice {
    pub(super) fn new(
        group: Rc<Group>,
        members: Rc<Members>,
        pick: Pick,
        policy: &RetryPolicy,
    ) -> Self {
        Self {
            group,
            members,
            pick,
            tried: [0; RetryPolicy::MOST_TRIES as usize],
            tried_count: 0,
            asked: 0,
            tries: policy.tries.clamp(1, RetryPolicy::MOST_TRIES),
        }
    }

    /// The next endpoint that was not asked yet.
    pub(crate) fn next(&mut self, policy: &UpstreamPolicy) -> Option<Rc<Endpoint>> {
        if !self.has_more() {
            return None;
        }
        let tools = &self.group.tools;
        let now = tools.clock.now();
        let place = self
            .members
            .pick(self.pick, &tools.random, now, self.tried())?;
        // Beyond 65,535 endpoints one might be asked twice.
        self.tried[usize::from(self.tried_count)] = u16::try_from(place).unwrap_or(u16::MAX);
        self.tried_count += 1;
        self.asked += 1;
        let endpoint = self.members.endpoints[place].clone();
        if let Some(policy) = &policy.ejection {
            endpoint.health.asked(now, policy);
        }
        Some(endpoint)
    }

    /// Whether another endpoint may be asked, of those that there are now.
    pub(crate) fn has_more(&mut self) -> bool {
        if self.asked >= self.tries {
            return false;
        }
        if self.asked > 0 {
            // Time has passed, in which endpoints may have been replaced: the only one of a Service, say.
            self.group.refresh();
        }
        self.follow();
        usize::from(self.tried_count) < self.members.endpoints.len()
    }

    fn tried(&self) -> &[u16] {
        &self.tried[..usize::from(self.tried_count)]
    }

    /// Goes on with the members of now. Streams of HTTP/2 are planned together and sent later, requests
    /// wait for a place, and another one may have followed a change meanwhile that took all members away.
    fn follow(&mut self) {
        let current = self.group.members();
        if Rc::ptr_eq(&current, &self.members) {
            return;
        }
        let mut tried = [0; RetryPolicy::MOST_TRIES as usize];
        let mut count = 0;
        for place in self.tried() {
            let asked = self.members.endpoints.get(usize::from(*place));
            let is_same = |it: &Rc<Endpoint>| asked.is_some_and(|asked| Rc::ptr_eq(asked, it));
            if let Some(place) = current.endpoints.iter().position(is_same) {
                tried[count] = u16::try_from(place).unwrap_or(u16::MAX);
                count += 1;
            }
        }
        self.tried = tried;
        self.tried_count = u8::try_from(count).unwrap_or(RetryPolicy::MOST_TRIES);
        self.members = current;
    }
}
