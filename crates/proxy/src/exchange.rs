//! The life of a request: admitted, routed, rewritten, sent, answered.

use std::convert::Infallible;
use std::future::ready;
use std::rc::Rc;

use bytes::Bytes;
use fairway_router::{Path, Request as RouteRequest, Target};
use futures_util::future::Either;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};

use crate::body::{RequestBody, ResponseBody};
use crate::dispatch::{Dispatch, Times};
use crate::downstream::connection::Client;
use crate::downstream::watch::Upload;
use crate::error::{Kind, ProxyError, Rejection};
use crate::forwarding;
use crate::gate::{self, Admitted};
use crate::hop_by_hop;
use crate::record::Record;
use crate::redirect;
use crate::rescue;
use crate::route_state::{HeaderChange, RouteState};
use crate::tls::{self, Verdict};
use crate::tunnel::Tunnel;
use crate::upstream::balance::Choice;
use crate::upstream::connect::Parts;
use crate::upstream::pool::Lease;

/// Answers one request of a client connection. Errors become responses; nothing else can fail.
pub(crate) fn serve(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    client.wire.watch.accepted(!request.body().is_end_stream());
    let mut record = Record::new(&client.worker, &client.sender.peer, &request);
    let accept = request.headers().get(header::ACCEPT).cloned();
    let method = request.method().clone();
    let mut forward = match plan(&client, request, &mut record) {
        Ok(Plan::Forward(forward)) => forward,
        Ok(Plan::Own(response)) => {
            return Either::Left(ready(Ok(finish(
                &client,
                Answer::Own(response),
                &method,
                record,
            ))));
        }
        Err(error) => {
            let answer = rescue(&client, &error, accept.as_ref(), &mut record);
            return Either::Left(ready(Ok(finish(&client, answer, &method, record))));
        }
    };
    Either::Right(async move {
        let answer = match forward.run(&client, &mut record).await {
            Ok(answer) => answer,
            Err(error) => rescue(&client, &error, accept.as_ref(), &mut record),
        };
        Ok(finish(&client, answer, &method, record))
    })
}

fn rescue(
    client: &Client,
    error: &ProxyError,
    accept: Option<&HeaderValue>,
    record: &mut Record,
) -> Answer {
    if let Kind::Rejected(rejection) = error.kind {
        client.worker.shard.rejected(rejection);
        client.refuse();
    }
    record.reason = Some(error.kind.label());
    rescue::report(error, &record.stats.labels.service, record.endpoint);
    Answer::Own(rescue::response(error, accept))
}

/// What is to be done about a request, decided without waiting for anybody.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost every request an allocation"
)]
enum Plan {
    Own(Response<Bytes>),
    Forward(Forward),
}

/// What a request is answered with.
enum Answer {
    Own(Response<Bytes>),
    Upstream(Response<Incoming>, Lease),
    /// The upstream agreed to leave HTTP; for how long both may then be silent.
    Switched(Response<Incoming>, Parts, Times),
}

/// A request, rewritten, and where it goes.
struct Forward {
    request: Option<Request<RequestBody>>,
    route: Rc<RouteState>,
    choice: Choice,
    times: Times,
    websocket: bool,
}

fn plan(
    client: &Client,
    mut request: Request<Incoming>,
    record: &mut Record,
) -> Result<Plan, ProxyError> {
    let seen = client.wire.head_complete(!request.body().is_end_stream());
    let admitted = gate::admit(&request, seen, &client.worker.config.limits)?;
    if request.uri().path() == "*" {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(Plan::Own(response));
    }
    match tls::judge(
        client,
        &admitted.host,
        request.uri().path(),
        request.headers(),
    ) {
        Verdict::Serve => {}
        Verdict::ServeStrictly => record.strictly = true,
        Verdict::SendToHttps => return Ok(Plan::Own(redirect::to_https(&request))),
        Verdict::Misdirected => return Err(Rejection::Misdirected.into()),
    }
    // The places of later filters: rate limits, allow lists, authentication, body limits.
    let (route, choice, times) = match route(client, &mut request, &admitted, record)? {
        Destination::Own(response) => return Ok(Plan::Own(response)),
        Destination::Upstream(route, choice, times) => (route, choice, times),
    };
    rewrite(client, &mut request, &route, admitted.websocket, record);
    Ok(Plan::Forward(Forward {
        request: Some(request.map(|body| RequestBody::new(body, client.wire.clone()))),
        route,
        choice,
        times,
        websocket: admitted.websocket,
    }))
}

impl Forward {
    async fn run(
        &mut self,
        client: &Rc<Client>,
        record: &mut Record,
    ) -> Result<Answer, ProxyError> {
        let mut dispatch = Dispatch {
            client,
            choice: &mut self.choice,
            times: self.times,
            record,
            request: &mut self.request,
        };
        if !self.websocket {
            let (mut response, lease) = dispatch.send().await?;
            prepare(&mut response, &self.route)?;
            return Ok(Answer::Upstream(response, lease));
        }
        let (mut response, lease, parts) = Box::pin(dispatch.upgrade()).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            prepare(&mut response, &self.route)?;
            return Ok(Answer::Upstream(response, lease));
        }
        hop_by_hop::strip_response(response.headers_mut());
        ask_for_websocket(response.headers_mut());
        HeaderChange::apply_all(&self.route.response, response.headers_mut());
        Ok(Answer::Switched(response, parts, self.times))
    }
}

/// Where a request goes.
enum Destination {
    Own(Response<Bytes>),
    Upstream(Rc<RouteState>, Choice, Times),
}

/// Finds where the request goes, and brings its target into the form that was looked at.
fn route(
    client: &Client,
    request: &mut Request<Incoming>,
    admitted: &Admitted,
    record: &mut Record,
) -> Result<Destination, ProxyError> {
    let worker = &client.worker;
    let raw = match request.uri().path() {
        "" => "/",
        path => path,
    };
    let path = Path::parse(raw).map_err(|_| Rejection::Path)?;
    let routes = worker.routes.load();
    let route = routes
        .find(RouteRequest {
            host: &admitted.host,
            path: &path,
            method: request.method().as_str(),
        })
        .ok_or_else(|| ProxyError::new(Kind::NoRoute))?;
    let state = worker.route_states.of(route);
    if let Some(stats) = state.stats.first() {
        record.stats = stats.clone();
    }
    record.route = Some(state.clone());
    let backends = match &route.target {
        Target::Forward(backends) => backends,
        Target::Respond(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_FOUND);
            let accept = request.headers().get(header::ACCEPT);
            return Ok(Destination::Own(rescue::plain(status, accept)));
        }
        Target::Redirect(redirect) => {
            let host = request.headers().get(header::HOST);
            let query = request.uri().query();
            let response = redirect::response(redirect, host, &path.forwarded, query);
            return Ok(Destination::Own(response));
        }
    };
    let index = worker
        .balancer
        .backend(backends)
        .ok_or_else(|| ProxyError::new(Kind::NoEndpoints))?;
    record.stats = state.stats[index].clone();
    let choice = worker
        .balancer
        .choose(&backends[index].1)
        .map_err(ProxyError::new)?;
    let times = Times::of(&route.policy);
    let target = target(request.uri(), &path.forwarded)?;
    if let Some(target) = target {
        *request.uri_mut() = target;
    }
    Ok(Destination::Upstream(state, choice, times))
}

/// The target for the upstream, in origin form; None where the client's can stay.
fn target(uri: &Uri, forwarded: &str) -> Result<Option<Uri>, Rejection> {
    if uri.scheme().is_none() && uri.path() == forwarded {
        return Ok(None);
    }
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{forwarded}?{query}")),
        None => PathAndQuery::try_from(forwarded),
    };
    target
        .map(|target| Some(Uri::from(target)))
        .map_err(|_| Rejection::Path)
}

fn rewrite(
    client: &Client,
    request: &mut Request<Incoming>,
    route: &RouteState,
    websocket: bool,
    record: &mut Record,
) {
    let worker = &client.worker;
    let rewritten = forwarding::rewrite(
        request.headers_mut(),
        &client.sender,
        |address| worker.config.trusts(address),
        || worker.random.request_id(),
    );
    if rewritten.underscores > 0 {
        worker
            .shard
            .underscore_headers
            .add(u64::from(rewritten.underscores));
    }
    if let Some(session) = &client.tls {
        session.identify(request.headers_mut());
    }
    record.identify(&rewritten.request_id, rewritten.client);
    HeaderChange::apply_all(&route.request, request.headers_mut());
    if websocket {
        ask_for_websocket(request.headers_mut());
    }
    // What the client speaks is between it and us; keep-alive needs 1.1.
    *request.version_mut() = Version::HTTP_11;
}

/// Makes a response head fit for the client.
fn prepare(response: &mut Response<Incoming>, route: &RouteState) -> Result<(), ProxyError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !is_unambiguous(response) {
        return Err(ProxyError::new(Kind::InvalidResponse));
    }
    let headers = response.headers_mut();
    hop_by_hop::strip_response(headers);
    HeaderChange::apply_all(&route.response, headers);
    *response.version_mut() = Version::HTTP_11;
    Ok(())
}

/// Whether every reader of this head agrees about where the response ends.
fn is_unambiguous(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let encoding = encodings.next();
    let one_length = lengths.next().is_none()
        && length.is_none_or(|length| {
            !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        });
    let only_chunked = encodings.next().is_none()
        && encoding.is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    one_length && only_chunked && !(length.is_some() && encoding.is_some())
}

fn ask_for_websocket(headers: &mut http::HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

fn finish(
    client: &Client,
    answer: Answer,
    method: &Method,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let wire = client.wire.clone();
    let strictly = record.strictly;
    let mut response = match answer {
        Answer::Own(mut response) => {
            rescue::fit(&mut response, method);
            record.status = response.status().as_u16();
            // The rest of the body is not read, so the connection has no next request.
            if !matches!(wire.watch.upload_state(), Upload::Complete(_)) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response.map(|text| ResponseBody::own(text, wire, record))
        }
        Answer::Upstream(response, lease) => {
            record.status = response.status().as_u16();
            response.map(|body| ResponseBody::upstream(body, lease, wire, record))
        }
        Answer::Switched(response, upstream, times) => {
            record.status = response.status().as_u16();
            client.switch(Tunnel {
                upstream,
                idle: times.read,
                record,
            });
            return response.map(|_| ResponseBody::none(wire));
        }
    };
    let headers = response.headers_mut();
    if !headers.contains_key(header::SERVER) {
        headers.insert(header::SERVER, HeaderValue::from_static("fairway"));
    }
    if strictly
        && let Some(value) = &client.worker.strict_transport_security
        && !headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
    }
    if client.is_last_request() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
