//! TLS towards endpoints.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use fairway_model::UpstreamTls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::VerifierBuilderError,
};

use crate::config::Protocol;

/// Why no connection can be opened with a policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTls {
    #[error("the upstream's server name {0:?} is no DNS name")]
    ServerName(Arc<str>),
    #[error("the upstream's certificate authorities are not certificates in PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("one of the upstream's certificate authorities cannot be used")]
    Authority(#[from] rustls::Error),
    #[error("the upstream's certificate authorities are empty")]
    Empty(#[from] VerifierBuilderError),
}

/// A policy, ready for handshakes. Its sessions are resumed, so one value serves a worker.
#[derive(Debug)]
pub(crate) struct ClientTls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    fn new(policy: &UpstreamTls, provider: &Arc<CryptoProvider>) -> Result<Self, InvalidTls> {
        let verifier: Arc<dyn ServerCertVerifier> = match &policy.authorities {
            None => Arc::new(Unverified(provider.clone())),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(authority?)?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()?
            }
        };
        let config = |protocol: Protocol| {
            let mut config = ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(verifier.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.alpn().to_vec()];
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        let server_name = policy.server_name.as_ref().map(|name| {
            ServerName::try_from(name.to_string()).map_err(|_| InvalidTls::ServerName(name.clone()))
        });
        Ok(Self {
            http1: config(Protocol::Http1)?,
            http2: config(Protocol::Http2)?,
            server_name: server_name.transpose()?,
        })
    }

    pub(super) fn config(&self, protocol: Protocol) -> Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => self.http1.clone(),
            Protocol::Http2 => self.http2.clone(),
        }
    }

    /// Whom an endpoint has to be. An address is not asked for by name.
    pub(super) fn server_name(&self, endpoint: IpAddr) -> ServerName<'static> {
        match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::IpAddress(endpoint.into()),
        }
    }
}

/// The policies that a worker has met.
#[derive(Debug)]
pub(crate) struct ClientTlsCache {
    provider: Arc<CryptoProvider>,
    policies: RefCell<HashMap<UpstreamTls, Rc<ClientTls>, foldhash::fast::RandomState>>,
}

impl ClientTlsCache {
    pub(crate) fn new() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            policies: RefCell::default(),
        }
    }

    pub(crate) fn of(&self, policy: &UpstreamTls) -> Result<Rc<ClientTls>, InvalidTls> {
        let mut policies = self.policies.borrow_mut();
        if let Some(tls) = policies.get(policy) {
            return Ok(tls.clone());
        }
        let tls = Rc::new(ClientTls::new(policy, &self.provider)?);
        policies.insert(policy.clone(), tls.clone());
        Ok(tls)
    }

    /// Forgets what no route and no connection uses.
    pub(crate) fn sweep(&self) {
        self.policies
            .borrow_mut()
            .retain(|_, tls| Rc::strong_count(tls) > 1);
    }
}

/// Takes whoever answers, as nginx does unless told otherwise. The handshake itself is verified: the
/// endpoint has the key of the certificate that it shows.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_cannot_be_used_say_why() {
        let cache = ClientTlsCache::new();
        let policy = |server_name: Option<&str>, authorities: Option<&str>| UpstreamTls {
            server_name: server_name.map(Arc::from),
            authorities: authorities.map(Arc::from),
        };
        let error = |policy| cache.of(&policy).unwrap_err();
        assert!(matches!(
            error(policy(Some("a b"), None)),
            InvalidTls::ServerName(_)
        ));
        assert!(matches!(
            error(policy(None, Some(""))),
            InvalidTls::Empty(_)
        ));
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            error(policy(None, Some(broken))),
            InvalidTls::Pem(_)
        ));
        let good = policy(Some("a.example"), None);
        let tls = cache.of(&good).unwrap();
        assert!(Rc::ptr_eq(&tls, &cache.of(&good).unwrap()));
        drop(tls);
        cache.sweep();
        assert!(cache.policies.borrow().is_empty());
    }
}
