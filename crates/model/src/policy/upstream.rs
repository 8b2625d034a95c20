use std::time::Duration;

use super::{EjectionSettings, LimitSettings, RetrySettings};
use crate::{LoadBalancing, UpstreamPolicy, UpstreamProtocol};

/// What can be set of how an upstream is spoken to; see [`UpstreamPolicy`] for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The protocol.
    pub protocol: Option<UpstreamProtocol>,
    /// Limit for opening a connection.
    pub connect_timeout: Option<Duration>,
    /// Longest silence while an answer is awaited or being read.
    pub read_timeout: Option<Duration>,
    /// Longest time in which nothing of a request is accepted.
    pub write_timeout: Option<Duration>,
    /// Which endpoint is asked.
    pub balancing: Option<LoadBalancing>,
    /// When another one is asked.
    pub retry: RetrySettings,
    /// When endpoints that fail are left alone.
    pub ejection: EjectionSettings,
    /// How much it gets to do at once.
    pub limits: LimitSettings,
}

impl UpstreamSettings {
    pub(super) fn apply(&self, policy: &mut UpstreamPolicy) {
        let Self {
            protocol,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing,
            retry,
            ejection,
            limits,
        } = self;
        policy.protocol = protocol.or(policy.protocol);
        policy.connect_timeout = connect_timeout.unwrap_or(policy.connect_timeout);
        policy.read_timeout = read_timeout.or(policy.read_timeout);
        policy.write_timeout = write_timeout.unwrap_or(policy.write_timeout);
        if let Some(balancing) = balancing {
            policy.balancing = balancing.clone();
        }
        retry.apply(&mut policy.retry);
        ejection.apply(&mut policy.ejection);
        limits.apply(&mut policy.limits);
    }
}
