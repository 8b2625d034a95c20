//! gRPC, as far as somebody in between has to know it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::error::Kind;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A status of gRPC, as it stands in `grpc-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(&'static str);

const UNKNOWN: Code = Code("2");
const DEADLINE_EXCEEDED: Code = Code("4");
const PERMISSION_DENIED: Code = Code("7");
const RESOURCE_EXHAUSTED: Code = Code("8");
const UNIMPLEMENTED: Code = Code("12");
const INTERNAL: Code = Code("13");
const UNAVAILABLE: Code = Code("14");
const UNAUTHENTICATED: Code = Code("16");

impl Code {
    /// What a client makes of an error of ours. Unlike a status of HTTP, 14 tells it that the call may
    /// be made again.
    pub(crate) fn of_error(kind: Kind, status: StatusCode) -> Self {
        match kind {
            Kind::ConnectTimeout => UNAVAILABLE,
            Kind::ReadTimeout | Kind::WriteTimeout | Kind::BodyTimeout => DEADLINE_EXCEEDED,
            _ => Self::of_status(status),
        }
    }

    /// As gRPC's `http-grpc-status-mapping.md` has it, which knows no 408, 431 and 504 of proxies.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 | 405 => UNIMPLEMENTED,
            408 | 504 => DEADLINE_EXCEEDED,
            413 | 414 | 431 => RESOURCE_EXHAUSTED,
            429 | 502 | 503 => UNAVAILABLE,
            _ => UNKNOWN,
        }
    }
}

/// Whether a request is a gRPC call. gRPC-Web is not: its clients read statuses of HTTP.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// A response without messages, which has its trailers in its head ("trailers-only").
pub(crate) fn response(code: Code, message: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    let grpc = HeaderValue::from_static("application/grpc");
    headers.insert(CONTENT_TYPE, grpc);
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code.0));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_content_type() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_call(&headers), expected, "{kind}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }
}
