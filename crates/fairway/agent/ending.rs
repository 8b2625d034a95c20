//! The end of the agent, a step at a time, so that no client meets a closed port.
//!
//! ```text
//! SIGTERM -> health says 503 -> load balancers notice -> nothing new is accepted -> the last request ends
//!            all goes on ------------------------------> requests finish, tunnels stay --------> cut
//! ```
//!
//! Objects are followed and tables kept in order until the very end.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::signals::Stop;
use crate::config::Config;

/// Begins when the agent is told to stop.
#[derive(Debug)]
pub(crate) struct Ending {
    /// When nothing new is accepted any more.
    drain_at: Instant,
    /// When what is left is cut.
    cut_at: Instant,
    draining: bool,
}

impl Ending {
    /// Without a router there is nothing to wait for: the kernel's rules stay and go on working. Whoever
    /// sits at a keyboard has no load balancer in front.
    pub(crate) fn begin(config: &Config, stop: Stop) -> Self {
        let now = Instant::now();
        let delay = match stop {
            Stop::Terminate if config.ingress => config.drain_delay.min(config.drain),
            Stop::Terminate | Stop::Interrupt => Duration::ZERO,
        };
        if !delay.is_zero() {
            let seconds = delay.as_secs();
            info!(
                seconds,
                "told to stop: serving on until load balancers have noticed"
            );
        }
        Self {
            drain_at: now + delay,
            cut_at: now + config.drain,
            draining: false,
        }
    }

    /// Does not wait for load balancers any longer.
    pub(crate) fn hurry(&mut self) {
        self.drain_at = Instant::now();
    }

    /// Waits until nothing new is to be accepted. Cancel safe.
    pub(crate) async fn noticed(&self) {
        sleep_until(self.drain_at).await;
    }

    /// When what is left is cut.
    pub(crate) fn cut_at(&self) -> Instant {
        self.cut_at
    }

    /// From now on nothing new is accepted.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        let grace = self.cut_at.saturating_duration_since(Instant::now());
        let seconds = grace.as_secs();
        info!(seconds, "draining: open requests may finish");
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }
}
