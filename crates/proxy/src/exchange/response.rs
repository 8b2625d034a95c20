//! What a request is answered with.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, Version};

use crate::body::ResponseBody;
use crate::dispatch::Times;
use crate::downstream::connection::Client;
use crate::downstream::watch::Upload;
use crate::error::{Kind, ProxyError};
use crate::hop_by_hop;
use crate::record::Record;
use crate::rescue;
use crate::route_state::{HeaderChange, RouteState};
use crate::tunnel::Tunnel;
use crate::upstream::connection::UpstreamBody;

/// What a request is answered with.
pub(super) enum Answer {
    Own(Response<Bytes>),
    Upstream(Response<UpstreamBody>),
    /// The upstream agreed to leave HTTP; for how long both may then be silent.
    Switched(Response<UpstreamBody>, Times),
}

/// Makes a response head fit for the client.
pub(super) fn prepare(
    response: &mut Response<UpstreamBody>,
    route: &RouteState,
) -> Result<(), ProxyError> {
    let is_unclear = response.body().is_stream() && !is_unambiguous(response.headers());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || is_unclear {
        return Err(ProxyError::new(Kind::InvalidResponse));
    }
    let headers = response.headers_mut();
    hop_by_hop::strip_response(headers);
    HeaderChange::apply_all(&route.response, headers);
    *response.version_mut() = Version::HTTP_11;
    Ok(())
}

/// Whether every reader of an HTTP/2 response agrees about its length; h2 takes the first and has refused
/// Transfer-Encoding. Heads of HTTP/1.1 are read as strictly when they arrive.
fn is_unambiguous(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    lengths.next().is_none()
        && length.is_none_or(|length| {
            !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        })
}

/// Whether the upstream switches to what it was asked for. One that does not say is believed.
pub(super) fn switches_to(protocol: &HeaderValue, response: &Response<UpstreamBody>) -> bool {
    let told = response.headers().get(header::UPGRADE);
    told.is_none_or(|told| told.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()))
}

/// Adds what a wish for another protocol, and the 101, have to say on each connection.
pub(super) fn ask_for(protocol: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Gives the answer the form that the client gets, and hands the account of the request to its body.
pub(super) fn finish(
    client: &Client,
    answer: Answer,
    method: &Method,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let wire = client.wire.clone();
    match answer {
        Answer::Own(mut response) => {
            rescue::fit(&mut response, method);
            // As nginx's `add_header ... always`: what a route says of its responses holds for errors, too.
            if let Some(route) = record.route() {
                HeaderChange::apply_all(&route.response, response.headers_mut());
            }
            complete(client, &mut response, &mut record);
            response.map(|text| ResponseBody::own(text, wire, record))
        }
        Answer::Upstream(mut response) => {
            complete(client, &mut response, &mut record);
            response.map(|body| ResponseBody::upstream(body, wire, record))
        }
        Answer::Switched(response, times) => {
            record.answer(&response);
            response.map(|upstream| {
                client.switch(Tunnel {
                    upstream,
                    idle: times.read,
                    record,
                });
                ResponseBody::none(wire)
            })
        }
    }
}

/// Adds what we have to say ourselves. Nothing changes the head after this.
fn complete<B>(client: &Client, response: &mut Response<B>, record: &mut Record) {
    // The rest of the request is not read once the response is over, which leaves no room for another one. That
    // it may still end first is not known yet; Envoy does not wait to see, either.
    if !matches!(client.wire.watch.upload_state(), Upload::Complete(_)) {
        client.refuse();
    }
    let headers = response.headers_mut();
    if !headers.contains_key(header::SERVER) {
        headers.insert(header::SERVER, HeaderValue::from_static("fairway"));
    }
    if record.strictly
        && let Some(value) = &client.worker.strict_transport_security
        && !headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
    }
    if client.is_last_request() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    record.answer(response);
}
