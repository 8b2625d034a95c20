//! The life of an HTTP/2 connection: many requests at once, each with its own limits.
//!
//! hyper runs each stream as a task. The task is supervised here by the stream's [`Watch`], as an
//! HTTP/1.1 connection is by its own: to drop the task is to reset the stream.

mod canonical;
mod lingering;
mod session;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::lingering::SILENCE;
use super::watch::Stall;
use crate::config::Config;
use crate::exchange;
use crate::forwarding::Sender;
use crate::observed::Observed;
use crate::stream::Stream;
use crate::tls;
use crate::worker::Worker;
use lingering::Lingering;
use session::{Session, Streams};

/// What a client may send of one body before we take it, in bytes: 10 MiB/s at a round trip of 25 ms.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all bodies of a connection together: the most that uploads of one client can occupy.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What h2 keeps of one response for a client that does not read, in bytes, besides the piece that
/// does not fit any more (up to 64 KiB, a read from the upstream).
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that were reset before anybody looked at them, and resets that the client provoked from us.
/// More are an attack (CVE-2023-44487, CVE-2025-8671); h2 answers with GOAWAY. The defaults of h2.
const PENDING_RESETS: usize = 20;
const PROVOKED_RESETS: usize = 1024;

/// What is read and thrown away at the end of a connection, in bytes: the window lets a client send no more.
const LINGER_BYTES: usize = 1024 * 1024;

/// Serves a connection to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    sender: Rc<Sender>,
    tls: Option<Rc<tls::Session>>,
) {
    let session = Rc::new(Session::new(worker, sender, tls));
    let streams = Streams(session.clone());
    let service = service_fn({
        let session = session.clone();
        move |mut request| {
            canonical::rewrite(&mut request);
            let client = session.open_stream();
            // Boxed before hyper moves it into its stream, and that into a task: copies of it cost more than the box
            // (docs/decisions/0023-streams-latency-and-large-bodies.md).
            Box::pin(exchange::serve(client, request))
        }
    });
    let stream = Lingering::new(
        stream,
        lingering::Limits {
            time: SILENCE,
            bytes: LINGER_BYTES,
        },
    );
    let socket = TokioIo::new(Observed::new(stream, session.clone()));
    let http = builder(&session.worker.config, streams).serve_connection(socket, service);
    let mut http = pin!(http);
    let mut leaving = false;
    let ended = poll_fn(|context| drive(http.as_mut(), &session, &mut leaving, context)).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "client connection ended");
    }
}

fn builder(config: &Config, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.limits.streams_per_connection)
        .max_header_list_size(u32::try_from(config.limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(PROVOKED_RESETS)
        .keep_alive_interval(config.timeouts.ping)
        .keep_alive_timeout(config.timeouts.ping_answer);
    builder
}

/// What [`drive`] needs of hyper's connection.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Says GOAWAY: what is under way is finished, nothing new is accepted.
    fn leave(self: Pin<&mut Self>);
}

impl<I, S, B> Connection for http2::Connection<I, S, Streams>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Streams: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

fn drive<C: Connection>(
    mut http: Pin<&mut C>,
    session: &Session,
    leaving: &mut bool,
    context: &mut Context<'_>,
) -> Poll<hyper::Result<()>> {
    loop {
        if !*leaving && session.is_to_leave() {
            *leaving = true;
            http.as_mut().leave();
        }
        let polled = session
            .watch
            .supervise(context, |context| http.as_mut().poll(context));
        match polled {
            Poll::Ready(Ok(result)) => return Poll::Ready(result),
            // Streams that were under way are gone; the client may not have noticed yet.
            Poll::Ready(Err(Stall::Idle)) if !*leaving && session.has_served() => {
                *leaving = true;
                http.as_mut().leave();
                session.watch.occupied(false);
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
            Poll::Pending if session.is_abusive() => return Poll::Ready(Ok(())),
            Poll::Pending if !*leaving && session.is_to_leave() => {}
            Poll::Pending => return Poll::Pending,
        }
    }
}
