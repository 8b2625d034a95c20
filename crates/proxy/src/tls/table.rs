use std::sync::Arc;

use fairway_model::HostPattern;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::ProducesTickets;
use rustls::sign::CertifiedKey;

use super::host::{Handling, Host, HostTls};
use crate::config::Protocol;

/// What all hosts have in common.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// What is offered by ALPN, best first.
    pub alpn: Vec<Protocol>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            alpn: vec![Protocol::Http2, Protocol::Http1],
        }
    }
}

/// How TLS is served, host by host: exact names before wildcards for one label before the default
/// certificate. A clone shares all hosts, so that to change one costs the same however many there are.
#[derive(Clone, Debug)]
pub struct TlsTable {
    parts: Arc<Parts>,
    exact: HostMap,
    /// By what follows `*.`.
    wildcard: HostMap,
    any: Arc<Host>,
    /// For names that nobody declared, and for clients that send none.
    default: Arc<CertifiedKey>,
}

type HostMap = rpds::HashTrieMapSync<Arc<str>, Arc<Host>, foldhash::quality::RandomState>;

/// What configurations are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) provider: Arc<CryptoProvider>,
    /// Seals the tickets of all hosts; its keys change every six hours and are kept as long again.
    pub(super) ticketer: Arc<dyn ProducesTickets>,
    pub(super) alpn: Vec<Vec<u8>>,
}

impl TlsTable {
    /// A table that knows no host.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn new(settings: &TlsSettings, default: Arc<CertifiedKey>) -> Result<Self, rustls::Error> {
        let alpn = settings.alpn.iter();
        let parts = Parts {
            provider: Arc::new(default_provider()),
            ticketer: Ticketer::new()?,
            alpn: alpn.map(|protocol| protocol.alpn().to_vec()).collect(),
        };
        Ok(Self {
            any: Arc::new(Host::new(undeclared(), &default, &parts)),
            parts: Arc::new(parts),
            exact: HostMap::default(),
            wildcard: HostMap::default(),
            default,
        })
    }

    /// Replaces the default certificate.
    pub fn set_default(&mut self, certificate: Arc<CertifiedKey>) {
        if Arc::ptr_eq(&self.default, &certificate) {
            return;
        }
        self.default = certificate;
        let again =
            |host: &Arc<Host>| Arc::new(Host::new(host.tls.clone(), &self.default, &self.parts));
        self.any = again(&self.any);
        for map in [&mut self.exact, &mut self.wildcard] {
            let without: Vec<_> = map
                .iter()
                .filter(|(_, host)| !host.has_certificate())
                .collect();
            let rebuilt: Vec<_> = without
                .into_iter()
                .map(|(name, host)| (name.clone(), again(host)))
                .collect();
            for (name, host) in rebuilt {
                map.insert_mut(name, host);
            }
        }
    }

    /// Declares how TLS is served for a host, or that nobody cares any more. What is said of
    /// [`HostPattern::Any`] is for all that nothing more specific is said of.
    pub fn set(&mut self, pattern: &HostPattern, tls: Option<HostTls>) {
        let map = match pattern {
            HostPattern::Exact(_) => &mut self.exact,
            HostPattern::Wildcard { .. } => &mut self.wildcard,
            HostPattern::Any => {
                let tls = tls.unwrap_or_else(undeclared);
                if !self.any.tls.is(&tls) {
                    self.any = Arc::new(Host::new(tls, &self.default, &self.parts));
                }
                return;
            }
        };
        let (HostPattern::Exact(name) | HostPattern::Wildcard { suffix: name, .. }) = pattern
        else {
            return;
        };
        match tls {
            None => {
                map.remove_mut(name);
            }
            // What stays keeps its tickets.
            Some(tls) if map.get(name).is_some_and(|host| host.tls.is(&tls)) => {}
            Some(tls) => {
                let host = Arc::new(Host::new(tls, &self.default, &self.parts));
                map.insert_mut(name.clone(), host);
            }
        }
    }

    /// The host for the name in a ClientHello: lower-case, perhaps with a dot at the end.
    pub(super) fn for_server_name(&self, name: Option<&str>) -> &Arc<Host> {
        let declared = name.and_then(|name| self.declared(name.strip_suffix('.').unwrap_or(name)));
        declared.unwrap_or(&self.any)
    }

    /// The host of a request.
    pub(crate) fn for_request(&self, host: &fairway_router::Host) -> &Arc<Host> {
        let declared = host.as_str().and_then(|name| self.declared(name));
        declared.unwrap_or(&self.any)
    }

    fn declared(&self, name: &str) -> Option<&Arc<Host>> {
        self.exact.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

/// TLS for hosts that nobody asked it for: the default certificate, and no redirect.
fn undeclared() -> HostTls {
    HostTls {
        handling: Handling::Terminate {
            certificate: None,
            client_auth: None,
        },
        redirect: false,
    }
}
