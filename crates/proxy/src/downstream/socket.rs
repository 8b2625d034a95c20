use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head_scan::{HeadScan, HeadSeen};
use super::stream::Stream;
use super::watch::Watch;

/// What the socket of a connection and its request handler share.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) watch: Watch,
    scan: RefCell<HeadScan>,
    /// Bytes read now belong to a request head.
    in_head: Cell<bool>,
    /// The client will send nothing more.
    finished: Cell<bool>,
}

impl Wire {
    pub(crate) fn new(watch: Watch) -> Self {
        Self {
            watch,
            scan: RefCell::default(),
            in_head: Cell::new(true),
            finished: Cell::new(false),
        }
    }

    /// What was seen of the head that was just parsed. What follows is `body`, or the next head.
    pub(crate) fn head_complete(&self, body: bool) -> HeadSeen {
        self.in_head.set(!body);
        self.scan.borrow_mut().take()
    }

    /// The request body ended where its framing says it does.
    pub(crate) fn body_complete(&self) {
        self.in_head.set(true);
    }

    /// Whether the client has closed its side.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.get()
    }
}

/// The client's socket, leaving marks for the connection's [`Watch`].
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    wire: Rc<Wire>,
}

impl Socket {
    pub(crate) fn new(stream: Stream, wire: Rc<Wire>) -> Self {
        Self { stream, wire }
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.stream
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = result {
            let bytes = &buffer.filled()[before..];
            if bytes.is_empty() {
                self.wire.finished.set(buffer.remaining() > 0);
            } else {
                self.wire.watch.received();
                if self.wire.in_head.get() {
                    self.wire.scan.borrow_mut().feed(bytes);
                }
            }
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wire.watch.wrote(result.is_pending());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wire.watch.wrote(result.is_pending());
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
