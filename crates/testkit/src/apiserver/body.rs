use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};

/// Whatever ends a connection.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

pub(super) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(super) fn streamed(
    chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
) -> ResponseBody {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// The first half, and then the end of the connection.
pub(super) fn cut(bytes: &Bytes) -> ResponseBody {
    let half = bytes.slice(..bytes.len() / 2);
    let end = stream::once(async {
        // Until then the half is on its way.
        tokio::task::yield_now().await;
        Err(broken())
    });
    streamed(stream::iter([Ok(half)]).chain(end))
}

/// The same in small pieces, each after a pause.
pub(super) fn slowed(body: ResponseBody, chunk: usize, pause: Duration) -> ResponseBody {
    let chunk = chunk.max(1);
    let rest = (BodyStream::new(body), Bytes::new());
    streamed(stream::unfold(
        rest,
        move |(mut body, mut rest)| async move {
            while !rest.has_remaining() {
                match body.next().await? {
                    Ok(frame) => rest = frame.into_data().unwrap_or_default(),
                    Err(error) => return Some((Err(error), (body, rest))),
                }
            }
            tokio::time::sleep(pause).await;
            let piece = rest.split_to(chunk.min(rest.len()));
            Some((Ok(piece), (body, rest)))
        },
    ))
}

pub(super) fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut by the test").into()
}
