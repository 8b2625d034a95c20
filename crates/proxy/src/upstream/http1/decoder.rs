//! Finds the end of response bodies (RFC 9112 sections 6 and 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::header::HeaderMap;
use httparse::Status;

use super::error::Invalid;
use super::request::may_be_trailer;
use super::response::{self, MOST_FIELDS, Place};

/// A chunk's size with its extensions, in bytes. Nobody has a use for extensions.
const LONGEST_SIZE: usize = 4 * 1024;

/// Trailers, in bytes.
const LARGEST_TRAILERS: usize = 16 * 1024;

/// How the end of a body is found, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// There is no body.
    Empty,
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
    /// Only the end of the connection ends it.
    UntilClose,
    /// It did end.
    Closed,
}

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    Trailers,
    Over,
}

/// The next part of a body.
#[derive(Debug)]
pub(super) enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More has to be read first.
    Incomplete,
}

impl Decoder {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Takes the next part from what was received.
    pub(super) fn decode(&mut self, received: &mut BytesMut) -> Result<Decoded, Invalid> {
        match self {
            Self::Empty | Self::Length(0) | Self::Closed => Ok(Decoded::End),
            Self::Length(_) | Self::UntilClose if received.is_empty() => Ok(Decoded::Incomplete),
            Self::Length(left) => Ok(Decoded::Data(take(received, left))),
            Self::UntilClose => Ok(Decoded::Data(received.split().freeze())),
            Self::Chunked(chunk) => chunk.decode(received),
        }
    }

    /// The connection ended. Whether the body did.
    pub(super) fn close(&mut self) -> bool {
        if *self == Self::UntilClose {
            *self = Self::Closed;
        }
        self.is_over()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Empty | Self::Length(0) | Self::Chunked(Chunk::Over) | Self::Closed
        )
    }

    /// Bytes still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(Chunk::Over) | Self::Empty | Self::Closed => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

impl Chunk {
    fn decode(&mut self, received: &mut BytesMut) -> Result<Decoded, Invalid> {
        loop {
            match self {
                Self::Size => {
                    // httparse takes none for zero.
                    if received
                        .first()
                        .is_some_and(|digit| !digit.is_ascii_hexdigit())
                    {
                        return Err(Invalid::Chunk);
                    }
                    let status = httparse::parse_chunk_size(received);
                    let Status::Complete((length, size)) = status.map_err(|_| Invalid::Chunk)?
                    else {
                        return match received.len() < LONGEST_SIZE {
                            true => Ok(Decoded::Incomplete),
                            false => Err(Invalid::Chunk),
                        };
                    };
                    // httparse takes line feeds in extensions, where others see the end of the line.
                    if memchr::memchr(b'\n', received) != Some(length - 1) {
                        return Err(Invalid::Chunk);
                    }
                    received.advance(length);
                    *self = match size {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                }
                Self::Data(_) if received.is_empty() => return Ok(Decoded::Incomplete),
                Self::Data(left) => {
                    let data = take(received, left);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Decoded::Data(data));
                }
                Self::DataEnd => {
                    match **received {
                        [b'\r', b'\n', ..] => received.advance(2),
                        [] | [b'\r'] => return Ok(Decoded::Incomplete),
                        _ => return Err(Invalid::Chunk),
                    }
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some(fields) = trailers(received)? else {
                        return Ok(Decoded::Incomplete);
                    };
                    *self = Self::Over;
                    if !fields.is_empty() {
                        return Ok(Decoded::Trailers(fields));
                    }
                }
                Self::Over => return Ok(Decoded::End),
            }
        }
    }
}

/// As much as there is of the bytes that are left.
fn take(received: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX);
    let data = received.split_to(length.min(received.len())).freeze();
    *left -= data.len() as u64;
    data
}

/// None until all of them are there.
fn trailers(received: &mut BytesMut) -> Result<Option<HeaderMap>, Invalid> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let status = httparse::parse_headers(received, &mut fields).map_err(|_| Invalid::Trailers)?;
    let Status::Complete((length, fields)) = status else {
        return match received.len() < LARGEST_TRAILERS {
            true => Ok(None),
            false => Err(Invalid::Trailers),
        };
    };
    // httparse takes a line feed alone for the end of a line, others do not.
    let mut ends = memchr::memchr_iter(b'\n', &received[..length]);
    if !ends.all(|end| end > 0 && received[end - 1] == b'\r') {
        return Err(Invalid::Trailers);
    }
    let places = Place::all(fields, received);
    let text = received.split_to(length).freeze();
    let mut fields = HeaderMap::new();
    response::fill(&mut fields, &places, &text)?;
    let forbidden: Vec<_> = fields
        .keys()
        .filter(|name| !may_be_trailer(name))
        .cloned()
        .collect();
    for name in forbidden {
        fields.remove(name);
    }
    Ok(Some(fields))
}

#[cfg(test)]
mod tests;
