use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::certificates::Authority;

/// What the server speaks in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// HTTP/1.1, as behind a proxy that knows nothing else.
    Http1,
    /// HTTP/2, if the client wants it, with so many streams a connection. Real ones allow from 100 to 1,000.
    Http2 {
        /// SETTINGS_MAX_CONCURRENT_STREAMS.
        streams: u32,
    },
}

/// Who proves its identity, and to whom.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    /// Streams of a connection of HTTP/2.
    pub(super) streams: Option<u32>,
    /// PEM: whom clients have to trust.
    pub(super) authority: String,
}

impl Identity {
    pub(super) fn new(secure: Secure, address: &str) -> anyhow::Result<Self> {
        let authority = Authority::new("fake API server")?;
        let issued = authority.server(&[address])?;
        let key = PrivatePkcs8KeyDer::from(issued.key_der);
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![CertificateDer::from(issued.der)], key.into())
                .context("the fake API server's certificate")?;
        let (streams, protocols): (_, &[&[u8]]) = match secure {
            Secure::Http1 => (None, &[b"http/1.1"]),
            Secure::Http2 { streams } => (Some(streams), &[b"h2", b"http/1.1"]),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self {
            acceptor: Arc::new(config).into(),
            streams,
            authority: authority.pem(),
        })
    }
}
