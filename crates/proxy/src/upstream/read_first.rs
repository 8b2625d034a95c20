use std::io::{self, ErrorKind, IoSlice};
use std::task::Poll;

use crate::observed::Observer;

/// Leaves failed writes to the read side.
///
/// Endpoints answer and close before they have read the whole request (413, 401). The next write then fails,
/// and HTTP/2's client would give up with the answer still unread. Reading finds first what had arrived, and
/// then the same error.
#[derive(Debug)]
pub(super) struct ReadFirst;

impl Observer for ReadFirst {
    fn read(&self, _bytes: &[u8]) {}

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                Poll::Ready(Ok(offered.iter().map(|part| part.len()).sum()))
            }
            result => result,
        }
    }
}

/// Whether the endpoint reads no more. What it has sent before may still be there to be read.
pub(super) fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::observed::Observed;

    #[tokio::test]
    async fn what_had_arrived_is_read_after_a_write_has_failed() {
        let (near, mut far) = duplex(64);
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut near = Observed::new(near, ReadFirst);
        near.write_all(b"the rest of a request").await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }
}
