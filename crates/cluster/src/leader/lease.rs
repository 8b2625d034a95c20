//! What to do about a Lease, without doing it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

use super::{DURATION, LOOK};

/// What a candidate does next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// There is no Lease: make it.
    Create(Box<Lease>),
    /// Take or renew it. Carries the version that was read, so that of two only one succeeds.
    Replace(Box<Lease>),
    /// Another holds it.
    Wait(Duration),
}

/// Remembers for how long a Lease has been as it is. Only this agent's clock counts: those of others
/// may be wrong.
#[derive(Debug)]
pub(super) struct Observer {
    identity: String,
    seen: Option<(LeaseSpec, Instant)>,
}

impl Observer {
    pub(super) fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            seen: None,
        }
    }

    pub(super) fn decide(&mut self, found: Option<Lease>, now: Instant, clock: Timestamp) -> Step {
        let Some(mut lease) = found else {
            let spec = Some(self.claim(&LeaseSpec::default(), clock));
            return Step::Create(Box::new(Lease {
                spec,
                ..Lease::default()
            }));
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity {
            let end = self.unchanged_since(&spec, now) + duration(&spec);
            if now < end {
                return Step::Wait(LOOK.min(end - now) + self.stagger());
            }
        }
        lease.spec = Some(self.claim(&spec, clock));
        Step::Replace(Box::new(lease))
    }

    /// The Lease without a holder; None if it is not ours to give up.
    pub(super) fn release(&self, mut lease: Lease) -> Option<Lease> {
        let spec = lease.spec.as_mut()?;
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return None;
        }
        spec.holder_identity = Some(String::new());
        Some(lease)
    }

    fn unchanged_since(&mut self, spec: &LeaseSpec, now: Instant) -> Instant {
        match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        }
    }

    fn claim(&self, old: &LeaseSpec, clock: Timestamp) -> LeaseSpec {
        let renews = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or(0);
        let now = Some(MicroTime(clock));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: match renews {
                true => old.acquire_time.clone(),
                false => now.clone(),
            },
            renew_time: now,
            lease_transitions: Some(transitions.saturating_add(i32::from(!renews))),
            ..LeaseSpec::default()
        }
    }

    /// Up to 5 s, different on every node: a thousand agents should not all ask at the same moment,
    /// least of all when a Lease runs out.
    fn stagger(&self) -> Duration {
        let bytes = self.identity.bytes();
        let sum = bytes.fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Duration::from_millis(sum % 5000)
    }
}

/// For how long a holder said it would hold the Lease; what makes no sense counts as our own.
fn duration(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    match u64::try_from(seconds) {
        Ok(seconds @ 1..=3600) => Duration::from_secs(seconds),
        _ => DURATION,
    }
}
