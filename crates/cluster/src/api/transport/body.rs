use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};
use tokio::time::{Instant, Sleep, sleep};
use tower::BoxError;

use super::Silent;
use super::streams::Stream;

/// The body of an answer. Its stream counts as taken until it is dropped.
///
/// It fails after a silence: that pings are answered proves a connection alive, but not each of its
/// streams, and pings may be off. Nothing else is then asked on that connection.
pub(crate) struct Guarded {
    body: Incoming,
    limit: Duration,
    silence: Pin<Box<Sleep>>,
    stream: Option<Stream>,
}

impl Guarded {
    pub(super) fn new(body: Incoming, limit: Duration, stream: Option<Stream>) -> Self {
        Self {
            body,
            limit,
            silence: Box::pin(sleep(limit)),
            stream,
        }
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            // Not the reader's pauses: what waits here for us is no silence of the server.
            this.silence.as_mut().reset(Instant::now() + this.limit);
            return Poll::Ready(frame.map(|result| result.map_err(Into::into)));
        }
        ready!(this.silence.as_mut().poll(context));
        if let Some(stream) = &this.stream {
            stream.retire();
        }
        Poll::Ready(Some(Err(Silent(this.limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
