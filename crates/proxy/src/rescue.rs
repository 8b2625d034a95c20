//! The one place where an error becomes a response, a log field and a metric.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use crate::error::{Kind, ProxyError, Rejection, Side};
use crate::grpc::{self, Code};

/// Who reads a response of ours.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    /// Somebody with this Accept header.
    Http(Option<HeaderValue>),
    /// A gRPC client, which makes nothing of a status of HTTP.
    Grpc,
}

/// The response to an error, without its bookkeeping.
pub(crate) fn response(error: &ProxyError, reader: &Reader) -> Response<Bytes> {
    let status = status(error.kind);
    let accept = match reader {
        Reader::Http(accept) => accept.as_ref(),
        Reader::Grpc => {
            return grpc::response(Code::of_error(error.kind, status), reason(status));
        }
    };
    let mut response = page(status, accept);
    let headers = response.headers_mut();
    match error.kind {
        Kind::Rejected(Rejection::MethodNotAllowed) => {
            let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        Kind::NoService
        | Kind::NoPort
        | Kind::NoEndpoints
        | Kind::UnresolvedHost
        | Kind::Overloaded
        | Kind::OutOfMemory
        | Kind::UpstreamFull
        | Kind::InvalidTls => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// A response that says its status in the form that the client understands, and nothing else: no text
/// of the request, no name of the cluster.
pub(crate) fn plain(status: StatusCode, reader: &Reader) -> Response<Bytes> {
    match reader {
        Reader::Http(accept) => page(status, accept.as_ref()),
        Reader::Grpc => grpc::response(Code::of_status(status), reason(status)),
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn page(status: StatusCode, accept: Option<&HeaderValue>) -> Response<Bytes> {
    let reason = reason(status);
    let code = status.as_u16();
    let (kind, text) = match Format::negotiate(accept) {
        Format::Html => (
            "text/html; charset=utf-8",
            format!(
                "<!doctype html>\n<html><head><title>{code} {reason}</title></head>\
                 <body><h1>{code} {reason}</h1></body></html>\n"
            ),
        ),
        Format::Json => (
            "application/json",
            format!("{{\"status\":{code},\"error\":\"{reason}\"}}\n"),
        ),
        Format::Text => ("text/plain; charset=utf-8", format!("{code} {reason}\n")),
    };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Makes a local response fit the request: HEAD is told the length of what it does not get.
pub(crate) fn fit(response: &mut Response<Bytes>, method: &Method) {
    if *method == Method::HEAD {
        let length = HeaderValue::from(response.body().len());
        insert(response.headers_mut(), header::CONTENT_LENGTH, length);
        *response.body_mut() = Bytes::new();
    }
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: HeaderValue) {
    headers.insert(name, value);
}

pub(crate) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Rejected(rejection) => rejection.status(),
        Kind::NoRoute => StatusCode::NOT_FOUND,
        Kind::NoService
        | Kind::NoPort
        | Kind::NoEndpoints
        | Kind::UnresolvedHost
        | Kind::Overloaded
        | Kind::OutOfMemory
        | Kind::UpstreamFull
        | Kind::InvalidTls => StatusCode::SERVICE_UNAVAILABLE,
        Kind::ConnectFailed | Kind::UpstreamClosed | Kind::InvalidResponse => {
            StatusCode::BAD_GATEWAY
        }
        Kind::ConnectTimeout | Kind::ReadTimeout | Kind::WriteTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
        Kind::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::InvalidBody => StatusCode::BAD_REQUEST,
        Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

/// Tells the operator's log what the client is not told. Clients' own faults are in the access log and
/// would flood this one.
pub(crate) fn report(error: &ProxyError, service: &str, endpoint: Option<std::net::SocketAddr>) {
    if error.side != Side::Client {
        let cause = error.source.as_deref().map(tracing::field::display);
        tracing::debug!(
            reason = error.kind.label(),
            service,
            ?endpoint,
            cause,
            "request failed"
        );
    }
}

enum Format {
    Html,
    Json,
    Text,
}

impl Format {
    /// The first of ours that the Accept header names; weights are not worth parsing for an error.
    fn negotiate(accept: Option<&HeaderValue>) -> Self {
        let ranges = accept
            .map_or(&b""[..], HeaderValue::as_bytes)
            .split(|byte| *byte == b',');
        for range in ranges {
            let kind = range.split(|byte| *byte == b';').next().unwrap_or_default();
            match kind.trim_ascii() {
                b"text/html" | b"application/xhtml+xml" => return Self::Html,
                b"application/json" => return Self::Json,
                b"text/plain" => return Self::Text,
                kind if kind.ends_with(b"+json") => return Self::Json,
                _ => {}
            }
        }
        Self::Text
    }
}

#[cfg(test)]
mod tests;
