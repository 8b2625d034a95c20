use std::time::Duration;

use crate::{UpstreamPolicy, UpstreamProtocol};

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
}

impl UpstreamSettings {
    pub(super) fn apply(&self, policy: &mut UpstreamPolicy) {
        let Self {
            protocol,
            connect_timeout,
            read_timeout,
            write_timeout,
        } = self;
        policy.protocol = protocol.or(policy.protocol);
        policy.connect_timeout = connect_timeout.unwrap_or(policy.connect_timeout);
        policy.read_timeout = read_timeout.or(policy.read_timeout);
        policy.write_timeout = write_timeout.unwrap_or(policy.write_timeout);
    }
}
