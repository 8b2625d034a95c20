use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tokio::net::TcpStream;

use super::client_connections::Place;
use super::{preface, proxy_protocol};
use crate::config::{Config, Protocol, ProxyProtocol};
use crate::listen::Transport;
use crate::stream::Stream;
use crate::tls::{self, Session};
use crate::worker::Worker;

/// A connection that is ready for its first request.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    pub(crate) origin: Origin,
    /// One of those that the client may have.
    pub(crate) place: Option<Box<Place>>,
    pub(crate) protocol: Protocol,
    /// What the TLS handshake found out; None in clear text.
    pub(crate) tls: Option<Rc<Session>>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client, or the last proxy before us that did not tell who is behind it.
    pub(crate) address: SocketAddr,
    /// Whether what its requests say about their way is believed.
    pub(crate) trusted: bool,
    /// Whether it is one client, with the connections of one. Behind a trusted proxy that does not tell are many.
    pub(super) limited: bool,
    /// The port that the client connected to, where a load balancer told it.
    pub(crate) port: Option<u16>,
}

impl Origin {
    /// As the socket tells it.
    pub(super) fn of_peer(config: &Config, peer: SocketAddr) -> Self {
        let trusted = config.trusts(peer.ip().to_canonical());
        Self {
            address: peer,
            trusted,
            limited: !trusted,
            port: None,
        }
    }

    /// An IPv4 client is one, whatever the socket's family.
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

impl Arrival {
    /// Deals with what comes before HTTP. None when that was all, or too much: it has been counted.
    pub(crate) async fn of(
        worker: &Rc<Worker>,
        transport: Transport,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<Self> {
        let origin = match worker.config.proxy_protocol {
            ProxyProtocol::Off => Origin::of_peer(&worker.config, peer),
            // Boxed: it is soon over.
            ProxyProtocol::Optional | ProxyProtocol::Required => {
                Box::pin(proxy_protocol::receive(worker, &stream, peer)).await?
            }
        };
        let place = match &worker.client_connections {
            Some(connections) if origin.limited => match connections.open(origin.ip()) {
                Some(place) => Some(Box::new(place)),
                None => {
                    worker.shard.refused_connections.add(1);
                    return None;
                }
            },
            _ => None,
        };
        match transport {
            Transport::Clear => Some(Self {
                // Boxed: it is rarely wanted.
                protocol: match worker.config.h2c {
                    true => Box::pin(preface::detect(worker, &stream)).await,
                    false => Protocol::Http1,
                },
                stream: Stream::Tcp(stream),
                origin,
                place,
                tls: None,
            }),
            // A handshake to be told 503 would cost more than it tells.
            Transport::Tls if worker.is_short_of_memory_to_connect() => {
                worker.shard.shed_connections.add(1);
                None
            }
            // Boxed: a handshake is large and soon over.
            Transport::Tls => {
                let (stream, session) =
                    Box::pin(tls::accept(worker, stream, origin.address)).await?;
                Some(Self {
                    stream: Stream::Tls(stream),
                    origin,
                    place,
                    protocol: session.protocol,
                    tls: Some(Rc::new(session)),
                })
            }
        }
    }
}
