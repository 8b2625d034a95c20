//! A connection between requests keeps its socket, its place among the deadlines, and no buffers: hyper's
//! are 16 KiB, and most connections of a busy proxy have nothing to say most of the time.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::connection::Client;
use super::watch::Stall;
use crate::stream::Stream;

/// After so much silence. Shorter, and clients that ask again and again would pay for new buffers each time.
pub(super) const AFTER: Duration = Duration::from_millis(250);

/// Waits until there is something to read, or to say.
pub(super) async fn wait(client: &Client, stream: &mut Stream) -> Result<(), Stall> {
    let watch = &client.wire.watch;
    poll_fn(|context| {
        if let Some(at) = client.leaves_at() {
            if watch.now() >= at {
                return Poll::Ready(Ok(()));
            }
            watch.look_at(at);
        }
        watch.supervise(context, |context| stream.poll_readable(context))
    })
    .await
}
