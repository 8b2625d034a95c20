//! A socket that somebody watches while HTTP uses it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who is told what passes through a socket.
pub(crate) trait Observer {
    /// Bytes arrived.
    fn read(&self, bytes: &[u8]);

    /// The other side will send nothing more.
    fn finished(&self) {}

    /// These bytes were offered; returns what the writer is told.
    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
}

/// A socket and its observer.
#[derive(Debug)]
pub(crate) struct Observed<S, O> {
    stream: S,
    observer: O,
    /// Was read before, and the observer knows of it.
    early: Bytes,
}

impl<S, O> Observed<S, O> {
    pub(crate) fn new(stream: S, observer: O) -> Self {
        Self::with_early(stream, observer, Bytes::new())
    }

    /// Begins with what was read before.
    pub(crate) fn with_early(stream: S, observer: O, early: Bytes) -> Self {
        Self {
            stream,
            observer,
            early,
        }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin, O: Observer + Unpin> AsyncRead for Observed<S, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = result {
            match &buffer.filled()[before..] {
                [] if buffer.remaining() > 0 => self.observer.finished(),
                [] => {}
                bytes => self.observer.read(bytes),
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin, O: Observer + Unpin> AsyncWrite for Observed<S, O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.observer.wrote(result, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.observer.wrote(result, bytes)
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
