//! Writes request heads.

use http::Request;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::response::digits;
use crate::body::RequestBody;

/// How a request's body is told from what follows (RFC 9112 section 6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// With these trailers, if they come.
    Chunked { trailers: Box<[HeaderName]> },
    /// There is no body.
    #[default]
    Empty,
}

/// Appends the head of a request. Its target is in origin form, whatever form it came in.
pub(super) fn write(request: &Request<RequestBody>, out: &mut Vec<u8>) -> Framing {
    let headers = request.headers();
    let framing = framing(request);
    let target = request.uri().path_and_query();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.map_or("/", |target| target.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        match *name {
            header::TRANSFER_ENCODING => continue,
            header::CONTENT_LENGTH if matches!(framing, Framing::Chunked { .. }) => continue,
            _ => field(name, value, out),
        }
    }
    if let Framing::Chunked { .. } = framing {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Appends a line of a head.
pub(super) fn field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn framing(request: &Request<RequestBody>) -> Framing {
    if request.body().is_empty() {
        return Framing::Empty;
    }
    let headers = request.headers();
    match headers.get(header::CONTENT_LENGTH).and_then(digits) {
        Some(length) if !headers.contains_key(header::TRANSFER_ENCODING) => Framing::Length(length),
        _ => Framing::Chunked {
            trailers: announced_trailers(headers),
        },
    }
}

/// The trailers that a request names in its Trailer header and may have (RFC 9110 section 6.5.1).
fn announced_trailers(headers: &HeaderMap) -> Box<[HeaderName]> {
    headers
        .get_all(header::TRAILER)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(may_be_trailer)
        .collect()
}

/// Whether a field may come after the body: none that tells how to read, route or allow the message.
pub(super) fn may_be_trailer(name: &HeaderName) -> bool {
    !matches!(
        *name,
        header::TRANSFER_ENCODING
            | header::CONTENT_LENGTH
            | header::CONTENT_ENCODING
            | header::CONTENT_TYPE
            | header::CONTENT_RANGE
            | header::HOST
            | header::CONNECTION
            | header::UPGRADE
            | header::TE
            | header::TRAILER
            | header::EXPECT
            | header::RANGE
            | header::MAX_FORWARDS
            | header::CACHE_CONTROL
            | header::AUTHORIZATION
            | header::PROXY_AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
    )
}
