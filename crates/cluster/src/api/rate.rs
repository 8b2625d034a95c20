use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets so many a second go, and after a pause a burst of them at once, as client-go's limit does.
#[derive(Debug)]
pub(super) struct Rate {
    /// Between two of an endless row.
    interval: Duration,
    /// How far those who went may be ahead of time.
    tolerance: Duration,
    /// When the next one is due, were all to keep the interval.
    due: Mutex<Option<Instant>>,
}

impl Rate {
    /// So many a second in the long run, so many at once.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            tolerance: interval * burst.saturating_sub(1),
            due: Mutex::new(None),
        }
    }

    /// Waits for a turn. Who gives up waiting loses it for all.
    pub(super) async fn turn(&self) {
        let turn = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let this = due.map_or(now, |due| due.max(now));
            *due = Some(this + self.interval);
            this.checked_sub(self.tolerance).filter(|turn| *turn > now)
        };
        if let Some(turn) = turn {
            sleep_until(turn).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_in_time() {
        let rate = Rate::new(100, 50);
        let elapsed = async |count: u32| {
            let start = Instant::now();
            for _ in 0..count {
                rate.turn().await;
            }
            start.elapsed().as_millis() / 10 // intervals
        };
        assert_eq!(elapsed(50).await, 0);
        assert_eq!(elapsed(100).await, 100);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(elapsed(50).await, 0, "no more than a burst is saved up");
        assert_eq!(elapsed(10).await, 10);
    }
}
