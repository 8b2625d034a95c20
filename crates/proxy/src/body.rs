//! Bodies on their way through: nothing is buffered, both directions leave marks for the limits.

use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::downstream::watch::{Stall, Upload};
use crate::downstream::wire::Wire;
use crate::record::Record;
use crate::upstream::connection::UpstreamBody;

/// Why a response ended early whose client did not keep up with it.
const CLIENT_TOO_SLOW: &str = "client_too_slow";

/// A body broke off; hyper closes the connection that was to carry it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the client broke off")]
    Client(#[source] hyper::Error),
    #[error("the endpoint broke off")]
    Upstream(#[source] Box<dyn Error + Send + Sync>),
    #[error("it is not as long as its head says")]
    OtherLength,
    #[error("it is larger than the route allows")]
    TooLarge,
    #[error("{0:?}: nothing moved within the limit")]
    Stalled(Stall),
}

/// A request body on its way from the client to the upstream.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// None for a request that has no body.
    incoming: Option<Incoming>,
    wire: Rc<Wire>,
    /// Bytes that may still come.
    left: u64,
    complete: bool,
}

impl RequestBody {
    /// At most `limit` bytes get through.
    pub(crate) fn new(incoming: Incoming, wire: Rc<Wire>, limit: u64) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        Self {
            complete: incoming.is_none(),
            incoming,
            wire,
            left: limit,
        }
    }

    /// The body of a request that has none.
    pub(crate) fn none(wire: Rc<Wire>) -> Self {
        Self {
            incoming: None,
            wire,
            left: 0,
            complete: true,
        }
    }

    /// Whether there never was one.
    pub(crate) fn is_empty(&self) -> bool {
        self.incoming.is_none()
    }

    /// Leaves a request without body. None where there was none.
    pub(crate) fn take(&mut self) -> Option<Self> {
        let none = Self::none(self.wire.clone());
        (!self.is_empty()).then(|| std::mem::replace(self, none))
    }

    fn finish(&mut self) {
        if !self.complete {
            self.complete = true;
            self.wire
                .watch
                .upload(Upload::Complete(self.wire.watch.now()));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let watch = &this.wire.watch;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut *incoming).poll_frame(context) {
            Poll::Pending => {
                if !matches!(watch.upload_state(), Upload::Client(_)) {
                    watch.upload(Upload::Client(watch.now()));
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match this.left.checked_sub(bytes as u64) {
                    Some(left) => this.left = left,
                    None => {
                        watch.upload(Upload::Abandoned(watch.now()));
                        this.wire.exceed();
                        return Poll::Ready(Some(Err(BodyError::TooLarge)));
                    }
                }
                watch.brought(bytes);
                watch.upload(Upload::Upstream(watch.now()));
                // hyper does not say so of trailers.
                if frame.is_trailers() || incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                watch.upload(Upload::Abandoned(watch.now()));
                Poll::Ready(Some(Err(BodyError::Client(error))))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            Some(incoming) => incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.complete {
            let watch = &self.wire.watch;
            watch.upload(Upload::Abandoned(watch.now()));
        }
    }
}

/// A response body on its way to the client, with everything that ends when it does.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    wire: Rc<Wire>,
    record: Option<Box<Record>>,
}

#[derive(Debug)]
enum Content {
    /// Our own text.
    Own(Option<Bytes>),
    Upstream(UpstreamBody),
}

impl ResponseBody {
    pub(crate) fn own(text: Bytes, wire: Rc<Wire>, record: Box<Record>) -> Self {
        let text = (!text.is_empty()).then_some(text);
        Self::new(Content::Own(text), wire, record)
    }

    pub(crate) fn upstream(body: UpstreamBody, wire: Rc<Wire>, record: Box<Record>) -> Self {
        Self::new(Content::Upstream(body), wire, record)
    }

    /// Of a response that ends HTTP on the connection.
    pub(crate) fn none(wire: Rc<Wire>) -> Self {
        Self {
            content: Content::Own(None),
            wire,
            record: None,
        }
    }

    fn new(content: Content, wire: Rc<Wire>, record: Box<Record>) -> Self {
        let mut body = Self {
            content,
            wire,
            record: Some(record),
        };
        if body.is_end_stream() {
            body.finish();
        } else {
            body.wire.watch.awaiting_client(0);
        }
        body
    }

    /// The last byte is on its way: the upstream connection is free, the request is history.
    fn finish(&mut self) {
        if let Content::Upstream(body) = &mut self.content {
            body.release();
        }
        if let Some(mut record) = self.record.take() {
            record.complete();
            self.wire.watch.answered();
        }
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(record) = &mut self.record {
            record.bytes += bytes as u64;
        }
    }

    /// It breaks off, and the client had no part in that.
    fn broken(&mut self, reason: &'static str) {
        if let Some(mut record) = self.record.take() {
            record.broken(reason);
            self.wire.watch.answered();
        }
    }

    /// It breaks off because of the client, who gives it up by that.
    fn given_up(&mut self, reason: &'static str) {
        if let Some(record) = &mut self.record {
            record.broken(reason);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            Content::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Upstream(body) => Pin::new(body).poll_frame(context),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.sent(length);
                this.wire.watch.awaiting_client(length);
                if this.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.broken("upstream_closed");
                Poll::Ready(Some(Err(BodyError::Upstream(error.into_source()))))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending => match this.wire.watch.take_stall() {
                Some(stall) => {
                    match stall {
                        Stall::ClientWrite => this.given_up(CLIENT_TOO_SLOW),
                        Stall::RequestBody => this.given_up("body_timeout"),
                        Stall::UpstreamWrite => this.broken("write_timeout"),
                        Stall::UpstreamRead | Stall::Connect | Stall::Head | Stall::Idle => {
                            this.broken("read_timeout");
                        }
                    }
                    Poll::Ready(Some(Err(BodyError::Stalled(stall))))
                }
                None => {
                    this.wire.watch.awaiting_upstream();
                    Poll::Pending
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(text) => text.is_none(),
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // Not read to its end: the client went away, or never wanted it (HEAD of a local answer).
        if let Some(mut record) = self.record.take() {
            if self.wire.watch.is_cut() {
                record.broken(CLIENT_TOO_SLOW);
            }
            self.wire.watch.give_up();
        }
    }
}
