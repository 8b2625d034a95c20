//! Where a request goes.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;
use fairway_router::{Fields, Path, Request as RouteRequest, Target};
use http::header::{self, HeaderMap};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::hash_key;
use crate::dispatch::Times;
use crate::downstream::connection::Client;
use crate::error::{Kind, ProxyError, Rejection};
use crate::forwarding;
use crate::gate::Admitted;
use crate::record::Record;
use crate::redirect::{self, Asked};
use crate::rescue::{self, Reader};
use crate::route_state::RouteState;
use crate::upstream::choice::Choice;
use crate::upstream::transport::Transport;

/// Who answers.
pub(super) enum Destination {
    Own(Response<Bytes>),
    Upstream(Upstream),
}

/// What becomes of a request that came in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClearText {
    /// It is sent to https whatever its route says.
    Refused,
    /// Its route says whether it is sent to https; if that does not, this holds.
    Redirected(bool),
}

/// Endpoints, and how to deal with them.
pub(super) struct Upstream {
    pub(super) route: Rc<RouteState>,
    pub(super) choice: Choice,
    pub(super) transport: Transport,
    pub(super) times: Times,
}

/// Finds where the request goes, and brings its target into the form that was looked at.
pub(super) fn find(
    client: &Client,
    request: &mut Request<Incoming>,
    admitted: &Admitted,
    clear_text: Option<ClearText>,
    reader: &Reader,
    record: &mut Record,
) -> Result<Destination, ProxyError> {
    let worker = &client.worker;
    let raw = match request.uri().path() {
        "" => "/",
        path => path,
    };
    let path = Path::parse(raw).map_err(|_| Rejection::Path)?;
    let routes = worker.routes.load();
    let asked = RouteRequest {
        host: &admitted.host,
        path: &path,
        method: request.method().as_str(),
    };
    let conditions = Conditions {
        headers: request.headers(),
        query: request.uri().query(),
        trusted: client.sender.trusted,
    };
    let route = routes.find_with(asked, &conditions);
    let to_https = clear_text.is_some_and(|clear_text| match clear_text {
        ClearText::Refused => true,
        ClearText::Redirected(otherwise) => {
            route.and_then(|it| it.requests.https).unwrap_or(otherwise)
        }
    });
    if to_https {
        // As with nginx, what a route says of its responses holds for this one.
        if let Some(route) = route {
            record.route_to(&worker.route_states.of(route), 0);
        }
        return Ok(Destination::Own(redirect::to_https(request)?));
    }
    let route = route.ok_or_else(|| ProxyError::new(Kind::NoRoute))?;
    let state = worker.route_states.of(route);
    record.route_to(&state, 0);
    let rewritten = route.rewrite.as_ref().map(|it| it.apply(&path));
    let rewritten = rewritten.transpose().map_err(|_| Rejection::Path)?;
    let rewritten = rewritten.flatten();
    let forwarded = rewritten.as_deref().unwrap_or(&path.forwarded);
    let backends = match &route.target {
        Target::Forward(backends) => backends,
        Target::Respond(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_FOUND);
            return Ok(Destination::Own(rescue::plain(status, reader)));
        }
        Target::Redirect(redirect) => {
            let asked = Asked {
                https: client.sender.is_https(request.headers()),
                host: request.headers().get(header::HOST),
                path: forwarded,
                query: request.uri().query(),
            };
            return Ok(Destination::Own(redirect::response(redirect, asked)?));
        }
    };
    let index = worker
        .balancer
        .backend(backends)
        .ok_or_else(|| ProxyError::new(Kind::NoEndpoints))?;
    record.route_to(&state, index);
    let upstream = &backends[index].1;
    let policy = &route.policy;
    let key = hash_key::of(
        &policy.balancing,
        client,
        request.headers(),
        request.uri(),
        &path.forwarded,
    );
    let choice = worker.balancer.choose(upstream, policy, key);
    let choice = choice.map_err(ProxyError::new)?;
    let transport = state
        .transport(upstream, &worker.client_tls)
        .map_err(|error| ProxyError::because(Kind::InvalidTls, error))?;
    let times = Times::of(&route.policy, reader);
    let target = target(request.uri(), forwarded)?;
    if let Some(target) = target {
        *request.uri_mut() = target;
    }
    Ok(Destination::Upstream(Upstream {
        route: state,
        choice,
        transport,
        times,
    }))
}

/// The target for the upstream, in origin form; None where the client's can stay.
fn target(uri: &Uri, forwarded: &str) -> Result<Option<Uri>, Rejection> {
    if uri.scheme().is_none() && uri.path() == forwarded {
        return Ok(None);
    }
    if uri.path() == forwarded
        && let Some(target) = uri.path_and_query()
        && target.as_str().starts_with('/')
    {
        return Ok(Some(Uri::from(target.clone())));
    }
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{forwarded}?{query}")),
        None => PathAndQuery::try_from(forwarded),
    };
    target
        .map(|target| Some(Uri::from(target)))
        .map_err(|_| Rejection::Path)
}

/// What routes with conditions may ask about a request. What the upstream will not be told does not
/// count: the client could say anything there.
struct Conditions<'a> {
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    trusted: bool,
}

impl Fields for Conditions<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if forwarding::is_dropped(name, self.trusted) {
            return None;
        }
        let mut values = self.headers.get_all(name).iter();
        let first = Cow::Borrowed(values.next()?.as_bytes());
        Some(values.fold(first, |mut joined, value| {
            let text = joined.to_mut();
            text.extend_from_slice(b", ");
            text.extend_from_slice(value.as_bytes());
            joined
        }))
    }

    fn query_parameter(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut parameters = form_urlencoded::parse(self.query?.as_bytes());
        let (_, value) = parameters.find(|(key, _)| key == name)?;
        Some(match value {
            Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
            Cow::Owned(value) => Cow::Owned(value.into_bytes()),
        })
    }
}
