use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::Pace;

/// How long to wait before the next attempt: doubles with every failure, with jitter, and starts
/// afresh once things have gone well for a while.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    delays: ExponentialBackoff,
    /// When the last pause was over.
    resumed: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            delays: delays(pace),
            resumed: None,
        }
    }

    /// The pause after a failure, at most [`Pace::longest`].
    ///
    /// An answer alone does not reset it: a server that answers each list and then fails would be
    /// asked for everything again and again.
    pub(crate) fn pause(&mut self) -> Duration {
        let settled = |resumed: Instant| resumed.elapsed() >= self.pace.longest;
        if self.resumed.is_some_and(settled) {
            self.delays = delays(self.pace);
        }
        let pause = self.delays.next().unwrap_or(self.pace.longest);
        self.resumed = Instant::now().checked_add(pause);
        pause
    }
}

fn delays(pace: Pace) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(pace.shortest)
        // The jitter adds up to as much again.
        .with_max_delay(pace.longest / 2)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        shortest: Duration::from_millis(800),
        longest: Duration::from_secs(30),
        absent: Duration::ZERO,
    };

    #[tokio::test(start_paused = true)]
    async fn grows_to_the_longest_and_no_further() {
        let mut backoff = Backoff::new(PACE);
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();

        assert!(pauses[0] >= PACE.shortest && pauses[0] <= 2 * PACE.shortest);
        assert!(pauses.iter().all(|pause| *pause <= PACE.longest));
        assert!(pauses[10..].iter().all(|pause| *pause >= PACE.longest / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn starts_afresh_only_after_a_good_time() {
        let mut backoff = Backoff::new(PACE);
        for _ in 0..10 {
            tokio::time::sleep(backoff.pause()).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(backoff.pause() >= PACE.longest / 2, "answered, then failed");

        tokio::time::sleep(2 * PACE.longest).await;
        assert!(backoff.pause() <= 2 * PACE.shortest);
    }
}
