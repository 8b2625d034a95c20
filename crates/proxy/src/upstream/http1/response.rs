//! Parses response heads.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;

use super::decoder::Decoder;
use super::error::Invalid;

/// Fields in a head or in trailers. What hyper takes, and Apache.
pub(super) const MOST_FIELDS: usize = 100;

/// What a request may be on its way while the endpoint's patience ends.
const MARGIN: Duration = Duration::from_secs(1);

/// A response head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    /// The endpoint will take another request on the connection (RFC 9112 section 9.3).
    pub(super) keep_alive: bool,
    /// For how long it will, where it says so.
    pub(super) patience: Option<Duration>,
    /// Of its body.
    pub(super) decoder: Decoder,
}

/// Takes a head from the beginning of what was received. None until all of it is there; the first
/// `looked_at` bytes were looked at before. The answer to a HEAD has no body whatever it says. The memory of
/// `headers` is used again.
pub(super) fn parse(
    received: &mut BytesMut,
    looked_at: usize,
    is_head: bool,
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
    let told = Told::by(response.headers());
    let keep_alive = !told.close && (told.keep_alive || response.version() == Version::HTTP_11);
    // The field is nothing without the option (RFC 2068 section 19.7.1.1).
    let patience = told.keep_alive.then(|| patience(response.headers()));
    let decoder = told.decoder(&response, is_head)?;
    Ok(Some(Head {
        response,
        keep_alive,
        patience: patience.flatten(),
        decoder,
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

/// What the fields of a head say about the connection and about the body.
#[derive(Debug, Default)]
struct Told<'a> {
    close: bool,
    keep_alive: bool,
    length: Option<&'a HeaderValue>,
    coding: Option<&'a HeaderValue>,
    /// Two readers could find two ends of the body.
    ambiguous: bool,
}

impl<'a> Told<'a> {
    fn by(headers: &'a HeaderMap) -> Self {
        let mut told = Self::default();
        for (name, value) in headers {
            match *name {
                header::CONNECTION => told.connection(value),
                header::CONTENT_LENGTH => told.ambiguous |= told.length.replace(value).is_some(),
                header::TRANSFER_ENCODING => {
                    told.ambiguous |= told.coding.replace(value).is_some();
                }
                _ => {}
            }
        }
        told.ambiguous |= told.length.is_some() && told.coding.is_some();
        told
    }

    fn connection(&mut self, value: &HeaderValue) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// How the end of the body is found (RFC 9112 section 6.3), as strictly as that of a request: where a
    /// cache or another proxy could see another end, there is no response.
    fn decoder(&self, response: &Response<()>, is_head: bool) -> Result<Decoder, Invalid> {
        let status = response.status();
        if status.is_informational() {
            return Ok(Decoder::Empty);
        }
        if self.ambiguous {
            return Err(Invalid::Length);
        }
        let decoder = match (self.coding, self.length) {
            (Some(coding), _) => {
                let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
                match is_chunked && response.version() == Version::HTTP_11 {
                    true => Decoder::chunked(),
                    false => return Err(Invalid::Length),
                }
            }
            (None, Some(length)) => Decoder::Length(digits(length).ok_or(Invalid::Length)?),
            (None, None) => Decoder::UntilClose,
        };
        let has_none =
            is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match has_none {
            true => Decoder::Empty,
            false => decoder,
        })
    }
}

/// How long a connection may have nothing to do before the endpoint closes it, less what a request needs to get
/// there. Node says `Keep-Alive: timeout=5`; others add `max=100`.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("keep-alive").iter();
    let mut parameters = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let seconds = parameters.find_map(|parameter| {
        let text = std::str::from_utf8(parameter.trim_ascii()).ok()?;
        let (name, value) = text.split_once('=')?;
        let is_timeout = name.eq_ignore_ascii_case("timeout");
        is_timeout.then(|| value.parse().ok())?
    })?;
    Some(Duration::from_secs(seconds).saturating_sub(MARGIN))
}

/// A number of HTTP; "+5" is one for Rust alone.
pub(super) fn digits(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    digits
        .iter()
        .try_fold(0_u64, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
        .filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests;
