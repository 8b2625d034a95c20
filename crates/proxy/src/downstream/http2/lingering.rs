use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A socket that is closed only when the other side has closed, or a while after it was told that there
/// is nothing more to come.
///
/// The last response may still be in the kernel's buffer when HTTP/2 is done with a connection, and the
/// client goes on to say how much of it has arrived. A closed socket would answer that with a reset,
/// which destroys the rest.
#[derive(Debug)]
pub(super) struct Lingering<S> {
    stream: S,
    limits: Limits,
    /// Since everything was written.
    waited: Option<Pin<Box<Sleep>>>,
}

/// How long an end may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// What is read and thrown away.
    pub(super) bytes: usize,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            limits,
            waited: None,
        }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    /// Reads until the other side closes.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 2048];
        while self.limits.bytes > 0 {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                break;
            }
            self.limits.bytes = self.limits.bytes.saturating_sub(count);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waited.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let time = self.limits.time;
            self.waited = Some(Box::pin(sleep(time)));
        }
        if self.poll_drain(context).is_pending()
            && let Some(waited) = &mut self.waited
        {
            ready!(waited.as_mut().poll(context));
        }
        Poll::Ready(Ok(()))
    }
}
