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
use tokio::net::TcpStream;

use crate::clock::{Clock, Tick};
use crate::deadline::Deadline;
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
    pub(crate) async fn run(mut self, client: TcpStream, clock: Rc<Clock>, deadline: Deadline) {
        let Ok(Some((upstream, early))) = self.upstream.await else {
            self.record.broken("upstream_closed");
            return;
        };
        self.record.bytes += early.len() as u64;
        let active = Rc::new(Cell::new(clock.now()));
        let mut client = Active::new(client, &active, &clock);
        let mut upstream = Active::new(upstream, &active, &clock);
        let copy = async {
            send_early(&mut client, early).await?;
            copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await
        };
        let mut copy = pin!(copy);
        let copied = poll_fn(|context| {
            if let Poll::Ready(result) = copy.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            deadline.register(context);
            let due = active.get().after(self.idle);
            if clock.now() >= due {
                return Poll::Ready(None);
            }
            deadline.arm(due);
            Poll::Pending
        })
        .await;
        match copied {
            Some(Ok((_, to_client))) => {
                self.record.bytes += to_client;
                self.record.complete();
            }
            Some(Err(_)) => self.record.complete(),
            None => self.record.broken("idle_tunnel"),
        }
    }
}

/// What the upstream sent right behind its 101.
async fn send_early(client: &mut (impl AsyncWrite + Unpin), early: Bytes) -> io::Result<()> {
    if early.is_empty() {
        return Ok(());
    }
    client.write_all(&early).await
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
