use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::table::Parts;
use super::ticket::BoundTickets;

/// What TLS is to be served for a host.
#[derive(Clone, Debug)]
pub struct HostTls {
    /// Who does TLS with the client.
    pub handling: Handling,
    /// Whether clear-text requests for the host are sent to https.
    pub redirect: bool,
}

/// Who does TLS with the client.
#[derive(Clone, Debug)]
pub enum Handling {
    /// The router.
    Terminate {
        /// The host's own certificate; the default certificate where there is none.
        certificate: Option<Arc<CertifiedKey>>,
        /// Who gets in; absent where everybody does.
        client_auth: Option<ClientAuth>,
    },
    /// The endpoint: the router looks at the name in the ClientHello and passes all bytes on.
    Passthrough,
    /// Nobody: the host's policy cannot be met, for example because the authorities of its clients are
    /// not known. To serve it without would let everybody in.
    Refuse,
}

/// Which clients get in.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// The authorities that clients' certificates come from.
    pub authorities: Arc<RootCertStore>,
    /// Clients without a certificate are let in too, and told apart by a header.
    pub optional: bool,
}

impl HostTls {
    /// Whether the same objects say the same: comparing keys is not needed, each change makes new ones.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.redirect == other.redirect && self.handling.is(&other.handling)
    }
}

impl Handling {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Terminate {
                    certificate,
                    client_auth,
                },
                Self::Terminate {
                    certificate: other_certificate,
                    client_auth: other_auth,
                },
            ) => {
                same(
                    certificate.as_ref(),
                    other_certificate.as_ref(),
                    Arc::ptr_eq,
                ) && same(client_auth.as_ref(), other_auth.as_ref(), ClientAuth::is)
            }
            (Self::Passthrough, Self::Passthrough) | (Self::Refuse, Self::Refuse) => true,
            _ => false,
        }
    }
}

impl ClientAuth {
    fn is(&self, other: &Self) -> bool {
        self.optional == other.optional && Arc::ptr_eq(&self.authorities, &other.authorities)
    }
}

fn same<T>(left: Option<&T>, right: Option<&T>, equal: impl FnOnce(&T, &T) -> bool) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => equal(left, right),
        (None, None) => true,
        _ => false,
    }
}

/// A host, ready for handshakes.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) tls: HostTls,
    pub(super) server: Server,
}

/// What is done with a ClientHello.
#[derive(Debug)]
pub(super) enum Server {
    Terminate(Arc<ServerConfig>),
    Passthrough,
    Refuse,
}

impl Host {
    /// Builds the host. `default` is for hosts without a certificate of their own.
    pub(super) fn new(tls: HostTls, default: &Arc<CertifiedKey>, parts: &Parts) -> Self {
        let server = match &tls.handling {
            Handling::Passthrough => Server::Passthrough,
            Handling::Refuse => Server::Refuse,
            Handling::Terminate {
                certificate,
                client_auth,
            } => {
                let certificate = certificate.as_ref().unwrap_or(default).clone();
                match client_verifier(client_auth.as_ref(), parts) {
                    Ok(clients) => Server::Terminate(Arc::new(config(certificate, clients, parts))),
                    // No authority at all: nobody can be let in.
                    Err(_) => Server::Refuse,
                }
            }
        };
        Self { tls, server }
    }

    /// Whether clear-text requests are sent to https.
    pub(crate) fn redirects(&self) -> bool {
        self.tls.redirect || !matches!(self.server, Server::Terminate(_)) || self.demands()
    }

    /// Whether the host has a certificate of its own, so that it makes sense to insist on TLS.
    pub(crate) fn has_certificate(&self) -> bool {
        matches!(
            self.tls.handling,
            Handling::Terminate {
                certificate: Some(_),
                ..
            }
        )
    }

    /// Whether not everybody gets in.
    pub(crate) fn demands(&self) -> bool {
        !matches!(
            self.tls.handling,
            Handling::Terminate {
                client_auth: None,
                ..
            }
        )
    }

    /// Whether a connection that was opened for the other host may ask for this one: who gets in there
    /// must get in here. Certificates may differ; clients check them.
    pub(crate) fn admits(&self, opened_for: &Self) -> bool {
        match (&self.tls.handling, &opened_for.tls.handling) {
            (
                Handling::Terminate { client_auth, .. },
                Handling::Terminate {
                    client_auth: other, ..
                },
            ) => same(client_auth.as_ref(), other.as_ref(), ClientAuth::is),
            _ => false,
        }
    }
}

fn client_verifier(
    auth: Option<&ClientAuth>,
    parts: &Parts,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::server::VerifierBuilderError> {
    let Some(auth) = auth else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let builder = WebPkiClientVerifier::builder_with_provider(
        auth.authorities.clone(),
        parts.provider.clone(),
    );
    match auth.optional {
        true => builder.allow_unauthenticated().build(),
        false => builder.build(),
    }
}

fn config(
    certificate: Arc<CertifiedKey>,
    clients: Arc<dyn ClientCertVerifier>,
    parts: &Parts,
) -> ServerConfig {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certificate));
    let mut config = ServerConfig::builder_with_provider(parts.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has ciphers for both versions")
        .with_client_cert_verifier(clients)
        .with_cert_resolver(resolver);
    config.alpn_protocols.clone_from(&parts.alpn);
    // Tickets hold a session's state, so that every worker can resume what another one began.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = BoundTickets::bind(&parts.ticketer, &parts.provider);
    config
}
