//! HTTP/1.1 to an endpoint, without a task: whoever waits for the answer drives the connection.
//!
//! ```text
//! Request ---> request::write ---> Sending ---> socket ---> response::parse ---> Decoder ---> Frames
//!                                  head, body                head                 body
//! ```
//!
//! hyper's client would do the same with a task for each connection and channels to it, which cost a fifth of a
//! request's instructions (`docs/decisions/0024-http1-to-endpoints.md`). Heads and chunk sizes are parsed by
//! httparse, as there.

mod decoder;
mod error;
mod request;
mod response;
mod sending;
#[cfg(feature = "fuzzing")]
pub(crate) mod whole;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use self::decoder::{Decoded, Decoder};
pub(crate) use self::error::{Error, Invalid};
use self::sending::{Sending, Upload};
use crate::body::RequestBody;
use crate::stream::Stream;

/// The first read of a response, in bytes: nearly every head, and most bodies.
const FIRST_READ: usize = 8 * 1024;

/// The largest read, for bodies that fill smaller ones. More wins two percent of CPU a MiB at most
/// (`docs/decisions/0023-streams-latency-and-large-bodies.md`) and is held for each client that reads slowly.
const LARGEST_READ: usize = 64 * 1024;

/// Interim responses before the final one. Servers send one or two, or one every few seconds while they work.
const MOST_INTERIM: u8 = 100;

/// A connection to an endpoint, for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Shared with the task of an upload that goes on while the response is read.
    socket: Rc<RefCell<Stream>>,
    sending: Sending,
    upload: Option<Upload>,
    received: BytesMut,
    /// So much of it was searched for the end of the head in vain.
    looked_at: usize,
    next_read: usize,
    /// Larger reads than the first have left a larger buffer.
    has_grown: bool,
    largest_head: usize,
    decoder: Decoder,
    /// Of this request's answer, at least one byte has arrived.
    answered: bool,
    /// Both sides are willing to use the connection again.
    keep_alive: bool,
    /// For how long the endpoint is, where it says so.
    patience: Option<Duration>,
    /// How the response broke off, to be told in a moment.
    broken: Option<Error>,
}

impl Connection {
    /// A new connection; response heads may have as many bytes.
    pub(crate) fn new(stream: Stream, largest_head: usize) -> Self {
        Self {
            socket: Rc::new(RefCell::new(stream)),
            sending: Sending::default(),
            upload: None,
            received: BytesMut::new(),
            looked_at: 0,
            next_read: FIRST_READ,
            has_grown: false,
            largest_head,
            decoder: Decoder::Empty,
            answered: false,
            keep_alive: true,
            patience: None,
            broken: None,
        }
    }

    /// Sends a request and waits for the head of the final response. A request without body can be sent
    /// again: before a response arrives, and afterwards if it is to be `kept`.
    pub(crate) async fn exchange(
        &mut self,
        request: &mut Request<RequestBody>,
        kept: bool,
    ) -> Result<Response<()>, Error> {
        self.answered = false;
        self.keep_alive = true;
        self.sending.begin(request);
        let mut interim = 0;
        let response = loop {
            let head = poll_fn(|context| self.poll_head(request, kept, context)).await?;
            self.decoder = head.decoder;
            self.keep_alive = head.keep_alive;
            self.patience = head.patience;
            let response = head.response;
            if !response.status().is_informational()
                || response.status() == StatusCode::SWITCHING_PROTOCOLS
            {
                break response;
            }
            interim += 1;
            if interim > MOST_INTERIM {
                return Err(Invalid::Interim.into());
            }
        };
        if !self.sending.is_over() {
            // The response may want to be read before the request is complete, and the client may read it
            // only after that.
            self.upload = Some(std::mem::take(&mut self.sending).go_on(self.socket.clone()));
        }
        Ok(response)
    }

    /// Whether nothing of the current request has left, and its body was not touched.
    pub(crate) fn is_untouched(&self) -> bool {
        self.sending.is_untouched()
    }

    /// Whether part of an answer has arrived.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered
    }

    fn poll_head(
        &mut self,
        request: &mut Request<RequestBody>,
        kept: bool,
        context: &mut Context<'_>,
    ) -> Poll<Result<response::Head, Error>> {
        if !self.sending.is_over()
            && let Poll::Ready(Err(error)) = self.sending.poll(&self.socket, context)
        {
            return Poll::Ready(Err(error));
        }
        let is_head = *request.method() == Method::HEAD;
        loop {
            let mut fresh = HeaderMap::new();
            // Responses get the memory of requests that are history.
            let headers = match kept {
                true => &mut fresh,
                false => request.headers_mut(),
            };
            let received = self.received.len();
            if let Some(head) =
                response::parse(&mut self.received, self.looked_at, is_head, headers)?
            {
                self.looked_at = 0;
                return Poll::Ready(match received - self.received.len() <= self.largest_head {
                    true => Ok(head),
                    false => Err(Invalid::HeadTooLarge.into()),
                });
            }
            self.looked_at = received;
            if received >= self.largest_head {
                return Poll::Ready(Err(Invalid::HeadTooLarge.into()));
            }
            if ready!(self.poll_read(context))? == 0 {
                return Poll::Ready(Err(Error::Closed));
            }
            self.answered = true;
        }
    }

    /// The next part of the response's body.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = self.poll_next(context);
        if let Poll::Ready(Some(Err(error))) = frame {
            // What arrived before may have been handed over just now, and would be lost with the client's
            // connection. It is written while we wait.
            self.broken = Some(error);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        frame
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match self.decoder.decode(&mut self.received)? {
                Decoded::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Decoded::Trailers(fields) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                }
                Decoded::End => return Poll::Ready(None),
                Decoded::Incomplete => {}
            }
            if ready!(self.poll_read(context))? == 0 {
                self.keep_alive = false;
                if self.upload.as_ref().is_some_and(Upload::is_broken) {
                    return Poll::Ready(Some(Err(Error::Closed)));
                }
                return Poll::Ready(match self.decoder.close() {
                    true => None,
                    false => Some(Err(Error::Closed)),
                });
            }
        }
    }

    /// Whether the response is complete.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.decoder.is_over()
    }

    /// What is left of the response's body.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.decoder.left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        self.received.reserve(self.next_read);
        let room = self.received.capacity() - self.received.len();
        let mut socket = self.socket.borrow_mut();
        let read = pin!(socket.read_buf(&mut self.received)).poll(context);
        let length = ready!(read).map_err(Error::Broken)?;
        if length == room {
            self.next_read = (2 * self.next_read).min(LARGEST_READ);
            self.has_grown = true;
        } else if length < self.next_read / 8 {
            self.next_read = (self.next_read / 2).max(FIRST_READ);
        }
        Poll::Ready(Ok(length))
    }

    /// The exchange is complete, as far as the response goes. Whether the connection can have another one.
    pub(crate) fn is_reusable(&mut self) -> bool {
        let is_sent = match self.upload.take() {
            Some(upload) => upload.is_complete(),
            None => self.sending.is_complete(),
        };
        is_sent
            && self.keep_alive
            && self.decoder.is_over()
            // Nobody asked for more.
            && self.received.is_empty()
    }

    /// For how long the endpoint waits for another one, where it says so.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// It had nothing to do for a while: gives back what large bodies needed.
    pub(crate) fn rest(&mut self) {
        if self.has_grown {
            self.has_grown = false;
            self.next_read = FIRST_READ;
            self.received = BytesMut::new();
        }
    }

    /// Whether a connection without a request is still open. Costs a system call only if something has
    /// happened on the socket.
    pub(crate) fn is_alive(&self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let mut socket = self.socket.borrow_mut();
        Pin::new(&mut *socket)
            .poll_read(&mut context, &mut ReadBuf::new(&mut byte))
            .is_pending()
    }

    /// The last words of a connection without a request.
    pub(crate) fn say_goodbye(&self) {
        self.socket.borrow_mut().try_close();
    }

    /// The socket of a connection that has left HTTP, and what was read of it behind the response. None
    /// while an upload goes on, which such a request does not have.
    pub(crate) fn into_parts(self) -> Option<(Stream, Bytes)> {
        let socket = Rc::into_inner(self.socket)?;
        Some((socket.into_inner(), self.received.freeze()))
    }
}
