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
    /// Places of those that were asked, as many as `asked` says.
    tried: [u16; RetryPolicy::MOST_TRIES as usize],
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
            asked: 0,
            tries: policy.tries.clamp(1, RetryPolicy::MOST_TRIES),
        }
    }

    /// The next endpoint that was not asked yet.
    pub(crate) fn next(&mut self, policy: &UpstreamPolicy) -> Option<Rc<Endpoint>> {
        if self.asked == 0 {
            // Streams of HTTP/2 are planned together and sent later: another request may have followed a
            // change meanwhile that took all of these away.
            self.members = self.group.members();
        }
        if !self.has_more() {
            return None;
        }
        if self.asked > 0 {
            // Time has passed: those that left meanwhile are marked.
            self.group.refresh();
        }
        let tools = &self.group.tools;
        let now = tools.clock.now();
        let tried = &self.tried[..usize::from(self.asked)];
        let place = self.members.pick(self.pick, &tools.random, now, tried)?;
        // Beyond 65,535 endpoints one might be asked twice.
        self.tried[usize::from(self.asked)] = u16::try_from(place).unwrap_or(u16::MAX);
        self.asked += 1;
        let endpoint = self.members.endpoints[place].clone();
        if let Some(policy) = &policy.ejection {
            endpoint.health.asked(now, policy);
        }
        Some(endpoint)
    }

    /// Whether another endpoint may be asked.
    pub(crate) fn has_more(&self) -> bool {
        self.asked < self.tries && usize::from(self.asked) < self.members.endpoints.len()
    }
}
