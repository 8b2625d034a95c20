//! How long an endpoint takes to answer: a mean that jumps up at once and comes down slowly.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Tick;

/// In which an old answer comes to count a third. Finagle's, where this comes from ("peak EWMA").
const DECAY: Duration = Duration::from_secs(10);

/// What an endpoint that has never answered is taken to cost while a request to it is under way, in
/// seconds: it gets one, and others when that was answered.
const UNKNOWN: f64 = 1e6;

/// Of the answers of one endpoint, as one worker has seen them.
#[derive(Debug)]
pub(crate) struct Latency {
    seconds: Cell<f64>,
    at: Cell<Tick>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            seconds: Cell::new(0.0),
            at: Cell::new(Tick::ZERO),
        }
    }
}

impl Latency {
    /// An answer, or what was taken for want of one, took so long.
    pub(crate) fn observe(&self, took: Duration, now: Tick) {
        let took = took.as_secs_f64();
        let before = self.seconds.get();
        let passed = now.since(self.at.replace(now));
        let mean = if took >= before {
            took
        } else {
            // Answers within one tick of the clock count as one that is a millisecond apart.
            let passed = passed.max(Duration::from_millis(1)).as_secs_f64();
            let kept = (-passed / DECAY.as_secs_f64()).exp();
            before * kept + took * (1.0 - kept)
        };
        self.seconds.set(mean);
    }

    /// What one more request would take, beside those under way.
    pub(super) fn cost(&self, under_way: u32) -> f64 {
        let seconds = self.seconds.get();
        if seconds == 0.0 && under_way > 0 {
            return UNKNOWN + f64::from(under_way);
        }
        seconds * (f64::from(under_way) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let latency = Latency::default();
        let at = |seconds| Tick::ZERO.after(Duration::from_secs(seconds));
        latency.observe(Duration::from_millis(10), at(0));
        assert_eq!(latency.cost(0), 0.01);
        latency.observe(Duration::from_secs(1), at(1));
        assert_eq!(latency.cost(0), 1.0);
        assert_eq!(latency.cost(2), 3.0);
        latency.observe(Duration::from_millis(10), at(11));
        let after = latency.cost(0);
        assert!((0.37..0.38).contains(&after), "{after}");
        latency.observe(Duration::from_millis(10), at(111));
        assert!(latency.cost(0) < 0.011);
    }

    #[test]
    fn a_new_endpoint_gets_one_request_first() {
        let latency = Latency::default();
        let known = Latency::default();
        known.observe(Duration::from_secs(10), Tick::ZERO);
        assert!(latency.cost(0) < known.cost(0));
        assert!(latency.cost(1) > known.cost(100));
    }
}
