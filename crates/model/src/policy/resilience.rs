use std::num::NonZeroU32;
use std::time::Duration;

use crate::{EjectionPolicy, RetryPolicy, UpstreamLimits};

/// What can be set of a [`RetryPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetrySettings {
    /// Endpoints that are asked for one request in all.
    pub tries: Option<u8>,
    /// After a connection broke.
    pub broken_connections: Option<bool>,
    /// After silence.
    pub timeouts: Option<bool>,
    /// After answers with these statuses.
    pub statuses: Option<Vec<u16>>,
    /// Retries, in percent of the requests.
    pub budget_percent: Option<u8>,
    /// Retries a second in any case.
    pub budget_per_second: Option<u32>,
}

impl RetrySettings {
    pub(super) fn apply(&self, policy: &mut RetryPolicy) {
        let Self {
            tries,
            broken_connections,
            timeouts,
            statuses,
            budget_percent,
            budget_per_second,
        } = self;
        set(&mut policy.tries, tries);
        set(&mut policy.broken_connections, broken_connections);
        set(&mut policy.timeouts, timeouts);
        set(&mut policy.statuses, statuses);
        set(&mut policy.budget.percent, budget_percent);
        set(&mut policy.budget.per_second, budget_per_second);
    }
}

/// What can be set of an [`EjectionPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EjectionSettings {
    /// Failures in a row; 0 for no ejection.
    pub failures: Option<u32>,
    /// Answers 502, 503 and 504 are failures, too.
    pub gateway_errors: Option<bool>,
    /// For how long, the first time.
    pub time: Option<Duration>,
    /// For how long at most.
    pub longest: Option<Duration>,
}

impl EjectionSettings {
    pub(super) fn apply(&self, policy: &mut Option<EjectionPolicy>) {
        let Self {
            failures,
            gateway_errors,
            time,
            longest,
        } = self;
        if *self == Self::default() {
            return;
        }
        if *failures == Some(0) {
            *policy = None;
            return;
        }
        let policy = policy.get_or_insert_default();
        set(&mut policy.failures, failures);
        set(&mut policy.gateway_errors, gateway_errors);
        set(&mut policy.time, time);
        set(&mut policy.longest, longest);
    }
}

/// What can be set of [`UpstreamLimits`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests under way; 0 for no limit.
    pub requests: Option<u32>,
    /// Requests that may wait.
    pub waiting: Option<u32>,
    /// For how long one may wait.
    pub wait: Option<Duration>,
}

impl LimitSettings {
    pub(super) fn apply(&self, limits: &mut UpstreamLimits) {
        let Self {
            requests,
            waiting,
            wait,
        } = self;
        set(&mut limits.requests, &requests.map(NonZeroU32::new));
        set(&mut limits.waiting, waiting);
        set(&mut limits.wait, wait);
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        *field = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_stays() {
        let mut retry = RetryPolicy::default();
        let settings = RetrySettings {
            statuses: Some(vec![503]),
            budget_percent: Some(5),
            ..RetrySettings::default()
        };
        settings.apply(&mut retry);
        assert_eq!((&retry.statuses[..], retry.tries), (&[503][..], 3));
        assert_eq!((retry.budget.percent, retry.budget.per_second), (5, 10));
    }

    #[test]
    fn zero_takes_ejection_and_limits_away_and_anything_else_brings_them_back() {
        let mut ejection = Some(EjectionPolicy::default());
        let failures = |failures| EjectionSettings {
            failures: Some(failures),
            ..EjectionSettings::default()
        };
        failures(0).apply(&mut ejection);
        assert_eq!(ejection, None);
        EjectionSettings::default().apply(&mut ejection);
        assert_eq!(ejection, None);
        failures(2).apply(&mut ejection);
        assert_eq!(ejection.map(|it| it.failures), Some(2));

        let mut limits = UpstreamLimits::default();
        let requests = |requests| LimitSettings {
            requests: Some(requests),
            ..LimitSettings::default()
        };
        requests(7).apply(&mut limits);
        assert_eq!(limits.requests, NonZeroU32::new(7));
        requests(0).apply(&mut limits);
        assert_eq!(limits, UpstreamLimits::default());
    }
}
