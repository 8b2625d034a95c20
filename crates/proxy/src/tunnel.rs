//! A connection that left HTTP: bytes in both directions until both sides are done or silent.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;

use crate::clock::{Clock, Tick};
use crate::deadline::Deadline;
use crate::observed::{Observed, Observer};
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
        let mut client = Observed::new(client, Activity::new(&active, &clock));
        let mut upstream = Observed::new(upstream, Activity::new(&active, &clock));
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
        _offered: impl FnOnce() -> usize,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.last.set(self.clock.now());
        }
        result
    }
}
