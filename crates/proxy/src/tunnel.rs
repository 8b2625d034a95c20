//! A connection that left HTTP: bytes in both directions until both sides are done or silent.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes};

use crate::clock::{Clock, Tick};
use crate::deadline::Deadline;
use crate::observed::{Observed, Observer};
use crate::record::Record;
use crate::stream::Stream;
use crate::upstream::connection::UpstreamBody;

/// WebSocket messages are small; two such buffers are what a quiet tunnel costs.
const BUFFER: usize = 4 * 1024;

/// What is needed to go on after both sides switched protocols.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) upstream: UpstreamBody,
    /// Silence of both sides after which the tunnel is closed.
    pub(crate) idle: Duration,
    pub(crate) record: Box<Record>,
}

impl Tunnel {
    /// Copies until both directions are closed; a half-closed tunnel goes on in the other direction.
    pub(crate) async fn run(
        mut self: Box<Self>,
        client: Stream,
        clock: Rc<Clock>,
        deadline: Deadline,
    ) {
        let Some((upstream, to_client)) = self.upstream.into_parts() else {
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
    let mut client = Observed::new(client, Activity::new(&active, clock));
    let mut upstream = Observed::new(upstream, Activity::new(&active, clock));
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

/// Notes when a socket was last active.
struct Activity {
    last: Rc<Cell<Tick>>,
    clock: Rc<Clock>,
}

impl Activity {
    fn new(last: &Rc<Cell<Tick>>, clock: &Rc<Clock>) -> Self {
        Self {
            last: last.clone(),
            clock: clock.clone(),
        }
    }
}

impl Observer for Activity {
    fn read(&self, _bytes: &[u8]) {
        self.last.set(self.clock.now());
    }

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        _offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.last.set(self.clock.now());
        }
        result
    }
}
