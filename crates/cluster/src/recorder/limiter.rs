use std::collections::HashMap;
use std::time::Duration;

use fairway_model::ObjectRef;
use tokio::time::Instant;

use super::ObjectEvent;

/// How soon the same may be said again: long enough for a loop that fails every second, short enough
/// that somebody who looks for the last hour (which is how long API servers keep Events) finds it.
const REPEATED: Duration = Duration::from_secs(10 * 60);

/// About one object: so many at once, then one each interval; client-go's is 25 and the same.
const BURST: u32 = 10;
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Events and objects that are remembered; forgetting costs a repetition.
const REMEMBERED: usize = 1024;

/// Decides which Events are worth sending.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    sent: HashMap<ObjectEvent, Instant>,
    objects: HashMap<ObjectRef, Allowance>,
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Limiter {
    /// Whether to send an Event now.
    pub(super) fn admits(&mut self, event: &ObjectEvent, now: Instant) -> bool {
        let age = |then: Instant| now.saturating_duration_since(then);
        if self
            .sent
            .get(event)
            .is_some_and(|then| age(*then) < REPEATED)
        {
            return false;
        }
        if self.sent.len() >= REMEMBERED {
            self.sent.retain(|_, then| age(*then) < REPEATED);
        }
        if self.objects.len() >= REMEMBERED {
            self.objects
                .retain(|_, allowance| age(allowance.since) < INTERVAL);
        }
        if self.sent.len() >= REMEMBERED || self.objects.len() >= REMEMBERED {
            *self = Self::default();
        }
        let allowance = self.objects.entry(event.regarding.clone());
        let allowance = allowance.or_insert(Allowance {
            left: BURST,
            since: now,
        });
        if !allowance.take(now) {
            return false;
        }
        self.sent.insert(event.clone(), now);
        true
    }
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        while self.left < BURST && now.saturating_duration_since(self.since) >= INTERVAL {
            self.left += 1;
            self.since += INTERVAL;
        }
        if self.left == BURST {
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}
