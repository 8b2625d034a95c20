//! The request in the form that the endpoint's protocol wants.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery};
use http::{Method, Request, Uri, Version};

use crate::body::RequestBody;
use crate::config::Protocol;
use crate::downstream::connection::Client;
use crate::error::Rejection;
use crate::upstream::transport::Transport;

/// Puts what is missing into a rewritten request. One that has been through this stays as it is.
pub(super) fn prepare(
    request: &mut Request<RequestBody>,
    endpoint: SocketAddr,
    transport: &Transport,
) -> Result<(), Rejection> {
    match transport.protocol {
        Protocol::Http1 => {
            name_host(request.headers_mut(), endpoint);
            if !request.body().is_empty() {
                announce_body(request.headers_mut());
            }
        }
        Protocol::Http2 if request.uri().authority().is_none() => {
            name_host(request.headers_mut(), endpoint);
            let host = request.headers_mut().remove(header::HOST);
            let host = host.ok_or(Rejection::MissingHost)?;
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = target(&host, path, transport)?;
            request.headers_mut().remove(header::TRANSFER_ENCODING);
            *request.version_mut() = Version::HTTP_2;
        }
        Protocol::Http2 => {}
    }
    Ok(())
}

/// HTTP/1.1 wants a Host, even if the client had none to give.
fn name_host(headers: &mut HeaderMap, endpoint: SocketAddr) {
    if !headers.contains_key(header::HOST) {
        let host =
            HeaderValue::try_from(endpoint.to_string()).expect("an address is a header value");
        headers.insert(header::HOST, host);
    }
}

/// Says that a body follows if its length is not known, as in HTTP/2.
fn announce_body(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
    {
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(header::TRANSFER_ENCODING, chunked);
    }
}

/// What becomes `:scheme`, `:authority` and `:path`.
fn target(
    host: &HeaderValue,
    path: Option<PathAndQuery>,
    transport: &Transport,
) -> Result<Uri, Rejection> {
    let host = Bytes::copy_from_slice(host.as_bytes());
    let authority = Authority::from_maybe_shared(host).map_err(|_| Rejection::InvalidHost)?;
    let mut parts = Parts::default();
    parts.scheme = Some(transport.scheme());
    parts.authority = Some(authority);
    parts.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|_| Rejection::Target)
}

/// The head of a request without body, should it be needed again.
#[derive(Debug)]
pub(super) struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Spare {
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    pub(super) fn into_request(self, client: &Client) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::none(client.wire.clone()));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Whether RFC 9110 section 9.2.2 allows to do the request twice.
pub(super) fn is_idempotent(request: &Request<RequestBody>) -> bool {
    matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}
