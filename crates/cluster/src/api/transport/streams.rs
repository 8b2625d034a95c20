use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::Uri;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::Body;
use tokio::time::interval;
use tower::{BoxError, ServiceExt};

use super::dial::Connector;
use super::{Limits, Pings};

/// Most requests on a connection, whatever the server allows: 250 is what Go's servers allow unless
/// told, and kube-apiserver was never told less. Bounds what one lost connection takes with it.
const MOST_STREAMS: usize = 250;

/// What a stream may send unasked. Pages of lists are some hundred KiB.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Enough for all streams: one that nobody reads for a while takes nothing from the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;

/// How often to look whether the settings of a new connection are there: a round trip in a data center.
const SETTINGS_LOOK: Duration = Duration::from_millis(1);

/// Connections to one server, each for many requests.
///
/// A request never waits for a stream of a connection whose streams are all taken, because watches keep
/// theirs for minutes: another connection is opened.
pub(super) struct Connections {
    open: Mutex<Open>,
    server: Uri,
    connector: Connector,
    limits: Limits,
}

#[derive(Default)]
struct Open {
    connections: Vec<Arc<Connection>>,
    /// The server chose HTTP/1.1 when it was last asked.
    http1: bool,
    /// The attempt to open one that is under way, for all who wait.
    opening: Option<Opening>,
}

type Opening = Shared<BoxFuture<'static, Result<Opened, OpenError>>>;

#[derive(Clone)]
enum Opened {
    Http2(Arc<Connection>),
    Http1,
}

/// Why there is no connection; one answer for all who wait.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The server, or the way there, refused.
    #[error(transparent)]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
    /// TCP, TLS and the server's settings took too long.
    #[error("no connection within {} s", .0.as_secs())]
    Late(Duration),
}

/// A connection and how much of it is taken.
struct Connection {
    sender: SendRequest<Body>,
    taken: AtomicUsize,
    /// What the server allowed when a request was last sent.
    allowed: AtomicUsize,
    /// The server began to close it, or was silent for too long.
    retired: AtomicBool,
}

/// A place for one request; given back when dropped.
pub(super) struct Stream(Arc<Connection>);

/// How a request may be sent.
pub(super) enum Taken {
    /// On this place of a connection that was open.
    Open(Stream),
    /// On this place of a connection that was opened for it, and maybe for others.
    Opened(Stream),
    /// The server does not speak HTTP/2.
    Http1,
}

impl Connections {
    pub(super) fn new(connector: Connector, server: Uri, limits: Limits) -> Self {
        Self {
            open: Mutex::default(),
            server,
            connector,
            limits,
        }
    }

    /// A place for a request, on a new connection where the open ones are full.
    pub(super) async fn take(&self) -> Result<Taken, OpenError> {
        let mut taken: fn(Stream) -> Taken = Taken::Open;
        loop {
            let opening = {
                let mut open = self.open();
                if open.http1 {
                    return Ok(Taken::Http1);
                }
                if let Some(stream) = open.find() {
                    return Ok(taken(stream));
                }
                open.opening
                    .get_or_insert_with(|| self.attempt().boxed().shared())
                    .clone()
            };
            let opened = opening.clone().await;
            taken = Taken::Opened;
            let mut open = self.open();
            // The first who sees the result keeps it, for all.
            if open.opening.as_ref().is_some_and(|it| it.ptr_eq(&opening)) {
                open.opening = None;
                match &opened {
                    Ok(Opened::Http2(connection)) => open.connections.push(Arc::clone(connection)),
                    Ok(Opened::Http1) => open.http1 = true,
                    Err(_told) => {}
                }
            }
            opened?;
        }
    }

    /// The next request asks the server again which protocol it speaks.
    pub(super) fn forget_protocol(&self) {
        self.open().http1 = false;
    }

    fn attempt(&self) -> impl Future<Output = Result<Opened, OpenError>> + Send + use<> {
        let limit = self.limits.connect;
        let opened = open(
            self.connector.clone(),
            self.server.clone(),
            self.limits.pings,
        );
        async move {
            match tokio::time::timeout(limit, opened).await {
                Ok(result) => result.map_err(|error| OpenError::Failed(error.into())),
                Err(_elapsed) => Err(OpenError::Late(limit)),
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The first connection with a place to spare, so that the last ones empty. Of those without a
    /// request one is kept.
    fn find(&mut self) -> Option<Stream> {
        let mut idle = 0;
        self.connections.retain(|connection| {
            let is_idle = connection.taken.load(Ordering::Relaxed) == 0;
            idle += u32::from(is_idle);
            !connection.is_closing() && (!is_idle || idle <= 1)
        });
        self.connections.iter().find_map(Stream::of)
    }
}

impl Connection {
    fn is_closing(&self) -> bool {
        self.retired.load(Ordering::Relaxed) || self.sender.is_closed()
    }
}

impl Stream {
    /// Callers hold the lock, so that no two take the last place.
    fn of(connection: &Arc<Connection>) -> Option<Self> {
        let allowed = connection.allowed.load(Ordering::Relaxed);
        if connection.taken.load(Ordering::Relaxed) >= allowed.min(MOST_STREAMS) {
            return None;
        }
        connection.taken.fetch_add(1, Ordering::Relaxed);
        Some(Self(Arc::clone(connection)))
    }

    pub(super) fn sender(&self) -> SendRequest<Body> {
        self.0.sender.clone()
    }

    /// Nobody else gets a place on this connection.
    pub(super) fn retire(&self) {
        self.0.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn open(connector: Connector, server: Uri, pings: Option<Pings>) -> Result<Opened, BoxError> {
    let socket = connector.oneshot(server).await?;
    if !socket.connected().is_negotiated_h2() {
        return Ok(Opened::Http1);
    }
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // None before the server says how many; else those beyond its limit would wait in h2.
        .initial_max_send_streams(0);
    if let Some(pings) = pings {
        http2
            .keep_alive_interval(pings.after)
            .keep_alive_timeout(pings.timeout)
            .keep_alive_while_idle(true);
    }
    let (sender, mut driver) = http2.handshake(socket).await?;
    // hyper reads the server's settings in a task of its own, which wakes nobody here.
    let mut look = interval(SETTINGS_LOOK);
    poll_fn(|context| {
        match Pin::new(&mut driver).poll(context) {
            Poll::Ready(Ok(())) => return Poll::Ready(Err("closed before its first use".into())),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(BoxError::from(error))),
            Poll::Pending => {}
        }
        while driver.current_max_send_streams() == 0 {
            ready!(look.poll_tick(context));
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    let connection = Arc::new(Connection {
        sender,
        taken: AtomicUsize::new(0),
        allowed: AtomicUsize::new(driver.current_max_send_streams()),
        retired: AtomicBool::new(false),
    });
    let driven = Arc::downgrade(&connection);
    tokio::spawn(async move {
        let ended = poll_fn(|context| {
            let ended = Pin::new(&mut driver).poll(context);
            if let Some(connection) = driven.upgrade() {
                let allowed = driver.current_max_send_streams();
                connection.allowed.store(allowed, Ordering::Relaxed);
            }
            ended
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "connection to the API server ended");
        }
    });
    Ok(Opened::Http2(connection))
}
