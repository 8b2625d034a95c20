//! The end of a connection of HTTP/1 whose client may still be sending.
//!
//! Closing it at once would reset it, and the reset could destroy our last response on its way, or reach a
//! client that writes before it reads. So what comes is thrown away for a while, as nginx does.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::Client;
use crate::clock::Tick;
use crate::stream::Stream;

/// How long the client may be silent. nginx's `lingering_timeout`.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// How long it may take, however much the client sends. nginx's `lingering_time`.
const ALL: Duration = Duration::from_secs(30);

/// How much is thrown away at a time, in bytes: a client may have gigabytes to send.
const READ: usize = 16 * 1024;

/// Closes our side and waits for the client to close its own, if it has not.
pub(super) async fn linger(client: &Client, mut stream: Stream) {
    if !client.is_sending() {
        return;
    }
    client.wire.watch.retire();
    let worker = &client.worker;
    let began = worker.clock.now();
    let heard = Cell::new(began);
    let mut drain = pin!(async {
        stream.shutdown().await?;
        let mut rest = vec![0; READ];
        while stream.read(&mut rest).await? > 0 {
            heard.set(worker.clock.now());
        }
        io::Result::Ok(())
    });
    // Another connection may need the place more.
    let deadline = worker.deadlines.open();
    deadline.idle(true);
    poll_fn(|context| {
        // Whether the client closed or not, there is nothing more to be done for it.
        if drain.as_mut().poll(context).is_ready() || deadline.is_shed() {
            return Poll::Ready(());
        }
        let end = end(began, heard.get(), worker.draining());
        if worker.clock.now() >= end {
            return Poll::Ready(());
        }
        deadline.register(context);
        deadline.arm(end);
        Poll::Pending
    })
    .await;
}

/// When an end that began then is over, whose client was last heard of then.
fn end(began: Tick, heard: Tick, drained: Option<Tick>) -> Tick {
    let all = match drained {
        // The drain waits for it.
        Some(drained) => began.max(drained).after(SILENCE),
        None => Tick::NEVER,
    };
    heard.after(SILENCE).min(began.after(ALL)).min(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn an_end_takes_as_long_as_the_client_sends_but_not_for_ever() {
        assert_eq!(end(at(10), at(10), None), at(15));
        assert_eq!(end(at(10), at(20), None), at(25));
        assert_eq!(end(at(10), at(39), None), at(40));
    }

    #[test]
    fn a_drain_does_not_wait_as_long() {
        assert_eq!(end(at(10), at(20), Some(at(19))), at(24));
        assert_eq!(end(at(10), at(20), Some(at(38))), at(25));
        assert_eq!(end(at(10), at(12), Some(at(1))), at(15));
    }
}
