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
    /// What the client wants to speak instead of HTTP.
    pub(crate) upgrade: Option<Upgrade>,
}

/// A wish to leave HTTP. Whether it is granted is up to the route, and then to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// One token, as the client spells it.
    pub(crate) protocol: HeaderValue,
    /// Bytes of the request's body could be taken for the first ones of the other protocol.
    pub(crate) has_body: bool,
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
        upgrade: upgrade(request),
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
    // Letters beyond ASCII, of which hyper takes those that are UTF-8 in a query, are in no URI (RFC 3986):
    // one endpoint would read them in its own way, and another refuse the request.
    if seen.fragment || !path.is_ascii() {
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

/// The one protocol that the client wants to switch to. Never `h2c`: behind it every further request would
/// pass this gate unseen.
fn upgrade<B>(request: &http::Request<B>) -> Option<Upgrade> {
    let headers = request.headers();
    let mut protocols = headers.get_all(UPGRADE).iter();
    let protocol = protocols.next()?;
    let token = protocol.as_bytes();
    let asked = headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    let one = protocols.next().is_none() && !token.contains(&b',');
    if !asked || !one || token.eq_ignore_ascii_case(b"h2c") {
        return None;
    }
    // RFC 6455 section 4.1 says so of WebSocket; others have their own methods.
    let right_method =
        *request.method() == Method::GET || !token.eq_ignore_ascii_case(b"websocket");
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'));
    let wish = Upgrade {
        protocol: protocol.clone(),
        has_body,
    };
    let is_wish = (right_method || has_body) && request.version() == Version::HTTP_11;
    is_wish.then_some(wish)
}

#[cfg(test)]
mod tests;
