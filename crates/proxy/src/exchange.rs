//! The life of a request: admitted, routed, rewritten, sent, answered.

mod hash_key;
mod response;
mod route;

use std::convert::Infallible;
use std::future::ready;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::Either;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use crate::body::{RequestBody, ResponseBody};
use crate::config::Protocol;
use crate::dispatch::Dispatch;
use crate::downstream::connection::Client;
use crate::error::{Kind, ProxyError, Rejection};
use crate::forwarding;
use crate::gate::{self, Upgrade};
use crate::grpc;
use crate::hop_by_hop;
use crate::record::Record;
use crate::rescue::{self, Reader};
use crate::route_state::{HeaderChange, RouteState};
use crate::tls::{self, Verdict};
use response::{Answer, ask_for, finish, prepare, switches_to};
use route::{ClearText, Destination, Upstream};

/// Answers one request of a client connection. Errors become responses; nothing else can fail.
pub(crate) fn serve(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    client.wire.watch.accepted(!request.body().is_end_stream());
    let mut record = Record::new(&client, &request);
    let reader = reader(&client, &request);
    let method = request.method().clone();
    let mut forward = match plan(&client, request, &reader, &mut record) {
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
            let answer = rescue(&client, &error, &reader, &mut record);
            return Either::Left(ready(Ok(finish(&client, answer, &method, record))));
        }
    };
    Either::Right(async move {
        let answer = match forward.run(&client, &mut record).await {
            Ok(answer) => answer,
            Err(error) => rescue(&client, &error, &reader, &mut record),
        };
        Ok(finish(&client, answer, &method, record))
    })
}

/// Who will read what we may have to say. Without HTTP/2 there is no gRPC.
fn reader(client: &Client, request: &Request<Incoming>) -> Reader {
    if client.protocol == Protocol::Http2 && grpc::is_call(request.headers()) {
        client.wire.watch.be_patient();
        return Reader::Grpc;
    }
    Reader::Http(request.headers().get(header::ACCEPT).cloned())
}

fn rescue(client: &Client, error: &ProxyError, reader: &Reader, record: &mut Record) -> Answer {
    if let Kind::Rejected(rejection) = error.kind {
        client.worker.shard.rejected(rejection);
        // A misdirected request is well understood, and others on the connection are welcome, unless it is the
        // connection that is out of date.
        let outdated = client.tls.as_ref().is_some_and(|tls| tls.is_outdated());
        if rejection != Rejection::Misdirected || outdated {
            client.refuse();
        }
    }
    record.reason = Some(error.kind.label());
    rescue::report(error, record.service(), record.endpoint());
    Answer::Own(rescue::response(error, reader))
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

/// A request, rewritten, and where it goes.
struct Forward {
    request: Option<Request<RequestBody>>,
    upstream: Upstream,
    /// What it asks for instead of HTTP.
    upgrade: Option<HeaderValue>,
}

fn plan(
    client: &Client,
    mut request: Request<Incoming>,
    reader: &Reader,
    record: &mut Record,
) -> Result<Plan, ProxyError> {
    let seen = client.wire.head_complete().ok_or(Rejection::Syntax)?;
    let admitted = gate::admit(&request, seen, &client.worker.config.limits)?;
    if request.uri().path() == "*" {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(Plan::Own(response));
    }
    let worker = &client.worker;
    if worker.requests.get() > worker.config.limits.requests_per_worker {
        return Err(ProxyError::new(Kind::Overloaded));
    }
    if worker.is_short_of_memory() {
        worker.shard.requests_shed.add(1);
        client.refuse();
        return Err(ProxyError::new(Kind::OutOfMemory));
    }
    let clear_text = match tls::judge(
        client,
        &admitted.host,
        request.uri().path(),
        request.headers(),
    ) {
        Verdict::Serve => None,
        Verdict::ServeStrictly => {
            record.strictly = true;
            None
        }
        Verdict::ClearText(redirected) => Some(ClearText::Redirected(redirected)),
        Verdict::SendToHttps => Some(ClearText::Refused),
        Verdict::Misdirected => return Err(Rejection::Misdirected.into()),
    };
    // The places of later filters: rate limits, allow lists, authentication.
    let upstream = match route::find(client, &mut request, &admitted, clear_text, reader, record)? {
        Destination::Own(response) => return Ok(Plan::Own(response)),
        Destination::Upstream(upstream) => upstream,
    };
    let upgrade = granted(admitted.upgrade, &upstream.route)?;
    let largest = upstream.route.requests.max_body;
    // Before anything is sent, and before the client is told to continue.
    if request.body().size_hint().lower() > largest {
        return Err(ProxyError::new(Kind::BodyTooLarge));
    }
    rewrite(
        client,
        &mut request,
        &upstream.route,
        upgrade.as_ref(),
        record,
    );
    Ok(Plan::Forward(Forward {
        request: Some(request.map(|body| RequestBody::new(body, client.wire.clone(), largest))),
        upstream,
        upgrade,
    }))
}

/// The protocol that a client may switch to. A wish that the route does not allow is not passed on: the
/// request is one like others.
fn granted(wish: Option<Upgrade>, route: &RouteState) -> Result<Option<HeaderValue>, ProxyError> {
    let Some(wish) = wish else {
        return Ok(None);
    };
    let wanted = wish.protocol.as_bytes();
    let mut allowed = route.requests.upgrades.iter();
    if !allowed.any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(wanted)) {
        return Ok(None);
    }
    match wish.has_body {
        true => Err(Rejection::UpgradeWithBody.into()),
        false => Ok(Some(wish.protocol)),
    }
}

impl Forward {
    async fn run(
        &mut self,
        client: &Rc<Client>,
        record: &mut Record,
    ) -> Result<Answer, ProxyError> {
        let upstream = &mut self.upstream;
        let mut dispatch = Dispatch {
            client,
            choice: &mut upstream.choice,
            transport: &upstream.transport,
            policy: &upstream.route.policy,
            times: upstream.times,
            record,
            request: &mut self.request,
        };
        let Some(protocol) = self.upgrade.take() else {
            let mut response = dispatch.send().await?;
            prepare(&mut response, &upstream.route)?;
            return Ok(Answer::Upstream(response));
        };
        let mut response = Box::pin(dispatch.upgrade()).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            prepare(&mut response, &upstream.route)?;
            return Ok(Answer::Upstream(response));
        }
        if !switches_to(&protocol, &response) {
            return Err(ProxyError::new(Kind::InvalidResponse));
        }
        hop_by_hop::strip_response(response.headers_mut());
        ask_for(protocol, response.headers_mut());
        HeaderChange::apply_all(&upstream.route.response, response.headers_mut());
        Ok(Answer::Switched(response, upstream.times))
    }
}

fn rewrite(
    client: &Client,
    request: &mut Request<Incoming>,
    route: &RouteState,
    upgrade: Option<&HeaderValue>,
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
    if let Some(trace) = &record.trace {
        trace.forward(request.headers_mut(), &worker.random);
    }
    HeaderChange::apply_all(&route.request, request.headers_mut());
    if let Some(protocol) = upgrade {
        ask_for(protocol.clone(), request.headers_mut());
    }
    // What the client speaks is between it and us; keep-alive needs 1.1.
    *request.version_mut() = Version::HTTP_11;
}
