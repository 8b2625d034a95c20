use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use super::stream::Stream;
use crate::listen::Transport;
use crate::tls::{self, Session};
use crate::worker::Worker;

/// A connection that is ready for its first request.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    /// Who sends.
    pub(crate) peer: SocketAddr,
    /// What the TLS handshake found out, the protocol among it; None in clear text.
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
                    tls: Some(session),
                })
            }
        }
    }
}
