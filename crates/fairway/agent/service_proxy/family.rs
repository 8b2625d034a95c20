use std::time::{Duration, SystemTime};

use fairway_admin::{FamilyMetrics, Health, IpFamily, Moment};
use fairway_model::{Trigger, Update};
use fairway_nft::Dataplane;
use fairway_plan::{Family, Observed, WithoutLocalEndpoints};
use tokio::time::Instant;
use tracing::error;

use super::clients::Latecomers;
use crate::causes::with_causes;

/// First pause before a failed family is tried again, doubled up to the longest. kube-proxy waits 30 s
/// at once; most causes (a module being loaded, memory) are gone sooner.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Changes whose arrival is measured, when they cannot arrive: more would tell nothing new.
const LONGEST_WAITING: usize = 10_000;

/// What becomes of one family.
pub(super) struct FamilyState {
    pub(super) family: Family,
    pub(super) metrics: FamilyMetrics,
    /// The kernel has what was planned, but for elements that it refused.
    pub(super) sound: bool,
    /// When changes began that the kernel does not have yet.
    waiting: Vec<SystemTime>,
    without_local_endpoints: WithoutLocalEndpoints,
    pub(super) retry: Option<Retry>,
    /// Clients that may have been stored while those that were outdated were removed.
    pub(super) latecomers: Option<Latecomers>,
}

#[derive(Clone, Copy)]
/// When a family is tried again, and after which pause.
pub(super) struct Retry {
    pub(super) at: Instant,
    pause: Duration,
}

impl FamilyState {
    pub(super) fn new(family: Family, metrics: FamilyMetrics) -> Self {
        Self {
            family,
            metrics,
            sound: false,
            waiting: Vec::new(),
            without_local_endpoints: WithoutLocalEndpoints::new(family),
            retry: None,
            latecomers: None,
        }
    }

    /// What the kernel holds; None, and a retry is due, if that cannot be known.
    pub(super) fn read(
        &mut self,
        dataplane: &mut impl Dataplane,
        health: &Health,
    ) -> Option<Observed> {
        let family = self.family;
        match dataplane.read(family) {
            Ok(observed) => Some(observed),
            Err(error) => {
                // Whatever there is to write has to wait until it is known what is there.
                health.queued(ip_family(family), Moment::now());
                let retry = self.try_later();
                let reason = with_causes(&error);
                error!(%family, reason, ?retry, "could not read the kernel's table");
                None
            }
        }
    }

    pub(super) fn count_local_endpoints(&mut self, update: &Update) {
        let without = &mut self.without_local_endpoints;
        without.update(&update.snapshot, &update.changes);
        let (internal, external) = (without.internal(), without.external());
        self.metrics.without_local_endpoints(internal, external);
    }

    /// Takes note of changes whose arrival in the kernel is to be measured.
    pub(super) fn wait_for(&mut self, triggers: &[Trigger], started: SystemTime) {
        let ours = triggers.iter().filter(|trigger| {
            trigger.ipv4 == (self.family == Family::Ip4) && trigger.time > started
        });
        let room = LONGEST_WAITING.saturating_sub(self.waiting.len());
        self.waiting
            .extend(ours.take(room).map(|trigger| trigger.time));
    }

    /// The kernel has everything: measures how long that took.
    pub(super) fn arrived(&mut self) {
        let now = SystemTime::now();
        for began in self.waiting.drain(..) {
            // The control plane's clock may be ahead of ours.
            let took = now.duration_since(began).unwrap_or_default();
            self.metrics.programmed(took);
        }
    }

    pub(super) fn try_later(&mut self) -> Duration {
        let pause = match self.retry {
            Some(retry) => (retry.pause * 2).min(LONGEST_PAUSE),
            None => SHORTEST_PAUSE,
        };
        self.retry = Some(Retry {
            at: Instant::now() + pause,
            pause,
        });
        pause
    }
}

/// As metrics and health call it.
pub(super) fn ip_family(family: Family) -> IpFamily {
    match family {
        Family::Ip4 => IpFamily::Ipv4,
        Family::Ip6 => IpFamily::Ipv6,
    }
}
