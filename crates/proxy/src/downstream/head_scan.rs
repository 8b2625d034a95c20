//! What the HTTP parser does not tell about a request head.
//!
//! hyper drops a Content-Length that stands beside a Transfer-Encoding, merges repeated equal ones, and
//! cuts a fragment off the target: safe, but then nobody can refuse what only an attacker sends. This
//! looks at the lines of the head as they are read. It never decides where a message ends: it only
//! counts, and when it has not seen a head from its start (pipelining), it has nothing to say.

use memchr::memchr;

const CONTENT_LENGTH: &[u8] = b"content-length:";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding:";
const LONGEST: usize = TRANSFER_ENCODING.len();

/// Lines of one head that matter for its framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadSeen {
    pub(crate) content_lengths: u8,
    pub(crate) transfer_encodings: u8,
    /// The request line contains `#`.
    pub(crate) fragment: bool,
}

/// Scans a head that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    seen: HeadSeen,
    at: At,
    /// The start of a line that is not complete yet.
    partial: [u8; LONGEST],
    partial_len: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    RequestLine,
    Fields,
    End,
}

impl HeadScan {
    /// Takes the next bytes from the wire.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while self.at != At::End && !bytes.is_empty() {
            let Some(end) = memchr(b'\n', bytes) else {
                self.keep(bytes);
                return;
            };
            let (line, rest) = bytes.split_at(end);
            if self.partial_len == 0 {
                self.line(line, line);
            } else {
                self.keep(line);
                let start = self.partial;
                self.line(&start[..self.partial_len], line);
                self.partial_len = 0;
            }
            bytes = &rest[1..];
        }
    }

    /// What was seen; starts over for the next head.
    pub(crate) fn take(&mut self) -> HeadSeen {
        std::mem::take(self).seen
    }

    /// `start` is how the line begins, `tail` what of it arrived last.
    fn line(&mut self, start: &[u8], tail: &[u8]) {
        let blank = matches!(start, b"" | b"\r");
        match self.at {
            At::RequestLine if blank => {} // empty lines before a request are allowed
            At::RequestLine => {
                self.seen.fragment |= memchr(b'#', tail).is_some();
                self.at = At::Fields;
            }
            At::Fields if blank => self.at = At::End,
            At::Fields => match start[0] {
                b'c' | b'C' if starts_with(start, CONTENT_LENGTH) => {
                    self.seen.content_lengths = self.seen.content_lengths.saturating_add(1);
                }
                b't' | b'T' if starts_with(start, TRANSFER_ENCODING) => {
                    self.seen.transfer_encodings = self.seen.transfer_encodings.saturating_add(1);
                }
                _ => {}
            },
            At::End => {}
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.at == At::RequestLine {
            self.seen.fragment |= memchr(b'#', bytes).is_some();
        }
        let count = bytes.len().min(LONGEST - self.partial_len);
        self.partial[self.partial_len..][..count].copy_from_slice(&bytes[..count]);
        self.partial_len += count;
    }
}

fn starts_with(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(pieces: &[&[u8]]) -> HeadSeen {
        let mut scan = HeadScan::default();
        for piece in pieces {
            scan.feed(piece);
        }
        scan.take()
    }

    const SMUGGLE: &[u8] =
        b"\r\nPOST /a#b HTTP/1.1\r\nHost: a\r\nX: content-length: 1\r\ncontent-LENGTH: 5\r\n\
        Content-Length:5\r\nTransfer-Encoding: chunked\r\n\r\nContent-Length: 9\r\n";

    #[test]
    fn counts_lines_of_the_head_only() {
        let expected = HeadSeen {
            content_lengths: 2,
            transfer_encodings: 1,
            fragment: true,
        };
        assert_eq!(scan(&[SMUGGLE]), expected);
        for split in 0..SMUGGLE.len() {
            let (a, b) = SMUGGLE.split_at(split);
            assert_eq!(scan(&[a, b]), expected, "split at {split}");
        }
        let bytes: Vec<_> = SMUGGLE.chunks(1).collect();
        assert_eq!(scan(&bytes), expected);
    }

    #[test]
    fn starts_over_after_take() {
        let mut scan = HeadScan::default();
        scan.feed(SMUGGLE);
        scan.take();
        scan.feed(b"GET / HTTP/1.1\nHost: a\n\n");
        assert_eq!(scan.take(), HeadSeen::default());
    }
}
