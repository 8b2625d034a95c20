//! A connection that left HTTP: bytes in both directions until both sides are done or silent.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};

use crate::clock::{Clock, Tick};
use crate::deadline::Deadline;
use crate::downstream::stream::Stream;
use crate::record::Record;
use crate::upstream::connect::Parts;

/// WebSocket messages are small; two such buffers are what a quiet tunnel costs.
const BUFFER: usize = 4 * 1024;

/// What is needed to go on after both sides switched protocols.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) upstream: Parts,
    /// Silence of both sides after which the tunnel is closed.
    pub(crate) idle: Duration,
    pub(crate) record: Box<Record>,
}

impl Tunnel {
    /// Copies until both directions are closed; a half-closed tunnel goes on in the other direction.
    pub(crate) async fn run(mut self, client: Stream, clock: Rc<Clock>, deadline: Deadline) {
        let Ok(Some((upstream, to_client))) = self.upstream.await else {
            self.record.broken("upstream_closed");
            return;
        };
        let early = Early {
            to_client,
            ..Early::default()
        };
        let end = relay(client, upstream, early, self.idle, &clock, &deadline).await;
        end.tell(&mut self.record);
    }
}

/// What was read too early and goes first.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// What the upstream sent right behind its 101.
    pub(crate) to_client: Bytes,
    /// The beginning of a connection that is passed through.
    pub(crate) to_upstream: Bytes,
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides are done; bytes sent to the client.
    Closed(u64),
    /// One side broke off.
    Broken,
    /// Nothing moved for too long.
    Idle,
}

impl End {
    pub(crate) fn tell(self, record: &mut Record) {
        match self {
            Self::Closed(to_client) => {
                record.bytes += to_client;
                record.complete();
            }
            Self::Broken => record.complete(),
            Self::Idle => record.broken("idle_tunnel"),
        }
    }
}

/// Copies until both directions are closed, or nothing moved for as long as `idle`.
pub(crate) async fn relay(
    client: Stream,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
    early: Early,
    idle: Duration,
    clock: &Rc<Clock>,
    deadline: &Deadline,
) -> End {
    let active = Rc::new(Cell::new(clock.now()));
    let mut client = Active::new(client, &active, clock);
    let mut upstream = Active::new(upstream, &active, clock);
    let copy = async {
        send_early(&mut client, &early.to_client).await?;
        send_early(&mut upstream, &early.to_upstream).await?;
        let first = early.to_client.len() as u64;
        drop(early);
        let (_, to_client) =
            copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await?;
        io::Result::Ok(first + to_client)
    };
    let mut copy = pin!(copy);
    poll_fn(|context| {
        if let Poll::Ready(result) = copy.as_mut().poll(context) {
            return Poll::Ready(result.map_or(End::Broken, End::Closed));
        }
        deadline.register(context);
        let due = active.get().after(idle);
        if clock.now() >= due {
            return Poll::Ready(End::Idle);
        }
        deadline.arm(due);
        Poll::Pending
    })
    .await
}

async fn send_early(socket: &mut (impl AsyncWrite + Unpin), early: &[u8]) -> io::Result<()> {
    if early.is_empty() {
        return Ok(());
    }
    socket.write_all(early).await
}

/// A socket that notes when it was last active.
struct Active<S> {
    socket: S,
    last: Rc<Cell<Tick>>,
    clock: Rc<Clock>,
}

impl<S> Active<S> {
    fn new(socket: S, last: &Rc<Cell<Tick>>, clock: &Rc<Clock>) -> Self {
        Self {
            socket,
            last: last.clone(),
            clock: clock.clone(),
        }
    }

    fn note<T>(&self, poll: Poll<T>) -> Poll<T> {
        if poll.is_ready() {
            self.last.set(self.clock.now());
        }
        poll
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Active<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.note(poll)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Active<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
