//! What the HTTP parser does not tell about a request head.
//!
//! hyper drops a Content-Length that stands beside a Transfer-Encoding, merges repeated equal ones, and
//! cuts a fragment off the target: safe, but then nobody can refuse what only an attacker sends. This
//! looks at the lines of each head as they are read. It finds the next head behind a body by the same
//! framing, but never decides where a message ends: it only counts. Where it loses its way, in what hyper
//! refuses, it sees no more heads, and a request whose head was not seen is refused.

use std::collections::VecDeque;

use memchr::memchr;

const CONTENT_LENGTH: &[u8] = b"content-length:";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding:";
/// As much of a line as is looked at: a Content-Length of 20 digits with some blanks before it. What needs
/// more to be read is not understood.
const LONGEST: usize = 48;

/// `G / HTTP/1.1`, an empty line, and nothing else, each line ended by LF alone.
const SHORTEST_HEAD: usize = 14;

/// Lines of one head that matter for its framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadSeen {
    pub(crate) content_lengths: u8,
    pub(crate) transfer_encodings: u8,
    /// The request line contains `#`.
    pub(crate) fragment: bool,
}

/// Scans the requests of a connection, which arrive in pieces.
#[derive(Debug)]
pub(crate) struct HeadScan {
    /// Most heads that wait.
    most_waiting: usize,
    /// Of heads that are complete, and were not asked for yet.
    waiting: VecDeque<HeadSeen>,
    /// Of the head that is being read.
    seen: HeadSeen,
    /// Of its body.
    length: u64,
    /// It has a length that is no number, so nobody knows where the next head begins.
    is_last: bool,
    at: At,
    /// The start of a line that is not complete yet.
    partial: Vec<u8>,
    /// The last byte of it so far is CR.
    partial_ends_in_cr: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    RequestLine,
    Fields,
    /// So many bytes before the next request.
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Lost,
}

impl HeadScan {
    /// For a parser that has no more than `buffer` bytes of heads before it, and as much in one more read:
    /// it cannot have more heads waiting than fit in there.
    pub(crate) fn new(buffer: usize) -> Self {
        Self {
            most_waiting: 2 * buffer / SHORTEST_HEAD + 1,
            waiting: VecDeque::new(),
            seen: HeadSeen::default(),
            length: 0,
            is_last: false,
            at: At::default(),
            partial: Vec::new(),
            partial_ends_in_cr: false,
        }
    }

    /// Takes the next bytes from the wire.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Lost => return,
                At::Body(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.at = match left {
                        0 => At::RequestLine,
                        left => At::Body(left),
                    };
                }
                At::ChunkData(left) => {
                    let (rest, left) = skip(bytes, left);
                    bytes = rest;
                    self.at = match left {
                        0 => At::ChunkEnd,
                        left => At::ChunkData(left),
                    };
                }
                _ => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return;
                    };
                    let (line, rest) = bytes.split_at(end);
                    if self.partial.is_empty() {
                        self.line(line, line);
                    } else {
                        self.keep(line);
                        let start = std::mem::take(&mut self.partial);
                        self.line(&start, line);
                    }
                    bytes = &rest[1..];
                }
            }
        }
    }

    /// What was seen of the next head; None where it was not seen at all.
    pub(crate) fn take(&mut self) -> Option<HeadSeen> {
        self.waiting.pop_front()
    }

    /// `start` is how the line begins, `tail` what of it arrived last.
    fn line(&mut self, start: &[u8], tail: &[u8]) {
        let blank = matches!(start, b"" | b"\r");
        let partial_ended_in_cr = std::mem::take(&mut self.partial_ends_in_cr);
        match self.at {
            At::RequestLine if blank => {} // empty lines before a request are allowed
            At::RequestLine => {
                self.seen.fragment |= memchr(b'#', tail).is_some();
                self.at = At::Fields;
            }
            At::Fields if blank => self.end_head(),
            At::Fields => self.field(start),
            At::ChunkSize => {
                self.at = match chunk_size(start) {
                    Some(0) => At::Trailers,
                    Some(size) => At::ChunkData(size),
                    None => At::Lost,
                }
            }
            At::ChunkEnd => self.at = At::ChunkSize,
            // hyper ends a line of them by CRLF only, and would go on behind a lone LF.
            At::Trailers if tail.last().map_or(partial_ended_in_cr, |it| *it == b'\r') => {
                if blank {
                    self.at = At::RequestLine;
                }
            }
            At::Trailers => self.at = At::Lost,
            At::Body(_) | At::ChunkData(_) | At::Lost => {}
        }
    }

    fn field(&mut self, line: &[u8]) {
        match line[0] {
            b'c' | b'C' if starts_with(line, CONTENT_LENGTH) => {
                self.seen.content_lengths = self.seen.content_lengths.saturating_add(1);
                let value = line[CONTENT_LENGTH.len()..].trim_ascii();
                let length = std::str::from_utf8(value).ok();
                let length = length.filter(|_| line.len() < LONGEST);
                match length.and_then(|length| length.parse().ok()) {
                    Some(length) => self.length = length,
                    // hyper refuses it, or overlooks it beside a Transfer-Encoding, or it has more zeros than
                    // anybody needs.
                    None => self.is_last = true,
                }
            }
            b't' | b'T' if starts_with(line, TRANSFER_ENCODING) => {
                self.seen.transfer_encodings = self.seen.transfer_encodings.saturating_add(1);
            }
            _ => {}
        }
    }

    fn end_head(&mut self) {
        if self.waiting.len() == self.most_waiting {
            self.at = At::Lost;
            return;
        }
        let seen = std::mem::take(&mut self.seen);
        let length = std::mem::take(&mut self.length);
        self.waiting.push_back(seen);
        self.at = match (seen.transfer_encodings, length) {
            _ if self.is_last => At::Lost,
            (0, 0) => At::RequestLine,
            (0, length) => At::Body(length),
            _ => At::ChunkSize,
        };
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.at == At::RequestLine {
            self.seen.fragment |= memchr(b'#', bytes).is_some();
        }
        if let Some(last) = bytes.last() {
            self.partial_ends_in_cr = *last == b'\r';
        }
        let count = bytes.len().min(LONGEST - self.partial.len());
        self.partial.extend_from_slice(&bytes[..count]);
    }
}

/// What is left of the bytes, and of the number of bytes to skip.
fn skip(bytes: &[u8], count: u64) -> (&[u8], u64) {
    match usize::try_from(count) {
        Ok(count) if count <= bytes.len() => (&bytes[count..], 0),
        _ => (&[], count - bytes.len() as u64),
    }
}

/// Of a line `1a; extension`.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let digits = &line[..digits.count()];
    if digits.len() >= LONGEST {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn starts_with(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(pieces: &[&[u8]]) -> Vec<HeadSeen> {
        let mut scan = HeadScan::new(1024);
        for piece in pieces {
            scan.feed(piece);
        }
        scan.waiting.into()
    }

    const SMUGGLE: &[u8] =
        b"\r\nPOST /a#b HTTP/1.1\r\nHost: a\r\nX: content-length: 1\r\ncontent-LENGTH: 5\r\n\
        Content-Length:5\r\nTransfer-Encoding: chunked\r\n\r\n";
    const SEEN: HeadSeen = HeadSeen {
        content_lengths: 2,
        transfer_encodings: 1,
        fragment: true,
    };

    #[track_caller]
    fn sees_in_any_pieces(bytes: &[u8], expected: &[HeadSeen]) {
        assert_eq!(scan(&[bytes]), expected);
        for split in 0..bytes.len() {
            let (a, b) = bytes.split_at(split);
            assert_eq!(scan(&[a, b]), expected, "split at {split}");
        }
        let pieces: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(scan(&pieces), expected);
    }

    #[test]
    fn counts_lines_of_the_head_only() {
        sees_in_any_pieces(&[SMUGGLE, b"Content-Length: 9\r\n"].concat(), &[SEEN]);
    }

    #[test]
    fn finds_the_head_behind_every_kind_of_body() {
        let none = b"GET / HTTP/1.1\nHost: a\n\n";
        let sized = b"POST / HTTP/1.1\r\nContent-Length:  0012 \r\n\r\nGET /# \r\n\r\n\n";
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            00c;a=b\r\nGET /# \r\n\r\n\n\r\n0\r\nA: #\r\n\r\n";
        let lines = |content_lengths, transfer_encodings| HeadSeen {
            content_lengths,
            transfer_encodings,
            fragment: false,
        };
        sees_in_any_pieces(
            &[none, &sized[..], chunked, SMUGGLE].concat(),
            &[lines(0, 0), lines(1, 0), lines(0, 1), SEEN],
        );
    }

    #[test]
    fn what_makes_no_sense_ends_it() {
        let bad = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
        assert_eq!(scan(&[bad, SMUGGLE]).len(), 1);
        let bad = b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        let seen = HeadSeen {
            content_lengths: 1,
            transfer_encodings: 1,
            fragment: false,
        };
        assert_eq!(scan(&[bad, SMUGGLE]), [seen]);
    }

    /// What hyper may read differently: the heads behind it are not guessed at.
    #[test]
    fn what_has_two_readings_ends_it() {
        let zeros = "0".repeat(LONGEST);
        let head = "POST / HTTP/1.1\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        let fake = "GET / HTTP/1.1\r\n\r\n";
        for (bytes, length) in [
            (format!("{head}Content-Length: {zeros}5\r\n\r\n{fake}"), 1),
            (format!("{head}{chunked}{zeros}5\r\n\r\n{fake}"), 0),
            (format!("{head}{chunked}0\r\n\n{fake}"), 0),
            (format!("{head}{chunked}0\r\nA: b\n\r\n{fake}"), 0),
        ] {
            let seen = HeadSeen {
                content_lengths: length,
                transfer_encodings: 1 - length,
                fragment: false,
            };
            sees_in_any_pieces(bytes.as_bytes(), &[seen]);
        }
    }

    #[test]
    fn as_many_heads_wait_as_a_buffer_has_and_none_after_those() {
        let shortest = b"G / HTTP/1.1\n\n";
        let mut scan = HeadScan::new(1024);
        let fit = 2 * 1024 / shortest.len();
        scan.feed(&shortest.repeat(fit));
        assert_eq!(scan.waiting.len(), fit);
        scan.feed(&shortest.repeat(2));
        // What is not seen is never seen again, so that nothing is taken for the next head.
        for _ in 0..=fit {
            assert_eq!(scan.take(), Some(HeadSeen::default()));
        }
        scan.feed(SMUGGLE);
        assert_eq!(scan.take(), None);
    }

    #[test]
    fn heads_come_in_their_order() {
        let mut scan = HeadScan::new(1024);
        scan.feed(b"GET /# HTTP/1.1\n\nGET / HTTP/1.1\n");
        assert!(scan.take().is_some_and(|seen| seen.fragment));
        assert_eq!(scan.take(), None);
        scan.feed(b"Host: a\n\n");
        assert_eq!(scan.take(), Some(HeadSeen::default()));
    }
}
