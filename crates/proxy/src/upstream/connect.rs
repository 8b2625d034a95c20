use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use hyper::client::conn::http1::{self, Builder};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::pool::{Connection, Link};
use crate::body::RequestBody;
use crate::observed::{Observed, Observer};

/// A connection that may turn into a tunnel: yields its socket when HTTP is done with it.
pub(crate) type Parts = JoinHandle<Option<(UpstreamSocket, bytes::Bytes)>>;

/// Opens a connection. Its task ends by itself when the peer or the last holder of the sender closes.
pub(crate) async fn open(builder: &Builder, endpoint: SocketAddr) -> io::Result<Connection> {
    let (connection, driver) = handshake(builder, endpoint).await?;
    tokio::task::spawn_local(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%endpoint, %error, "upstream connection ended");
        }
    });
    Ok(connection)
}

/// Opens a connection for a request that asks to leave HTTP.
pub(crate) async fn open_for_upgrade(
    builder: &Builder,
    endpoint: SocketAddr,
) -> io::Result<(Connection, Parts)> {
    let (connection, mut driver) = handshake(builder, endpoint).await?;
    let parts = tokio::task::spawn_local(async move {
        std::future::poll_fn(|context| driver.poll_without_shutdown(context))
            .await
            .ok()?;
        let parts = driver.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    });
    Ok((connection, parts))
}

type Driver = http1::Connection<TokioIo<UpstreamSocket>, RequestBody>;

async fn handshake(builder: &Builder, endpoint: SocketAddr) -> io::Result<(Connection, Driver)> {
    let stream = TcpStream::connect(endpoint).await?;
    stream.set_nodelay(true)?;
    let link = Rc::new(Link::default());
    let socket = Observed::new(stream, link.clone());
    let (sender, driver) = builder
        .handshake(TokioIo::new(socket))
        .await
        .map_err(io::Error::other)?;
    let connection = Connection {
        sender,
        link,
        endpoint,
        reused: false,
    };
    Ok((connection, driver))
}

/// An endpoint's socket, which notes when an answer begins.
///
/// Endpoints answer and close before they have read the whole request (413, 401). The next write then
/// fails, and hyper would give up with the answer still unread. So failed writes are left to the read
/// side, which finds first what had arrived, and then the same error.
pub(crate) type UpstreamSocket = Observed<TcpStream, Rc<Link>>;

impl Observer for Rc<Link> {
    fn read(&self, _bytes: &[u8]) {
        self.answered.set(true);
    }

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        offered: impl FnOnce() -> usize,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Poll::Ready(Ok(offered()))
            }
            result => result,
        }
    }
}
