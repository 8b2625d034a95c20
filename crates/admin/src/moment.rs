use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One moment on both clocks: the monotonic one, which ages are measured by, and the wall clock,
/// which is shown. A step of the wall clock therefore never makes anything stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For ages.
    pub monotonic: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Moment {
    /// The present.
    pub fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// The moment `later` than this one. The wall clock stops at its last representable time.
    pub fn after(self, later: Duration) -> Self {
        Self {
            monotonic: self.monotonic + later,
            wall: self.wall.saturating_add(later).unwrap_or(Timestamp::MAX),
        }
    }

    /// Seconds since 1970, the form in which metrics carry a time.
    pub(crate) fn unix_seconds(self) -> f64 {
        // Exact to the microsecond until the year 2255: f64 has 53 bits.
        self.wall.as_microsecond() as f64 / 1e6
    }
}
