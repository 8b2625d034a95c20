//! The account of one request, closed however the request ends.

mod attempt;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Method, StatusCode, Uri};
use smallvec::SmallVec;

use crate::access_log::Line;
use crate::downstream::connection::Client;
use crate::downstream::wire::Wire;
use crate::metrics::{self, Finished, RouteSeries};
use crate::route_state::RouteState;
use crate::upstream::admission::UnderWay;
use crate::worker::Worker;
use attempt::Attempt;

/// nginx's status for clients that went away before there was an answer; in logs and metrics only.
const CLIENT_CLOSED: u16 = 499;

/// Collects what log and metrics tell about a request, and tells it when dropped: a client that goes
/// away drops the request at whatever point it is.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Instant,
    series: Arc<RouteSeries>,
    method: metrics::Method,
    /// Tells how much of the body has arrived.
    wire: Option<Rc<Wire>>,
    pub(crate) status: u16,
    /// Of the response body.
    pub(crate) bytes: u64,
    attempts: SmallVec<[Attempt; 1]>,
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
    pub(crate) fn new<B>(client: &Client, request: &http::Request<B>) -> Box<Self> {
        let worker = &client.worker;
        let about = worker.log.is_on().then(|| About {
            method: Some(request.method().clone()),
            uri: Some(request.uri().clone()),
            host: request.headers().get(HOST).cloned(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            client: client.sender.peer.clone(),
            request_id: None,
        });
        let method = request.method().into();
        Self::start(worker, method, Some(client.wire.clone()), about)
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
        Self::start(worker, metrics::Method::Other, None, about)
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

    fn start(
        worker: &Rc<Worker>,
        method: metrics::Method,
        wire: Option<Rc<Wire>>,
        about: Option<About>,
    ) -> Box<Self> {
        worker.requests.set(worker.requests.get() + 1);
        worker.unrouted.start();
        Box::new(Self {
            worker: worker.clone(),
            started: worker.clock.refresh(),
            series: worker.unrouted.clone(),
            method,
            wire,
            status: CLIENT_CLOSED,
            bytes: 0,
            attempts: SmallVec::new(),
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

    /// The request is one of this route and backend.
    pub(crate) fn count_as(&mut self, series: &Arc<RouteSeries>) {
        if !Arc::ptr_eq(&self.series, series) {
            self.series.leave();
            series.start();
            self.series = series.clone();
        }
    }

    /// The Service that the request is for; empty where there is none.
    pub(crate) fn service(&self) -> &str {
        &self.series.labels.service
    }

    /// How many endpoints were tried, or one how often.
    pub(crate) fn tries(&self) -> u8 {
        u8::try_from(self.attempts.len()).unwrap_or(u8::MAX)
    }

    /// The endpoint that was tried last.
    pub(crate) fn endpoint(&self) -> Option<SocketAddr> {
        Some(self.attempts.last()?.endpoint)
    }

    /// An endpoint is asked.
    pub(crate) fn attempt(&mut self, endpoint: SocketAddr) {
        // The first one follows at once, and a look at the clock costs more than it can tell.
        let began = match self.attempts.is_empty() {
            true => Duration::ZERO,
            false => self.elapsed(),
        };
        self.attempts.push(Attempt::new(endpoint, began));
        if let Some(upstream) = &self.series.upstream {
            upstream.tries.add(1);
        }
    }

    /// There is a new connection to the endpoint.
    pub(crate) fn connected(&mut self) {
        let now = self.elapsed();
        let Some(attempt) = self.attempts.last_mut() else {
            return;
        };
        attempt.connected = Some(now);
        if let Some(upstream) = &self.series.upstream {
            upstream.connect.observe(now.saturating_sub(attempt.began));
        }
    }

    /// The head of the endpoint's answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        let now = self.elapsed();
        let Some(attempt) = self.attempts.last_mut() else {
            return;
        };
        attempt.answered = Some(now);
        attempt.status = Some(status.as_u16());
        if let Some(upstream) = &self.series.upstream {
            upstream.head.observe(now.saturating_sub(attempt.began));
        }
    }

    /// The endpoint could not be connected to, which the client would know as `status`.
    pub(crate) fn connect_failed(&mut self, status: u16) {
        self.failed(status);
        if let Some(upstream) = &self.series.upstream {
            upstream.connect_failures.add(1);
        }
    }

    /// Nothing came of the attempt, which the client would know as `status`.
    pub(crate) fn failed(&mut self, status: u16) {
        let now = self.elapsed();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended = Some(now);
            attempt.status = Some(status);
        }
    }

    fn elapsed(&self) -> Duration {
        let now = self.worker.clock.refresh();
        now.saturating_duration_since(self.started)
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
        let duration = self.elapsed();
        let last = self.attempts.last_mut();
        let upstream = last.and_then(|last| {
            last.answered?;
            let ended = *last.ended.get_or_insert(duration);
            Some(ended.saturating_sub(last.began))
        });
        let received = self
            .wire
            .as_ref()
            .map_or(0, |wire| wire.watch.received_body());
        self.series.finish(&Finished {
            method: self.method,
            status: self.status,
            duration,
            upstream,
            received,
            sent: self.bytes,
        });
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
            service: self.service(),
            endpoint: self.endpoint(),
            tries: self.tries(),
            request_id: about.request_id.as_ref().map(HeaderValue::as_bytes),
            user_agent: about.user_agent.as_ref().map(HeaderValue::as_bytes),
            reason: self.reason,
        });
    }
}
