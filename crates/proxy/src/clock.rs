//! A worker's time, read from the kernel a few times a second instead of at every use.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Milliseconds since the worker started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// When the worker started.
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Whole seconds since the worker started.
    pub(crate) fn seconds(self) -> u64 {
        self.0 / 1000
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Nanoseconds since the worker started. Every request subtracts some, which with `Instant` takes seventy
/// instructions each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Reads the time once for everything that happens close together.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    now: Cell<Tick>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            now: Cell::new(Tick(0)),
        }
    }

    /// The time of the last refresh, at most one sweep old.
    pub(crate) fn now(&self) -> Tick {
        self.now.get()
    }

    /// Asks the kernel; also brings [`Clock::now`] up to date.
    pub(crate) fn refresh(&self) -> Moment {
        let now = self.start.elapsed();
        // Enough for five centuries.
        let now = now.as_secs() * 1_000_000_000 + u64::from(now.subsec_nanos());
        self.now.set(Tick(now / 1_000_000));
        Moment(now)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
