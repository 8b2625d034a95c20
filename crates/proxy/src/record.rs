//! The account of one request, closed however the request ends.

mod about;
mod attempt;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response, StatusCode};
use smallvec::SmallVec;

use crate::access_log::Line;
use crate::clock::Moment;
use crate::downstream::connection::Client;
use crate::downstream::wire::Wire;
use crate::forwarding::Sender;
use crate::metrics::{self, Finished, RouteSeries};
use crate::route_state::RouteState;
use crate::trace::Trace;
use crate::upstream::admission::UnderWay;
use crate::worker::Worker;
use about::About;
pub(crate) use attempt::Attempt;

/// nginx's status for clients that went away before there was an answer, or that the end of a drain cut off;
/// in logs and metrics only.
const CLIENT_CLOSED: u16 = 499;

/// Collects what log, metrics and traces tell about a request, and tells it when dropped: a client that
/// goes away drops the request at whatever point it is.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Moment,
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
    route: Option<Rc<RouteState>>,
    /// Which of the route's.
    backend: usize,
    /// The response says that the host is to be had by TLS only.
    pub(crate) strictly: bool,
    complete: bool,
    pub(crate) trace: Option<Trace>,
    /// What only log and traces want to know.
    about: Option<About>,
}

impl Record {
    pub(crate) fn new<B>(client: &Client, request: &Request<B>) -> Box<Self> {
        let worker = &client.worker;
        let wanted = worker.log.wanted();
        let trace = worker.config.tracing.begin(
            request.headers(),
            client.sender.trusted,
            wanted.is_some(),
            &worker.random,
        );
        let is_traced = trace.as_ref().is_some_and(|trace| worker.records(trace));
        let about = (wanted.is_some() || is_traced).then(|| {
            let mut about = About::of_client(&client.sender);
            about.tls = client.tls.clone();
            about.request(request, wanted, is_traced);
            about
        });
        let mut record = Self::start(worker, about);
        record.method = request.method().into();
        record.wire = Some(client.wire.clone());
        record.trace = trace;
        record
    }

    /// For what never became a request.
    pub(crate) fn without_request(worker: &Rc<Worker>, sender: &Sender) -> Box<Self> {
        let about = worker.log.wanted().map(|_| About::of_client(sender));
        Self::start(worker, about)
    }

    /// For a connection whose requests are not seen.
    pub(crate) fn of_connection(worker: &Rc<Worker>, client: IpAddr, host: &str) -> Box<Self> {
        let about = worker.log.wanted().map(|_| {
            let client = client.to_canonical().to_string();
            let client = HeaderValue::try_from(client).expect("an address is a header value");
            About::of_connection(client, HeaderValue::try_from(host).ok())
        });
        Self::start(worker, about)
    }

    fn start(worker: &Rc<Worker>, about: Option<About>) -> Box<Self> {
        worker.requests.set(worker.requests.get() + 1);
        worker.unrouted.start();
        Box::new(Self {
            worker: worker.clone(),
            started: worker.clock.refresh(),
            series: worker.unrouted.clone(),
            method: metrics::Method::Other,
            wire: None,
            status: CLIENT_CLOSED,
            bytes: 0,
            attempts: SmallVec::new(),
            under_way: None,
            reason: None,
            route: None,
            backend: 0,
            strictly: false,
            complete: false,
            trace: None,
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

    /// The way that the request goes, once that is known.
    pub(crate) fn route(&self) -> Option<&RouteState> {
        self.route.as_deref()
    }

    /// The request goes this way, to one of the route's backends if it has any.
    pub(crate) fn route_to(&mut self, route: &Rc<RouteState>, backend: usize) {
        if let Some(series) = route.series.get(backend)
            && !Arc::ptr_eq(&self.series, series)
        {
            self.series.leave();
            series.start();
            self.series = series.clone();
        }
        self.route = Some(route.clone());
        self.backend = backend;
    }

    /// The Service that the request is for; empty where there is none.
    pub(crate) fn service(&self) -> &str {
        let route = self.route.as_ref();
        let key = route.and_then(|route| route.keys.get(self.backend));
        key.map_or("", |key| &*key.service.name)
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

    /// The client gets this head.
    pub(crate) fn answer<B>(&mut self, response: &Response<B>) {
        self.status = response.status().as_u16();
        if let (Some(about), Some(wanted)) = (&mut self.about, self.worker.log.wanted()) {
            about.response(response, wanted);
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

    fn elapsed(&self) -> Duration {
        let now = self.worker.clock.refresh();
        now.since(self.started)
    }

    /// Writes the line, and hands the span over.
    fn tell(&self, about: &About, duration: Duration, received: u64) {
        let route = self.route.as_deref();
        if self.worker.log.wanted().is_some() {
            let context = self.trace.as_ref().map(|trace| trace.context);
            let trace_id = context.as_ref().map(|context| context.trace_digits());
            let span_id = context.as_ref().map(|context| context.span_digits());
            self.worker.log.write(&Line {
                client: about.client.as_bytes(),
                request: about.line(),
                name: about.name.as_ref().map(HeaderValue::as_bytes),
                request_headers: &about.request_headers,
                response_headers: &about.response_headers,
                cipher: about.tls.as_ref().and_then(|tls| tls.cipher),
                secure: about.secure,
                status: self.status,
                request_head: about.request_head,
                received,
                response_head: about.response_head,
                sent: self.bytes,
                duration,
                route: route.map(|route| route.logged(self.backend)),
                attempts: &self.attempts,
                request_id: about.request_id.as_ref().map(HeaderValue::as_bytes),
                trace_id: trace_id.as_ref().map(|digits| &digits[..]),
                span_id: span_id.as_ref().map(|digits| &digits[..]),
                reason: self.reason,
            });
        }
        let Some(trace) = self.trace.as_ref().filter(|it| self.worker.records(it)) else {
            return;
        };
        let mut span = about.span(trace, SystemTime::now(), duration);
        span.status = self.status;
        span.reason = self.reason;
        span.route = route.map(|route| route.spanned(self.backend));
        span.received = received;
        span.sent = self.bytes;
        span.endpoint = self.endpoint();
        span.tries = self.tries();
        if let Some(spans) = &self.worker.config.tracing.spans
            && !spans.send(span)
        {
            self.worker.shard.spans_dropped.add(1);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.worker.requests.set(self.worker.requests.get() - 1);
        if !self.complete && self.reason.is_none() {
            self.reason = Some(match self.worker.is_cut() {
                true => "drained",
                false => "client_closed",
            });
        }
        let duration = self.elapsed();
        let last = self.attempts.last_mut();
        let upstream = last.and_then(|last| {
            last.answered?;
            let ended = *last.ended.get_or_insert(duration);
            Some(ended.saturating_sub(last.began))
        });
        let wire = self.wire.as_ref();
        let received = wire.map_or(0, |wire| wire.watch.received_body());
        self.series.finish(&Finished {
            method: self.method,
            status: self.status,
            duration,
            upstream,
            received,
            sent: self.bytes,
        });
        if let Some(about) = self.about.take() {
            self.tell(&about, duration, received);
        }
    }
}
