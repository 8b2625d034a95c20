//! Connections to the router.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Body, Result};
use crate::site::{SECURE, Site};

pub(super) type Http1 = http1::SendRequest<Body>;
pub(super) type Http2 = http2::SendRequest<Body>;

pub(super) struct Dial {
    http: SocketAddr,
    https: SocketAddr,
    /// Offers HTTP/1.1. Resumes no session, so that every handshake shows a certificate.
    tls: TlsConnector,
    /// Offers HTTP/2.
    h2: TlsConnector,
}

impl Dial {
    pub(super) fn new(site: &Site) -> Self {
        let connector = |config: ClientConfig, protocol: &[u8]| {
            let mut config = config;
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        let mut full = site.objects.client_tls();
        full.resumption = Resumption::disabled();
        Self {
            http: site.http(),
            https: site.https(),
            tls: connector(full, b"http/1.1"),
            h2: connector(site.objects.client_tls(), b"h2"),
        }
    }

    pub(super) async fn http1(&self) -> Result<Http1> {
        let stream = TokioIo::new(tcp(self.http).await?);
        let (sender, connection) = http1::handshake(stream).await?;
        // Its errors reach the requests.
        tokio::task::spawn_local(connection.with_upgrades());
        Ok(sender)
    }

    /// With the certificate that was shown.
    pub(super) async fn http1_over_tls(&self) -> Result<(Http1, Vec<u8>)> {
        let stream = self.handshake(&self.tls).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|chain| chain.first());
        let certificate = certificate.ok_or("no certificate")?.to_vec();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection.with_upgrades());
        Ok((sender, certificate))
    }

    pub(super) async fn http2(&self) -> Result<Http2> {
        let stream = self.handshake(&self.h2).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("HTTP/2 is not spoken".into());
        }
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    async fn handshake(&self, connector: &TlsConnector) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(SECURE)?;
        Ok(connector.connect(name, tcp(self.https).await?).await?)
    }
}

async fn tcp(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
