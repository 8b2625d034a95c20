//! Parses response heads.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;

use super::decoder::Decoder;
use super::error::Invalid;

/// Fields in a head or in trailers. What hyper takes, and Apache.
pub(super) const MOST_FIELDS: usize = 100;

/// A response head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    /// The endpoint will take another request on the connection (RFC 9112 section 9.3).
    pub(super) keep_alive: bool,
}

/// Takes a head from the beginning of what was received. None until all of it is there; the first
/// `looked_at` bytes were looked at before. The fields become `headers`, whose memory is used again.
pub(super) fn parse(
    received: &mut BytesMut,
    looked_at: usize,
    headers: &mut HeaderMap,
) -> Result<Option<Head>, Invalid> {
    if received.is_empty() || looked_at > 0 && !may_be_complete(received, looked_at) {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, received, &mut fields)
        .map_err(Invalid::Syntax)?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let places = Place::all(parsed.headers, received);
    let mut response = Response::new(());
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    *response.status_mut() = status.ok_or(Invalid::Syntax(httparse::Error::Status))?;
    *response.version_mut() = match parsed.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let usual = response.status().canonical_reason();
    if let Some(reason) = parsed.reason.filter(|reason| usual != Some(reason))
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    *response.headers_mut() = std::mem::take(headers);
    let head = received.split_to(length).freeze();
    fill(response.headers_mut(), &places, &head)?;
    Ok(Some(Head {
        keep_alive: keep_alive(&response),
        response,
    }))
}

/// Whether a head may have ended behind what was looked at: heads end with an empty line.
fn may_be_complete(received: &[u8], looked_at: usize) -> bool {
    let new = &received[looked_at.saturating_sub(3)..];
    memchr::memchr_iter(b'\n', new)
        .any(|at| matches!(new[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// Where a field is.
#[derive(Debug)]
pub(super) struct Place {
    name: Range<usize>,
    value: Range<usize>,
}

/// Places without an allocation, for nearly every head.
type Places = SmallVec<[Place; 24]>;

impl Place {
    /// Of all fields that were parsed from `text`.
    pub(super) fn all(fields: &[httparse::Header<'_>], text: &[u8]) -> Places {
        let start = text.as_ptr() as usize;
        let range = |part: &[u8]| {
            let at = part.as_ptr() as usize - start;
            at..at + part.len()
        };
        fields
            .iter()
            .map(|field| Place {
                name: range(field.name.as_bytes()),
                // An empty one is not always a part of the text.
                value: match field.value {
                    [] => 0..0,
                    value => range(value),
                },
            })
            .collect()
    }
}

/// Puts fields into an emptied map; their values share `text`.
pub(super) fn fill(headers: &mut HeaderMap, places: &[Place], text: &Bytes) -> Result<(), Invalid> {
    const SYNTAX: Invalid = Invalid::Syntax(httparse::Error::HeaderValue);
    headers.clear();
    headers.try_reserve(places.len()).map_err(|_| SYNTAX)?;
    for Place { name, value } in places {
        let name = HeaderName::from_bytes(&text[name.clone()]).map_err(|_| SYNTAX)?;
        let value = text.slice(value.clone());
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| SYNTAX)?;
        headers.try_append(name, value).map_err(|_| SYNTAX)?;
    }
    Ok(())
}

fn keep_alive(response: &Response<()>) -> bool {
    let mut keep_alive = response.version() == Version::HTTP_11;
    for value in response.headers().get_all(header::CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keep_alive
}

impl Head {
    /// How the end of the body is found (RFC 9112 section 6.3), for the answer to a HEAD or to something
    /// else.
    pub(super) fn decoder(&self, is_head: bool) -> Result<Decoder, Invalid> {
        let response = &self.response;
        let status = response.status();
        if is_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Decoder::Empty);
        }
        let headers = response.headers();
        if let Some(coding) = headers
            .get_all(header::TRANSFER_ENCODING)
            .iter()
            .next_back()
        {
            if response.version() == Version::HTTP_10 {
                return Err(Invalid::Length);
            }
            let last = coding.as_bytes().rsplit(|byte| *byte == b',').next();
            let is_chunked =
                last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            return Ok(match is_chunked {
                true => Decoder::chunked(),
                false => Decoder::UntilClose,
            });
        }
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let Some(length) = lengths.next() else {
            return Ok(Decoder::UntilClose);
        };
        // "+5" is a number for Rust, not for HTTP.
        if lengths.next().is_some() || !length.as_bytes().iter().all(u8::is_ascii_digit) {
            return Err(Invalid::Length);
        }
        let length = length.to_str().ok().and_then(|length| length.parse().ok());
        length.map(Decoder::Length).ok_or(Invalid::Length)
    }
}

#[cfg(test)]
mod tests;
