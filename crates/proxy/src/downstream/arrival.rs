use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use super::preface;
use crate::config::Protocol;
use crate::listen::Transport;
use crate::stream::Stream;
use crate::tls::{self, Session};
use crate::worker::Worker;

/// A connection that is ready for its first request.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    /// Who sends.
    pub(crate) peer: SocketAddr,
    pub(crate) protocol: Protocol,
    /// What the TLS handshake found out; None in clear text.
    pub(crate) tls: Option<Session>,
}

impl Arrival {
    /// Deals with what comes before HTTP. None when that was all, or too much: it has been counted.
    pub(crate) async fn of(
        worker: &Rc<Worker>,
        transport: Transport,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<Self> {
        // The place of the PROXY protocol.
        match transport {
            Transport::Clear => Some(Self {
                // Boxed: it is rarely wanted.
                protocol: match worker.config.h2c {
                    true => Box::pin(preface::detect(worker, &stream)).await,
                    false => Protocol::Http1,
                },
                stream: Stream::Tcp(stream),
                peer,
                tls: None,
            }),
            // Boxed: a handshake is large and soon over.
            Transport::Tls => {
                let (stream, session) = Box::pin(tls::accept(worker, stream, peer)).await?;
                Some(Self {
                    stream: Stream::Tls(stream),
                    peer,
                    protocol: session.protocol,
                    tls: Some(session),
                })
            }
        }
    }
}
