//! When to look at the flows of a family.

use std::time::{Duration, Instant};

use fairway_plan::{FlowChanges, FlowChecks, Round};

/// Between the end of one look and the next, for what was under way during the first. A packet is on its
/// way through the kernel for microseconds; a process may be stopped in the middle of sending it.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// Rests so many times as long as a look took: however fast endpoints change and however large the table
/// is, this takes at most a fifth of one core.
pub(super) const REST: u32 = 4;

/// Pauses after failures, doubled from the first up to the last.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When to look at the flows of a family, and what for.
#[derive(Default)]
pub(super) struct Schedule {
    pub(super) checks: FlowChecks,
    /// Something has not been looked for yet.
    news: bool,
    /// When the last look ended.
    ended: Option<Instant>,
    not_before: Option<Instant>,
    pause: Option<Duration>,
}

impl Schedule {
    pub(super) fn check(&mut self, changes: FlowChanges, now: Instant) {
        self.news |= self.checks.check(changes, now);
    }

    /// When the next look is due; it may be in the past.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if !self.checks.is_due() {
            return None;
        }
        let wanted = match (self.news, self.ended) {
            (false, Some(ended)) => ended + SETTLE,
            _ => now,
        };
        Some(
            self.not_before
                .map_or(wanted, |earliest| earliest.max(wanted)),
        )
    }

    pub(super) fn begin(&mut self) -> Round {
        self.news = false;
        self.checks.round()
    }

    /// A look is over.
    pub(super) fn finish(&mut self, round: &Round, started: Instant, ended: Instant) {
        self.checks.finish(round);
        self.ended = Some(ended);
        self.not_before = Some(ended + (ended - started) * REST);
        self.pause = None;
    }

    /// A look failed. Returns how long it will be until the next.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let pause = match self.pause {
            None => SHORTEST_PAUSE,
            Some(pause) => (pause * 2).min(LONGEST_PAUSE),
        };
        self.pause = Some(pause);
        self.not_before = Some(now + pause);
        self.news = true;
        pause
    }
}
