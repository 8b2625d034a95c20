//! The account of one request, closed however the request ends.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Method, Uri};

use crate::access_log::Line;
use crate::metrics::RouteStats;
use crate::route_state::RouteState;
use crate::upstream::admission::UnderWay;
use crate::worker::Worker;

/// nginx's status for clients that went away before there was an answer; in logs and metrics only.
const CLIENT_CLOSED: u16 = 499;

/// Collects what log and metrics tell about a request, and tells it when dropped: a client that goes
/// away drops the request at whatever point it is.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Instant,
    pub(crate) stats: Arc<RouteStats>,
    pub(crate) status: u16,
    /// Of the response body.
    pub(crate) bytes: u64,
    pub(crate) tries: u8,
    pub(crate) endpoint: Option<SocketAddr>,
    /// Counts the request for the upstream that has it.
    pub(crate) under_way: Option<UnderWay>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) route: Option<Rc<RouteState>>,
    /// The response says that the host is to be had by TLS only.
    pub(crate) strictly: bool,
    complete: bool,
    about: Option<About>,
}

/// What only the log wants to know: shared bytes of the request, nothing is copied.
#[derive(Debug)]
struct About {
    method: Option<Method>,
    uri: Option<Uri>,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    client: HeaderValue,
    request_id: Option<HeaderValue>,
}

impl Record {
    pub(crate) fn new<B>(
        worker: &Rc<Worker>,
        client: &HeaderValue,
        request: &http::Request<B>,
    ) -> Box<Self> {
        let about = worker.log.is_on().then(|| About {
            method: Some(request.method().clone()),
            uri: Some(request.uri().clone()),
            host: request.headers().get(HOST).cloned(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            client: client.clone(),
            request_id: None,
        });
        Self::start(worker, about)
    }

    /// For what never became a request.
    pub(crate) fn without_request(worker: &Rc<Worker>, client: &HeaderValue) -> Box<Self> {
        let about = worker.log.is_on().then(|| About {
            method: None,
            uri: None,
            host: None,
            user_agent: None,
            client: client.clone(),
            request_id: None,
        });
        Self::start(worker, about)
    }

    /// For a connection whose requests are not seen.
    pub(crate) fn of_connection(worker: &Rc<Worker>, client: IpAddr, host: &str) -> Box<Self> {
        let client = client.to_canonical().to_string();
        let client = HeaderValue::try_from(client).expect("an address is a header value");
        let mut record = Self::without_request(worker, &client);
        if let Some(about) = &mut record.about {
            about.host = HeaderValue::try_from(host).ok();
        }
        record
    }

    fn start(worker: &Rc<Worker>, about: Option<About>) -> Box<Self> {
        worker.requests.set(worker.requests.get() + 1);
        Box::new(Self {
            worker: worker.clone(),
            started: worker.clock.refresh(),
            stats: worker.unrouted.clone(),
            status: CLIENT_CLOSED,
            bytes: 0,
            tries: 0,
            endpoint: None,
            under_way: None,
            reason: None,
            route: None,
            strictly: false,
            complete: false,
            about,
        })
    }

    pub(crate) fn identify(&mut self, request_id: &HeaderValue, client: Option<HeaderValue>) {
        if let Some(about) = &mut self.about {
            about.request_id = Some(request_id.clone());
            if let Some(client) = client {
                about.client = client;
            }
        }
    }

    /// The response reached its end.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// The response broke off through no fault of the client.
    pub(crate) fn broken(&mut self, reason: &'static str) {
        self.complete = true;
        self.reason = Some(reason);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.worker.requests.set(self.worker.requests.get() - 1);
        if !self.complete && self.reason.is_none() {
            self.reason = Some("client_closed");
        }
        let duration = self
            .worker
            .clock
            .refresh()
            .saturating_duration_since(self.started);
        self.stats.observe(self.status, duration);
        let Some(about) = &self.about else {
            return;
        };
        self.worker.log.write(&Line {
            client: about.client.as_bytes(),
            method: about.method.as_ref().map(Method::as_str),
            host: about.host.as_ref().map(HeaderValue::as_bytes),
            path: about.uri.as_ref().map(|uri| uri.path()),
            status: self.status,
            bytes: self.bytes,
            duration,
            route: self.route.as_deref().map(|route| &route.id),
            service: &self.stats.labels.service,
            endpoint: self.endpoint,
            tries: self.tries,
            request_id: about.request_id.as_ref().map(HeaderValue::as_bytes),
            user_agent: about.user_agent.as_ref().map(HeaderValue::as_bytes),
            reason: self.reason,
        });
    }
}
