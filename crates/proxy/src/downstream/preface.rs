//! Which protocol a clear-text connection begins with.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::config::Protocol;
use crate::deadline::within;
use crate::worker::Worker;

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client begins with. One that takes too long, or ends before it has said enough, is left to
/// HTTP/1.1, which has an answer for it.
pub(super) async fn detect(worker: &Worker, stream: &TcpStream) -> Protocol {
    let deadline = worker.deadlines.open();
    let limit = worker.config.timeouts.head;
    let detected = within(&deadline, &worker.clock, limit, look(stream)).await;
    detected.and_then(Result::ok).unwrap_or(Protocol::Http1)
}

/// Looks at the first bytes without taking them.
async fn look(stream: &TcpStream) -> io::Result<Protocol> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        // To say that it would block makes the runtime wait for further bytes, although some are there.
        let looked = stream.try_io(Interest::READABLE, || {
            let mut start = [0; PREFACE.len()];
            let (_, count) = recv(stream, &mut start[..], RecvFlags::PEEK)?;
            judge(&start[..count]).ok_or_else(|| io::ErrorKind::WouldBlock.into())
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() {
                    return Ok(Protocol::Http1);
                }
            }
            looked => return looked,
        }
    }
}

/// None while more has to be known.
fn judge(start: &[u8]) -> Option<Protocol> {
    match start {
        [] => Some(Protocol::Http1),
        start if start == PREFACE => Some(Protocol::Http2),
        start if PREFACE.starts_with(start) => None,
        _ => Some(Protocol::Http1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_preface_counts() {
        for length in 1..PREFACE.len() {
            assert_eq!(judge(&PREFACE[..length]), None);
            let mut other = *PREFACE;
            other[length] ^= 1;
            assert_eq!(judge(&other[..=length]), Some(Protocol::Http1));
        }
        assert_eq!(judge(PREFACE), Some(Protocol::Http2));
        assert_eq!(judge(b""), Some(Protocol::Http1));
        assert_eq!(judge(b"PRO"), Some(Protocol::Http1));
    }
}
