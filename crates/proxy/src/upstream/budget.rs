//! How many requests of an upstream are sent again.

use fairway_model::RetryBudget;

use crate::clock::Tick;

/// The time that is looked back on, in seconds.
const WINDOW: usize = 10;

/// Requests and retries of the last ten seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    seconds: [Second; WINDOW],
    /// The second that is counted in.
    now: u64,
    total: Second,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: u32,
    retries: u32,
}

impl Budget {
    /// A request is sent for the first time.
    pub(super) fn request(&mut self, now: Tick) {
        let second = self.second(now);
        second.requests = second.requests.saturating_add(1);
        self.total.requests = self.total.requests.saturating_add(1);
    }

    /// Whether one may be sent again, which it then is.
    pub(super) fn retry(&mut self, now: Tick, limit: RetryBudget) -> bool {
        self.second(now);
        let share = u64::from(self.total.requests) * u64::from(limit.percent) / 100;
        let floor = u64::from(limit.per_second) * WINDOW as u64;
        let allowed = u64::from(self.total.retries) < share.saturating_add(floor);
        if allowed {
            self.second(now).retries += 1;
            self.total.retries += 1;
        }
        allowed
    }

    /// The present second, with all that is too long ago forgotten.
    fn second(&mut self, now: Tick) -> &mut Second {
        let now = now.seconds().max(self.now);
        for passed in (self.now + 1..=now).take(WINDOW) {
            // Not by its own number where more than a window has passed, but each once all the same.
            let old = std::mem::take(&mut self.seconds[(passed % WINDOW as u64) as usize]);
            self.total.requests = self.total.requests.saturating_sub(old.requests);
            self.total.retries = self.total.retries.saturating_sub(old.retries);
        }
        self.now = now;
        &mut self.seconds[(now % WINDOW as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::ZERO.after(Duration::from_secs(seconds))
    }

    fn retries(budget: &mut Budget, seconds: u64, limit: RetryBudget) -> usize {
        (0..10_000)
            .take_while(|_| budget.retry(at(seconds), limit))
            .count()
    }

    #[test]
    fn a_share_of_the_requests_and_a_floor() {
        let limit = RetryBudget {
            percent: 20,
            per_second: 3,
        };
        let mut budget = Budget::default();
        assert_eq!(
            retries(&mut budget, 0, limit),
            30,
            "the floor, of ten seconds"
        );
        (0..500).for_each(|_| budget.request(at(1)));
        assert_eq!(retries(&mut budget, 1, limit), 100);
        assert_eq!(retries(&mut budget, 9, limit), 0);
        assert_eq!(
            retries(&mut budget, 10, limit),
            30,
            "those of the first second are forgotten"
        );
        assert_eq!(
            retries(&mut budget, 1000, limit),
            30,
            "and so is everything"
        );
    }

    #[test]
    fn none_is_none() {
        let limit = RetryBudget {
            percent: 0,
            per_second: 0,
        };
        let mut budget = Budget::default();
        budget.request(at(0));
        assert_eq!(retries(&mut budget, 0, limit), 0);
    }
}
