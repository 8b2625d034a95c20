use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::{StartHandshake, TlsStream};

use super::cipher::Cipher;
use super::hello::{self, Hello};
use super::host::{Host, Server};
use super::identity::Identity;
use super::{Failure, passthrough};
use crate::config::Protocol;
use crate::deadline::within;
use crate::worker::Worker;

/// A fatal `access_denied` alert, as it is sent before there are keys (RFC 8446 section 6).
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

const SSL_CLIENT_VERIFY: HeaderName = HeaderName::from_static("ssl-client-verify");
const SSL_CLIENT_SUBJECT_DN: HeaderName = HeaderName::from_static("ssl-client-subject-dn");
const SSL_CLIENT_ISSUER_DN: HeaderName = HeaderName::from_static("ssl-client-issuer-dn");

/// What a handshake found out, for as long as the connection lives.
#[derive(Debug)]
pub(crate) struct Session {
    /// What ALPN agreed on; HTTP/1.1 where the client did not ask.
    pub(crate) protocol: Protocol,
    /// Whose policy the client was judged by.
    pub(crate) host: Arc<Host>,
    /// The name that the client asked for it by.
    pub(super) name: Option<Box<str>>,
    /// Whether that host was found to let in others by now.
    pub(super) outdated: Cell<bool>,
    pub(crate) cipher: Option<Cipher>,
    /// Who the client is, where that was asked for and proven.
    pub(crate) client: Option<Box<Identity>>,
}

impl Session {
    /// Whether the client should come again to be judged anew: what it opened the connection for is not to be
    /// had on it any more.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.get()
    }

    /// Tells the upstream who the client is, in the words of ingress-nginx; whatever the client said
    /// about that itself has been removed.
    pub(crate) fn identify(&self, headers: &mut HeaderMap) {
        if !self.host.demands() {
            return;
        }
        let verified = match &self.client {
            Some(_) => "SUCCESS",
            None => "NONE",
        };
        headers.insert(SSL_CLIENT_VERIFY, HeaderValue::from_static(verified));
        let Some(client) = &self.client else {
            return;
        };
        for (header, name) in [
            (SSL_CLIENT_SUBJECT_DN, &client.subject),
            (SSL_CLIENT_ISSUER_DN, &client.issuer),
        ] {
            if let Some(name) = name {
                headers.insert(header, name.clone());
            }
        }
    }
}

/// Does the handshake. None when nothing is left to be done: it failed, and has been counted, or the
/// connection was passed through and is over.
pub(crate) async fn accept(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<(Box<TlsStream<TcpStream>>, Session)> {
    let deadline = worker.deadlines.open();
    let limit = worker.config.timeouts.handshake;
    let outcome = within(&deadline, &worker.clock, limit, shake(worker, stream)).await;
    drop(deadline);
    let failure = match outcome {
        Some(Ok(Outcome::Terminated(stream, session))) => {
            worker.shard.handshakes.add(1);
            return Some((stream, session));
        }
        Some(Ok(Outcome::Passthrough(stream, hello, name))) => {
            match passthrough::run(worker, stream, hello, &name, peer).await {
                Ok(()) => return None,
                Err(failure) => failure,
            }
        }
        Some(Err(failure)) => failure,
        None => Failure::Timeout,
    };
    worker.shard.handshake_failed(failure);
    tracing::debug!(%peer, reason = failure.label(), "no TLS connection");
    None
}

/// What became of a ClientHello.
enum Outcome {
    Terminated(Box<TlsStream<TcpStream>>, Session),
    /// The bytes read so far and the name in them.
    Passthrough(TcpStream, Vec<u8>, Box<str>),
}

async fn shake(worker: &Worker, mut stream: TcpStream) -> Result<Outcome, Failure> {
    let Hello {
        accepted,
        name,
        bytes,
    } = hello::read(&mut stream).await?;
    let host = worker.tls.load().for_server_name(name.as_deref()).clone();
    let (config, accepted) = match (&host.server, accepted) {
        (Server::Passthrough, _) => {
            let name = name.unwrap_or_default();
            return Ok(Outcome::Passthrough(stream, bytes, name));
        }
        (_, Err(incompatible)) => return Err(incompatible.refuse(&stream)),
        (Server::Terminate(config), Ok(accepted)) => (config.clone(), accepted),
        (Server::Refuse, Ok(_)) => {
            let _ = stream.try_write(&ACCESS_DENIED);
            return Err(Failure::Unavailable);
        }
    };
    drop(bytes);
    let stream = StartHandshake::from_parts(accepted, stream)
        .into_stream(config)
        .await?;
    let (_, connection) = stream.get_ref();
    let protocol = match connection.alpn_protocol() {
        Some(name) if name == Protocol::Http2.alpn() => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let client = connection.peer_certificates().and_then(identity);
    let session = Session {
        protocol,
        cipher: Cipher::of(connection),
        host,
        name,
        outdated: Cell::new(false),
        client,
    };
    Ok(Outcome::Terminated(Box::new(stream.into()), session))
}

fn identity(chain: &[CertificateDer<'_>]) -> Option<Box<Identity>> {
    chain.first().map(|own| Box::new(Identity::of(own)))
}
