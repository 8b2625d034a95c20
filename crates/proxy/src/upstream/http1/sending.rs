//! The request on its way out: head, then body.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;
use tokio::task::AbortHandle;

use super::error::Error;
use super::request::{self, Framing};
use crate::body::{BodyError, RequestBody};
use crate::stream::Stream;
use crate::upstream::read_first::is_closed;

/// Memory that a connection keeps for its next head, in bytes.
const KEPT: usize = 2048;

/// What is to be written of a request.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// The head, then what goes before chunks; from `at` on it is still to be written, then `data`, then
    /// `tail`.
    text: Vec<u8>,
    at: usize,
    data: Bytes,
    /// What goes behind a chunk.
    tail: &'static [u8],
    body: Option<RequestBody>,
    framing: Framing,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing has left, and there is no body of which something could have been taken.
    #[default]
    Untouched,
    Writing,
    /// All of it has left.
    Complete,
    /// The endpoint takes no more. What it has to say about that may be there to be read.
    Refused,
}

impl Sending {
    /// Takes the request's body, and leaves the rest.
    pub(super) fn begin(&mut self, request: &mut Request<RequestBody>) {
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.at = 0;
        self.data = Bytes::new();
        self.tail = b"";
        self.framing = request::write(request, &mut self.text);
        self.body = request.body_mut().take();
        self.state = match self.body {
            Some(_) => State::Writing,
            None => State::Untouched,
        };
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.state == State::Untouched
    }

    /// Nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Complete | State::Refused)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Writes until there is nothing left, or somebody has to be waited for.
    pub(super) fn poll(
        &mut self,
        socket: &RefCell<Stream>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            // Before the head is written: it may leave together with the beginning of its body.
            if self.data.is_empty() && self.tail.is_empty() && self.body.is_some() {
                match self.poll_body(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Body(error))),
                    Poll::Pending if self.is_written() => {
                        // Failures will be found by whoever writes or reads next.
                        let _ = Pin::new(&mut *socket.borrow_mut()).poll_flush(context);
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
            if !self.is_written() {
                match ready!(self.poll_write(&mut socket.borrow_mut(), context)) {
                    Ok(()) => {
                        self.state = State::Writing;
                        continue;
                    }
                    Err(error) => return Poll::Ready(self.refused(error)),
                }
            }
            if self.body.is_none() {
                return match ready!(Pin::new(&mut *socket.borrow_mut()).poll_flush(context)) {
                    Ok(()) => {
                        self.state = State::Complete;
                        Poll::Ready(Ok(()))
                    }
                    Err(error) => Poll::Ready(self.refused(error)),
                };
            }
        }
    }

    fn is_written(&self) -> bool {
        self.text.is_empty() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Endpoints answer and close before they have read the whole request (413, 401). What they said is
    /// found by reading, and so is the failure if they said nothing.
    fn refused(&mut self, error: io::Error) -> Result<(), Error> {
        if self.state == State::Untouched || !is_closed(&error) {
            return Err(Error::Broken(error));
        }
        self.state = State::Refused;
        self.body = None;
        Ok(())
    }

    fn poll_write(
        &mut self,
        socket: &mut Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let text = &self.text[self.at..];
        let socket = Pin::new(socket);
        let written = match self.data.is_empty() && self.tail.is_empty() {
            true => socket.poll_write(context, text),
            false => {
                let parts = [text, &self.data, self.tail].map(IoSlice::new);
                socket.poll_write_vectored(context, &parts)
            }
        };
        let mut written = ready!(written)?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_text = written.min(text.len());
        written -= of_text;
        self.at += of_text;
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
        let of_data = written.min(self.data.len());
        self.data.advance(of_data);
        self.tail = &self.tail[written - of_data..];
        Poll::Ready(Ok(()))
    }

    /// Takes the next part of the body; none is left afterwards if it has ended.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        let is_last = body.is_end_stream();
        match frame {
            Some(frame) => self.add(frame?, is_last)?,
            None => self.end(None)?,
        }
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, frame: Frame<Bytes>, is_last: bool) -> Result<(), BodyError> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                return match frame.into_trailers() {
                    Ok(trailers) => self.end(Some(&trailers)),
                    Err(_) => Ok(()),
                };
            }
        };
        match &mut self.framing {
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or(BodyError::OtherLength)?;
            }
            // A chunk without data would be the last one.
            Framing::Chunked { .. } if data.is_empty() => {}
            Framing::Chunked { .. } => {
                write!(self.text, "{:x}\r\n", data.len()).expect("memory takes everything");
                self.tail = b"\r\n";
            }
            Framing::Empty => return Err(BodyError::OtherLength),
        }
        self.data = data;
        match is_last {
            false => Ok(()),
            true if self.tail.is_empty() => self.end(None),
            true => {
                self.tail = b"\r\n0\r\n\r\n";
                self.body = None;
                Ok(())
            }
        }
    }

    /// The body is complete, or claims to be. Not to be called with data of a chunk still there.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), BodyError> {
        match &self.framing {
            Framing::Length(0) | Framing::Empty => {}
            Framing::Length(_) => return Err(BodyError::OtherLength),
            Framing::Chunked { trailers: allowed } => {
                self.text.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if allowed.contains(name) {
                        request::field(name, value, &mut self.text);
                    }
                }
                self.text.extend_from_slice(b"\r\n");
            }
        }
        self.body = None;
        Ok(())
    }

    /// Goes on in a task of its own.
    pub(super) fn go_on(mut self, socket: Rc<RefCell<Stream>>) -> Upload {
        let progress = Rc::new(Cell::new(Progress::UnderWay));
        let tell = progress.clone();
        let task = tokio::task::spawn_local(async move {
            let result = poll_fn(|context| self.poll(&socket, context)).await;
            tell.set(match result {
                Ok(()) if self.is_complete() => Progress::Complete,
                Ok(()) => Progress::Refused,
                Err(error) => {
                    tracing::debug!(%error, "a request broke off behind its response");
                    // The endpoint must not wait for the rest, nor we for what it says of it.
                    socket.borrow().cut();
                    Progress::Broken
                }
            });
        });
        Upload {
            progress,
            task: task.abort_handle(),
        }
    }
}

/// The rest of a request whose response has begun; ends with this.
#[derive(Debug)]
pub(super) struct Upload {
    progress: Rc<Cell<Progress>>,
    task: AbortHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    UnderWay,
    Complete,
    /// The endpoint does not want it.
    Refused,
    /// It did not come to its end.
    Broken,
}

impl Upload {
    pub(super) fn is_complete(&self) -> bool {
        self.progress.get() == Progress::Complete
    }

    pub(super) fn is_broken(&self) -> bool {
        self.progress.get() == Progress::Broken
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.task.abort();
    }
}
