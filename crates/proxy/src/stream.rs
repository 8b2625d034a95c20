use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection's bytes in clear text, to either side.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    /// Boxed: it is some 1.5 KiB, and clear-text connections need not have room for it.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Sends what can be sent without waiting, for last words.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) {
        let mut context = Context::from_waker(Waker::noop());
        // Nobody can be told of a failure.
        let _ = Pin::new(&mut *self).poll_write(&mut context, bytes);
        let _ = Pin::new(self).poll_flush(&mut context);
    }
}

impl Stream {
    /// Ends a connection in order, as far as that goes without waiting. Without this the other side cannot tell
    /// the end of TLS from a cut wire.
    pub(crate) fn try_close(&mut self) {
        if let Self::Tls(stream) = self {
            let mut context = Context::from_waker(Waker::noop());
            // It is closed in any case.
            let _ = Pin::new(stream).poll_shutdown(&mut context);
        }
    }

    /// Waits until what was written is on its way, and bytes arrive or the other side closes. To be used
    /// only where everything that had arrived was read.
    pub(crate) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let flushed = Pin::new(&mut *self).poll_flush(context);
        let socket = match self {
            Self::Tcp(stream) => &*stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Errors are there for the next reader.
        let readable = socket.poll_read_ready(context).map(drop);
        match flushed {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => readable,
        }
    }
}

/// Parts that are written as one, in bytes. A head and a small body take 60 to 100 ns less of the kernel so, on the machine of
/// docs/performance.md, than two parts of a vectored write.
const SMALL: usize = 1024;

fn together(parts: &[IoSlice<'_>]) -> Option<SmallVec<[u8; SMALL]>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > SMALL {
        return None;
    }
    let mut all = SmallVec::new();
    for part in parts {
        all.extend_from_slice(part);
    }
    Some(all)
}

impl Stream {
    /// Ends it in both directions at once, for whoever else waits for it.
    pub(crate) fn cut(&self) {
        let socket = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // It may have ended by itself.
        let _ = socket2::SockRef::from(socket).shutdown(std::net::Shutdown::Both);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => match together(bytes) {
                Some(bytes) => Pin::new(stream).poll_write(context, &bytes),
                None => Pin::new(stream).poll_write_vectored(context, bytes),
            },
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
