//! What a worker keeps about a route, so that a request looks nothing up by name.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{Filter, HostPattern, RequestPolicy, RuleId, UpstreamPolicy, UpstreamProtocol};
use fairway_router::{Route, Target, Upstream, UpstreamKey};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::access_log;
use crate::clock::{Clock, Tick};
use crate::config::Protocol;
use crate::metrics::{RouteLabels, RouteSeries, Shard};
use crate::trace::SpanRoute;
use crate::upstream::client_tls::{ClientTls, ClientTlsCache, InvalidTls};
use crate::upstream::transport::Transport;

/// Routes without requests for so long are forgotten until they are met again: bounds the table when routes
/// churn. Their counters stay.
const KEEP: Duration = Duration::from_secs(3600);

/// A worker's view of one route.
#[derive(Debug)]
pub(crate) struct RouteState {
    id: RuleId,
    host: HostPattern,
    path: Arc<str>,
    filters: Vec<Filter>,
    upstreams: Vec<u64>,
    pub(crate) policy: Arc<UpstreamPolicy>,
    pub(crate) requests: Arc<RequestPolicy>,
    client_tls: OnceCell<Rc<ClientTls>>,
    /// What the backends are.
    pub(crate) keys: Vec<UpstreamKey>,
    /// What the access log says of each backend in JSON, or of the route without.
    logged: Vec<Box<[u8]>>,
    /// One for each backend, or a single one without.
    pub(crate) series: Vec<Arc<RouteSeries>>,
    pub(crate) request: Vec<HeaderChange>,
    pub(crate) response: Rc<[HeaderChange]>,
    used: Cell<Tick>,
}

/// A filter, ready to be applied.
#[derive(Debug)]
pub(crate) enum HeaderChange {
    Set(HeaderName, HeaderValue),
    Add(HeaderName, HeaderValue),
    Remove(HeaderName),
}

impl HeaderChange {
    pub(crate) fn apply_all(changes: &[Self], headers: &mut HeaderMap) {
        for change in changes {
            match change {
                Self::Set(name, value) => {
                    headers.insert(name.clone(), value.clone());
                }
                Self::Add(name, value) => {
                    headers.append(name.clone(), value.clone());
                }
                Self::Remove(name) => {
                    headers.remove(name);
                }
            }
        }
    }
}

/// The routes that a worker has met.
#[derive(Debug)]
pub(crate) struct RouteStates {
    clock: Rc<Clock>,
    shard: Arc<Shard>,
    /// By address, which is checked against the route: it may have been reused for another one.
    states: RefCell<HashMap<usize, Rc<RouteState>, foldhash::fast::RandomState>>,
}

impl RouteStates {
    pub(crate) fn new(clock: Rc<Clock>, shard: Arc<Shard>) -> Self {
        Self {
            clock,
            shard,
            states: RefCell::default(),
        }
    }

    pub(crate) fn of(&self, route: &Route) -> Rc<RouteState> {
        let address = std::ptr::from_ref(route).addr();
        let mut states = self.states.borrow_mut();
        if let Some(state) = states.get(&address)
            && state.is_of(route)
        {
            state.used.set(self.clock.now());
            return state.clone();
        }
        let state = Rc::new(self.create(route));
        states.insert(address, state.clone());
        state
    }

    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        let mut states = self.states.borrow_mut();
        states.retain(|_, state| !state.is_retired() && now.since(state.used.get()) < KEEP);
    }

    fn create(&self, route: &Route) -> RouteState {
        let labels = RouteLabels {
            host: route.host.to_string(),
            path: route.path.to_string(),
            namespace: route.id.object.name.namespace.to_string(),
            ingress: route.id.object.name.name.to_string(),
            ..RouteLabels::default()
        };
        let (series, upstreams) = match &route.target {
            Target::Forward(backends) => backends
                .iter()
                .map(|(_, upstream)| {
                    let series = self.shard.route(RouteLabels {
                        service: upstream.key.service.name.to_string(),
                        port: upstream.key.port.to_string(),
                        ..labels.clone()
                    });
                    (series, upstream.id)
                })
                .unzip(),
            Target::Redirect(_) | Target::Respond(_) => {
                (vec![self.shard.route(labels)], Vec::new())
            }
        };
        let keys: Vec<UpstreamKey> = match &route.target {
            Target::Forward(backends) => backends.iter().map(|(_, it)| it.key.clone()).collect(),
            Target::Redirect(_) | Target::Respond(_) => Vec::new(),
        };
        let logged = match keys.is_empty() {
            true => vec![access_log::json_route(&route.id, None)],
            false => keys
                .iter()
                .map(|key| access_log::json_route(&route.id, Some(key)))
                .collect(),
        };
        let (request, response) = compile(&route.filters);
        RouteState {
            id: route.id.clone(),
            host: route.host.clone(),
            path: route.path.clone(),
            filters: route.filters.clone(),
            upstreams,
            policy: route.policy.clone(),
            requests: route.requests.clone(),
            client_tls: OnceCell::new(),
            keys,
            logged,
            series,
            request,
            response: response.into(),
            used: Cell::new(self.clock.now()),
        }
    }
}

impl RouteState {
    /// How an upstream of the route is spoken to.
    pub(crate) fn transport(
        &self,
        upstream: &Upstream,
        cache: &ClientTlsCache,
    ) -> Result<Transport, InvalidTls> {
        let protocol = self.policy.protocol.or_else(|| upstream.protocol());
        let (protocol, has_tls) = match protocol.unwrap_or(UpstreamProtocol::Http1) {
            UpstreamProtocol::Http1 => (Protocol::Http1, false),
            UpstreamProtocol::Http2 => (Protocol::Http2, false),
            UpstreamProtocol::Https => (Protocol::Http1, true),
            UpstreamProtocol::Http2Tls => (Protocol::Http2, true),
        };
        let tls = match (has_tls, self.client_tls.get()) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => {
                let tls = cache.of(&self.policy.tls)?;
                Some(self.client_tls.get_or_init(|| tls).clone())
            }
        };
        Ok(Transport { protocol, tls })
    }

    /// What the access log tells of a request to one of the backends.
    pub(crate) fn logged(&self, backend: usize) -> access_log::Route<'_> {
        access_log::Route {
            id: &self.id,
            host: &self.host,
            path: &self.path,
            upstream: self.keys.get(backend),
            json: self.logged.get(backend).map_or(b"", |json| json),
        }
    }

    /// What a span tells of it.
    pub(crate) fn spanned(&self, backend: usize) -> SpanRoute {
        let object = &self.id.object.name;
        SpanRoute {
            path: self.path.to_string(),
            namespace: object.namespace.to_string(),
            ingress: object.name.to_string(),
            service: self
                .keys
                .get(backend)
                .map(|key| key.service.name.to_string()),
        }
    }

    /// Whether the route was gone since it was met, so that nobody asks for its counters.
    fn is_retired(&self) -> bool {
        self.series.iter().any(|series| series.is_retired())
    }

    fn is_of(&self, route: &Route) -> bool {
        let same_target = match &route.target {
            Target::Forward(backends) => backends
                .iter()
                .map(|(_, upstream)| upstream.id)
                .eq(self.upstreams.iter().copied()),
            Target::Redirect(_) | Target::Respond(_) => self.upstreams.is_empty(),
        };
        same_target
            && !self.is_retired()
            && self.id == route.id
            && self.host == route.host
            && self.path == route.path
            && self.filters == route.filters
            && self.policy == route.policy
            && self.requests == route.requests
    }
}

/// Splits filters into changes of requests and of responses. Whoever declares a filter has checked its
/// name and value; one that is no header all the same changes nothing.
fn compile(filters: &[Filter]) -> (Vec<HeaderChange>, Vec<HeaderChange>) {
    let set =
        |name: &str, value: &str| Some(HeaderChange::Set(name.parse().ok()?, value.parse().ok()?));
    let add =
        |name: &str, value: &str| Some(HeaderChange::Add(name.parse().ok()?, value.parse().ok()?));
    let remove = |name: &str| Some(HeaderChange::Remove(name.parse().ok()?));
    let mut request = Vec::new();
    let mut response = Vec::new();
    for filter in filters {
        match filter {
            Filter::SetRequestHeader(name, value) => request.extend(set(name, value)),
            Filter::AddRequestHeader(name, value) => request.extend(add(name, value)),
            Filter::RemoveRequestHeader(name) => request.extend(remove(name)),
            Filter::SetResponseHeader(name, value) => response.extend(set(name, value)),
            Filter::AddResponseHeader(name, value) => response.extend(add(name, value)),
            Filter::RemoveResponseHeader(name) => response.extend(remove(name)),
            // The router has compiled it.
            Filter::RewritePath(_) => {}
        }
    }
    (request, response)
}
