//! What is refused before a request is routed.
//!
//! Two readers of one byte stream that disagree about where a request ends, or whom it is for, are what
//! request smuggling lives on. Whatever could be read in two ways is refused here, although hyper would
//! resolve some of it: a refusal is visible, and nothing legitimate sends such requests.

use fairway_router::Host;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use crate::config::Limits;
use crate::downstream::HeadSeen;
use crate::error::Rejection;

/// Names of methods have no limit in HTTP; the longest registered one has 17 letters.
const LONGEST_METHOD: usize = 32;

/// What the gate found out about a request it let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) host: Host,
    /// The client wants to speak WebSocket.
    pub(crate) websocket: bool,
}

/// Judges a request head.
pub(crate) fn admit<B>(
    request: &http::Request<B>,
    seen: HeadSeen,
    limits: &Limits,
) -> Result<Admitted, Rejection> {
    let version = request.version();
    if !matches!(
        version,
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2
    ) {
        return Err(Rejection::Syntax);
    }
    let headers = request.headers();
    framing(headers, version, seen)?;
    method(request.method())?;
    target(request.uri(), request.method(), seen, limits)?;
    Ok(Admitted {
        host: host(headers, request.uri(), version)?,
        websocket: websocket(request)?,
    })
}

fn framing(headers: &HeaderMap, version: Version, seen: HeadSeen) -> Result<(), Rejection> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() || seen.content_lengths > 1 {
        return Err(Rejection::ContentLength);
    }
    if length.is_some_and(|length| !is_number(length.as_bytes())) {
        return Err(Rejection::ContentLength);
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(());
    };
    if length.is_some() || seen.content_lengths > 0 {
        return Err(Rejection::LengthAndEncoding);
    }
    let only_chunked = encodings.next().is_none()
        && seen.transfer_encodings <= 1
        && encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if only_chunked && version == Version::HTTP_11 {
        Ok(())
    } else {
        Err(Rejection::TransferEncoding)
    }
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

fn method(method: &Method) -> Result<(), Rejection> {
    let name = method.as_str();
    match *method {
        Method::CONNECT | Method::TRACE => Err(Rejection::MethodNotAllowed),
        _ if name.len() > LONGEST_METHOD => Err(Rejection::Method),
        // Methods are case-sensitive; backends that fold them would see another method than the route did.
        _ if name.bytes().any(|byte| byte.is_ascii_lowercase()) => Err(Rejection::Method),
        _ => Ok(()),
    }
}

fn target(uri: &Uri, method: &Method, seen: HeadSeen, limits: &Limits) -> Result<(), Rejection> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if path.len() > limits.target_bytes {
        return Err(Rejection::TargetTooLong);
    }
    if seen.fragment {
        return Err(Rejection::Target);
    }
    match uri.scheme_str() {
        // Origin form; the asterisk belongs to OPTIONS.
        None if path.starts_with('/') => Ok(()),
        None if path == "*" && *method == Method::OPTIONS => Ok(()),
        Some("http" | "https") if path.is_empty() || path.starts_with('/') => Ok(()),
        Some("http" | "https") if path == "*" && *method == Method::OPTIONS => Ok(()),
        _ => Err(Rejection::Target),
    }
}

fn host(headers: &HeaderMap, uri: &Uri, version: Version) -> Result<Host, Rejection> {
    let mut hosts = headers.get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() {
        return Err(Rejection::RepeatedHost);
    }
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let value = match (header.map(HeaderValue::as_bytes), authority) {
        (Some(header), Some(authority)) if !header.eq_ignore_ascii_case(authority) => {
            return Err(Rejection::HostMismatch);
        }
        (Some(header), _) => header,
        (None, Some(authority)) if version == Version::HTTP_10 => authority,
        (None, None) if version == Version::HTTP_10 => return Ok(Host::none()),
        (None, _) => return Err(Rejection::MissingHost),
    };
    Host::parse(value).map_err(|_| Rejection::InvalidHost)
}

/// Whether this asks for a WebSocket. Other upgrades are not offered to the upstream, `h2c` least of
/// all: behind it every further request would pass this gate unseen.
fn websocket<B>(request: &http::Request<B>) -> Result<bool, Rejection> {
    let headers = request.headers();
    let Some(upgrade) = headers.get(UPGRADE) else {
        return Ok(false);
    };
    let asked = headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    if !asked || !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return Ok(false);
    }
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'));
    if has_body {
        return Err(Rejection::UpgradeWithBody);
    }
    Ok(*request.method() == Method::GET && request.version() == Version::HTTP_11)
}

#[cfg(test)]
mod tests;
