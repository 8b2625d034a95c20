//! Whether an endpoint is left alone because requests to it fail.

use std::cell::Cell;
use std::time::Duration;

use fairway_model::EjectionPolicy;

use crate::clock::Tick;

/// What became of an endpoint's requests of late, as one worker has seen it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures since the last success.
    failures: Cell<u32>,
    /// How often it was ejected, each soon after the time before.
    ejections: Cell<u32>,
    state: Cell<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Trusted,
    /// Left alone until then; who comes first afterwards tries it, and moves that on.
    Ejected { until: Tick, trying: bool },
    /// Trusted again, since then.
    Returned { since: Tick },
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Ejected,
    Returned,
}

impl Health {
    pub(super) fn is_ejected(&self) -> bool {
        matches!(self.state.get(), State::Ejected { .. })
    }

    /// Whether it may be asked: it is trusted, or it is time for another try.
    pub(super) fn admits(&self, now: Tick) -> bool {
        match self.state.get() {
            State::Ejected { until, .. } => now >= until,
            State::Trusted | State::Returned { .. } => true,
        }
    }

    /// A request goes there. If that is a try, nobody else gets one until its result is there, or as much
    /// time as before has passed without.
    pub(super) fn asked(&self, now: Tick, policy: &EjectionPolicy) {
        if !self.is_ejected() || !self.admits(now) {
            return;
        }
        let until = now.after(time(policy, self.ejections.get()));
        self.state.set(State::Ejected {
            until,
            trying: true,
        });
    }

    pub(super) fn succeeded(&self, now: Tick) -> Change {
        self.failures.set(0);
        if !self.is_ejected() {
            return Change::None;
        }
        self.state.set(State::Returned { since: now });
        Change::Returned
    }

    pub(super) fn failed(&self, now: Tick, policy: &EjectionPolicy) -> Change {
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        let ejections = match self.state.get() {
            // A request that was under way before tells nothing new.
            State::Ejected { trying: false, .. } => return Change::None,
            State::Ejected { trying: true, .. } => self.ejections.get().saturating_add(1),
            _ if failures < policy.failures.max(1) => return Change::None,
            State::Returned { since } if now.since(since) < policy.longest => {
                self.ejections.get().saturating_add(1)
            }
            State::Trusted | State::Returned { .. } => 1,
        };
        let was_ejected = self.is_ejected();
        self.ejections.set(ejections);
        let until = now.after(time(policy, ejections));
        self.state.set(State::Ejected {
            until,
            trying: false,
        });
        match was_ejected {
            true => Change::None,
            false => Change::Ejected,
        }
    }
}

/// Of the ejection with this number, from 1.
fn time(policy: &EjectionPolicy, ejection: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(ejection.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let time = policy.time.checked_mul(doubled);
    time.map_or(policy.longest, |time| time.min(policy.longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: EjectionPolicy = EjectionPolicy {
        failures: 3,
        gateway_errors: false,
        time: Duration::from_secs(5),
        longest: Duration::from_secs(12),
    };
    const START: Tick = Tick::ZERO;

    fn at(seconds: u64) -> Tick {
        START.after(Duration::from_secs(seconds))
    }

    fn fail(health: &Health, seconds: u64) -> Change {
        health.failed(at(seconds), &POLICY)
    }

    fn fail_thrice(health: &Health, seconds: u64) {
        for _ in 0..3 {
            fail(health, seconds);
        }
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let health = Health::default();
        assert_eq!([fail(&health, 0), fail(&health, 0)], [Change::None; 2]);
        assert_eq!(health.succeeded(at(0)), Change::None);
        assert_eq!([fail(&health, 0), fail(&health, 0)], [Change::None; 2]);
        assert!(health.admits(at(0)));
        assert_eq!(fail(&health, 0), Change::Ejected);
        assert!(!health.admits(at(4)));
    }

    #[test]
    fn one_request_tries_it_after_the_time_and_brings_it_back() {
        let health = Health::default();
        fail_thrice(&health, 0);
        assert!(health.admits(at(5)));
        health.asked(at(5), &POLICY);
        assert!(!health.admits(at(5)), "one try is under way");
        assert!(health.admits(at(10)), "a try that nobody hears of again");
        assert_eq!(health.succeeded(at(6)), Change::Returned);
        assert!(health.admits(at(6)) && !health.is_ejected());
    }

    #[test]
    fn the_time_grows_to_its_cap_and_shrinks_after_good_times() {
        let health = Health::default();
        fail_thrice(&health, 0);
        for (try_at, pause) in [(5, 10), (15, 12), (27, 12)] {
            health.asked(at(try_at), &POLICY);
            assert_eq!(fail(&health, try_at), Change::None, "it was ejected before");
            assert!(!health.admits(at(try_at + pause - 1)));
            assert!(health.admits(at(try_at + pause)));
        }
        health.succeeded(at(40));
        // Soon after, three more failures are as bad as before.
        fail_thrice(&health, 41);
        assert!(!health.admits(at(52)) && health.admits(at(53)));
        health.succeeded(at(60));
        fail_thrice(&health, 72);
        assert!(!health.admits(at(76)) && health.admits(at(77)));
    }
}
