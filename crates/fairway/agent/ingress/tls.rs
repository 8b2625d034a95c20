//! Certificates into the proxy's TLS table.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fairway_cluster::{Certificates, HostCertificates};
use fairway_model::{HostPattern, TlsPolicy, Update};
use fairway_proxy::{ClientAuth, Handling, HostTls, TlsSettings, TlsTable, self_signed};
use rustls::sign::CertifiedKey;

/// The table that new handshakes use, and what it is kept up to date with.
pub(super) struct Tls {
    table: TlsTable,
    shared: Arc<ArcSwap<TlsTable>>,
    /// Shown where nobody configured another default.
    self_signed: Arc<CertifiedKey>,
    /// Whether clear-text requests are sent to https where no policy says.
    redirect: bool,
}

impl Tls {
    pub(super) fn new(redirect: bool) -> anyhow::Result<Self> {
        let self_signed = Arc::new(self_signed()?);
        let table = TlsTable::new(&TlsSettings::default(), self_signed.clone())?;
        Ok(Self {
            shared: Arc::new(ArcSwap::from_pointee(table.clone())),
            table,
            self_signed,
            redirect,
        })
    }

    pub(super) fn shared(&self) -> Arc<ArcSwap<TlsTable>> {
        self.shared.clone()
    }

    /// Swaps in the certificates of an update, for new handshakes.
    pub(super) fn apply(&mut self, update: &Update, certificates: &Certificates) {
        let changes = &update.changes;
        if changes.hosts.is_empty() && changes.tls.is_empty() && !changes.default_certificate {
            return;
        }
        if changes.default_certificate {
            let configured = certificates.default_certificate();
            let default = configured.map_or(&self.self_signed, |certificate| &certificate.key);
            self.table.set_default(default.clone());
        }
        for host in changes.hosts.union(&changes.tls) {
            let routes = update.snapshot.routes.hosts.get(host);
            let policy = routes.and_then(|routes| routes.tls.as_ref());
            let tls = policy.map(|policy| self.host(host, policy, certificates));
            self.table.set(host, tls);
        }
        self.shared.store(Arc::new(self.table.clone()));
    }

    fn host(&self, host: &HostPattern, policy: &TlsPolicy, certificates: &Certificates) -> HostTls {
        let handling = match certificates.resolve(host, policy) {
            HostCertificates::Terminate {
                certificate,
                client_auth,
            } => Handling::Terminate {
                certificate: certificate.map(|certificate| certificate.key.clone()),
                client_auth: client_auth.map(|(authorities, optional)| ClientAuth {
                    authorities,
                    optional,
                }),
            },
            HostCertificates::Passthrough => Handling::Passthrough,
            HostCertificates::Refuse => Handling::Refuse,
        };
        let redirect = policy.redirect.unwrap_or(self.redirect);
        HostTls {
            handling,
            redirect: redirect && certificates.wants_https(host, policy),
        }
    }
}
