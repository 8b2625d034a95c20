//! Opens connections: TCP, then TLS where the policy wants it, then HTTP.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Sender};
use super::http1;
use super::multiplexed::{Multiplexed, STREAMS};
use super::read_first::ReadFirst;
use super::transport::Transport;
use crate::config::{Config, Protocol};
use crate::local_executor::LocalExecutor;
use crate::observed::Observed;
use crate::stream::Stream;

/// What an endpoint may send of one response before its client takes it, in bytes. Inside a cluster a
/// round trip takes less than a millisecond.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for all responses of a connection: enough for every stream, so that no slow client can hold
/// up the others.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// Opens the connections of a worker.
#[derive(Debug)]
pub(crate) struct Dialer {
    largest_head: usize,
    http2: http2::Builder<LocalExecutor>,
}

impl Dialer {
    pub(crate) fn new(config: &Config) -> Self {
        let head = config.limits.head_bytes;
        let mut http2 = http2::Builder::new(LocalExecutor);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Only while requests are under way: servers of gRPC count other pings as abuse.
            .keep_alive_interval(config.timeouts.ping)
            .keep_alive_timeout(config.timeouts.ping_answer);
        Self {
            largest_head: head,
            http2,
        }
    }

    /// Opens a connection for one request at a time.
    pub(crate) async fn open(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<Connection> {
        let stream = dial(endpoint, transport).await?;
        let connection = http1::Connection::new(stream, self.largest_head);
        Ok(Connection {
            sender: Sender::Http1(Box::new(connection)),
            endpoint,
            transport: transport.clone(),
            reused: false,
        })
    }

    /// Opens a connection for many requests at once. Its task ends when the peer closes, or when the
    /// last request is over and nobody holds the connection any more.
    pub(super) async fn open_multiplexed(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<Multiplexed> {
        let socket = Observed::new(dial(endpoint, transport).await?, ReadFirst);
        let (sender, mut driver) = self
            .http2
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        let allowed = Rc::new(Cell::new(STREAMS));
        let connection = Multiplexed::new(sender, endpoint, transport.clone(), allowed.clone());
        tokio::task::spawn_local(async move {
            let driven = poll_fn(|context| {
                let driven = Pin::new(&mut driver).poll(context);
                allowed.set(driver.current_max_send_streams());
                driven
            });
            if let Err(error) = driven.await {
                tracing::debug!(%endpoint, %error, "upstream connection ended");
            }
        });
        Ok(connection)
    }
}

async fn dial(endpoint: SocketAddr, transport: &Transport) -> io::Result<Stream> {
    let stream = TcpStream::connect(endpoint).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &transport.tls else {
        return Ok(Stream::Tcp(stream));
    };
    let connector = TlsConnector::from(tls.config(transport.protocol));
    let stream = connector
        .connect(tls.server_name(endpoint.ip()), stream)
        .await?;
    let agreed = stream.get_ref().1.alpn_protocol();
    if transport.protocol == Protocol::Http2 && agreed != Some(Protocol::Http2.alpn()) {
        return Err(io::Error::other(
            "the endpoint does not offer HTTP/2 by ALPN",
        ));
    }
    Ok(Stream::Tls(Box::new(stream.into())))
}
