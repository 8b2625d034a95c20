use std::cell::Cell;
use std::time::Duration;

use crate::clock::Tick;

/// How well a client keeps up with one body: a byte now and then is not enough.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long it has kept us waiting.
    waited: Cell<Duration>,
    /// What it has sent, or taken, in bytes.
    moved: Cell<u64>,
}

impl Pace {
    pub(super) fn restart(&self) {
        self.waited.set(Duration::ZERO);
        self.moved.set(0);
    }

    pub(super) fn moved(&self, bytes: usize) {
        self.moved
            .set(self.moved.get().saturating_add(bytes as u64));
    }

    pub(super) fn waited(&self, time: Duration) {
        self.waited.set(self.waited.get().saturating_add(time));
    }

    pub(super) fn bytes(&self) -> u64 {
        self.moved.get()
    }

    /// When a client that we have waited for since then is too slow: by this silence, or by all so far, of
    /// which each second beyond the first `silence` has to have moved `rate` bytes.
    pub(super) fn due(&self, since: Tick, silence: Duration, rate: u32) -> Tick {
        let Some(earned) = self.moved.get().checked_div(u64::from(rate)) else {
            return since.after(silence);
        };
        let allowed = silence.saturating_add(Duration::from_secs(earned));
        since.after(silence.min(allowed.saturating_sub(self.waited.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Tick {
        Tick::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn silence_is_limited_and_so_is_dripping() {
        let pace = Pace::default();
        assert_eq!(pace.due(at(10), MINUTE, 16), at(70));
        pace.waited(MINUTE);
        assert_eq!(
            pace.due(at(60), MINUTE, 16),
            at(60),
            "it has earned nothing"
        );
        pace.moved(160);
        assert_eq!(pace.due(at(60), MINUTE, 16), at(70));
        pace.moved(1 << 40);
        assert_eq!(pace.due(at(60), MINUTE, 16), at(120), "silence is silence");
        pace.restart();
        assert_eq!(pace.due(at(0), MINUTE, 16), at(60));
    }

    #[test]
    fn no_rate_is_no_limit_for_dripping() {
        let pace = Pace::default();
        pace.waited(100 * MINUTE);
        assert_eq!(pace.due(at(0), MINUTE, 0), at(60));
        assert_eq!(pace.due(at(0), Duration::MAX, 16), Tick::NEVER);
    }
}
