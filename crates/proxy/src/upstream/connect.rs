//! Opens connections: TCP, then TLS where the policy wants it, then HTTP.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Link, Sender};
use super::multiplexed::{Multiplexed, STREAMS};
use super::transport::Transport;
use crate::body::RequestBody;
use crate::config::{Config, Protocol};
use crate::local_executor::LocalExecutor;
use crate::observed::{Observed, Observer};
use crate::stream::Stream;

/// What an endpoint may send of one response before its client takes it, in bytes. Inside a cluster a
/// round trip takes less than a millisecond.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for all responses of a connection: enough for every stream, so that no slow client can hold
/// up the others.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// A connection that may turn into a tunnel: yields its socket when HTTP is done with it.
pub(crate) type Parts = JoinHandle<Option<(UpstreamSocket, bytes::Bytes)>>;

/// Opens the connections of a worker.
#[derive(Debug)]
pub(crate) struct Dialer {
    http1: http1::Builder,
    http2: http2::Builder<LocalExecutor>,
}

impl Dialer {
    pub(crate) fn new(config: &Config) -> Self {
        let head = config.limits.head_bytes;
        let mut http1 = http1::Builder::new();
        http1.max_header_size(head).max_buf_size(head);
        let mut http2 = http2::Builder::new(LocalExecutor);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Only while requests are under way: servers of gRPC count other pings as abuse.
            .keep_alive_interval(config.timeouts.ping)
            .keep_alive_timeout(config.timeouts.ping_answer);
        Self { http1, http2 }
    }

    /// Opens a connection for one request at a time. Its task ends by itself when the peer or the last
    /// holder of the sender closes.
    pub(crate) async fn open(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<Connection> {
        let (connection, driver) = self.handshake(endpoint, transport).await?;
        tokio::task::spawn_local(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%endpoint, %error, "upstream connection ended");
            }
        });
        Ok(connection)
    }

    /// Opens a connection for a request that asks to leave HTTP.
    pub(crate) async fn open_for_upgrade(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<(Connection, Parts)> {
        let (connection, mut driver) = self.handshake(endpoint, transport).await?;
        let parts = tokio::task::spawn_local(async move {
            std::future::poll_fn(|context| driver.poll_without_shutdown(context))
                .await
                .ok()?;
            let parts = driver.into_parts();
            Some((parts.io.into_inner(), parts.read_buf))
        });
        Ok((connection, parts))
    }

    /// Opens a connection for many requests at once. Its task ends when the peer closes, or when the
    /// last request is over and nobody holds the connection any more.
    pub(super) async fn open_multiplexed(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<Multiplexed> {
        let socket = Observed::new(dial(endpoint, transport).await?, Rc::<Link>::default());
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

    async fn handshake(
        &self,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<(Connection, Driver)> {
        let link = Rc::new(Link::default());
        let socket = Observed::new(dial(endpoint, transport).await?, link.clone());
        let (sender, driver) = self
            .http1
            .handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        let connection = Connection {
            sender: Sender::Http1(sender, link),
            endpoint,
            transport: transport.clone(),
            reused: false,
        };
        Ok((connection, driver))
    }
}

type Driver = http1::Connection<TokioIo<UpstreamSocket>, RequestBody>;

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

/// An endpoint's socket, which notes when an answer begins.
///
/// Endpoints answer and close before they have read the whole request (413, 401). The next write then
/// fails, and hyper would give up with the answer still unread. So failed writes are left to the read
/// side, which finds first what had arrived, and then the same error.
pub(crate) type UpstreamSocket = Observed<Stream, Rc<Link>>;

impl Observer for Rc<Link> {
    fn read(&self, _bytes: &[u8]) {
        self.answered.set(true);
    }

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match result {
            Poll::Ready(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Poll::Ready(Ok(offered.iter().map(|part| part.len()).sum()))
            }
            result => result,
        };
        if let Poll::Ready(Ok(length)) = result {
            self.written.add(offered, length);
        }
        result
    }
}
