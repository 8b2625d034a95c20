use std::sync::Arc;
use std::time::Duration;

use super::{EjectionSettings, LimitSettings, RetrySettings};
use crate::{LoadBalancing, SecretRef, UpstreamPolicy, UpstreamProtocol};

/// What can be set of how an upstream is spoken to; see [`UpstreamPolicy`] for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// The protocol.
    pub protocol: Option<UpstreamProtocol>,
    /// The name that is asked for by TLS, and has to be in the certificate.
    pub server_name: Option<Arc<str>>,
    /// Who may have signed the certificate.
    pub authorities: Option<UpstreamAuthorities>,
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

/// Who may have signed an upstream's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAuthorities {
    /// Anybody: it is not verified.
    Any,
    /// These certificates (PEM).
    Pem(Arc<str>),
    /// Those in the `ca.crt` of a Secret.
    Secret(SecretRef),
}

impl UpstreamSettings {
    pub(super) fn apply(
        &self,
        policy: &mut UpstreamPolicy,
        authorities_of: &mut dyn FnMut(&SecretRef) -> Option<Arc<str>>,
    ) {
        let Self {
            protocol,
            server_name,
            authorities,
            connect_timeout,
            read_timeout,
            write_timeout,
            balancing,
            retry,
            ejection,
            limits,
        } = self;
        policy.protocol = protocol.or(policy.protocol);
        if server_name.is_some() {
            policy.tls.server_name.clone_from(server_name);
        }
        if let Some(authorities) = authorities {
            policy.tls.authorities = match authorities {
                UpstreamAuthorities::Any => None,
                UpstreamAuthorities::Pem(pem) => Some(pem.clone()),
                // None at all: nobody is taken for the upstream.
                UpstreamAuthorities::Secret(secret) => {
                    Some(authorities_of(secret).unwrap_or_default())
                }
            };
        }
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
