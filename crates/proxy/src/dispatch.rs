//! Sends a request to one endpoint after another until one takes it.

mod failure;
mod outgoing;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use fairway_model::{LoadBalancing, UpstreamPolicy};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::body::RequestBody;
use crate::config::Protocol;
use crate::downstream::connection::Client;
use crate::error::{Kind, ProxyError, Retry, Side};
use crate::record::Record;
use crate::rescue::{self, Reader};
use crate::upstream::admission::{Full, UnderWay};
use crate::upstream::choice::Choice;
use crate::upstream::connect::Parts;
use crate::upstream::connection::{Connection, Lease};
use crate::upstream::transport::Transport;
use failure::{broken, stalled};
use outgoing::{Spare, is_idempotent, prepare};

/// Kept connections that turn out to be closed before one of a new request is opened.
const MOST_TAKEN_BACK: u8 = 3;

const UNSENT: &str = "an unsent request is here";

/// nginx's `proxy_read_timeout`.
const READ: Duration = Duration::from_secs(60);

/// The upstream limits of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) write: Duration,
}

impl Times {
    pub(crate) fn of(policy: &UpstreamPolicy, reader: &Reader) -> Self {
        let read = match reader {
            Reader::Http(_) => READ,
            Reader::Grpc => Duration::MAX,
        };
        Self {
            connect: policy.connect_timeout,
            read: policy.read_timeout.unwrap_or(read),
            write: policy.write_timeout,
        }
    }
}

/// One request on its way to one of its endpoints.
pub(crate) struct Dispatch<'a> {
    pub(crate) client: &'a Rc<Client>,
    pub(crate) choice: &'a mut Choice,
    pub(crate) transport: &'a Transport,
    pub(crate) policy: &'a UpstreamPolicy,
    pub(crate) times: Times,
    pub(crate) record: &'a mut Record,
    /// Absent while a connection has it. It stays in one place because futures keep a copy of every
    /// argument: handing it down would make each connection larger by several requests.
    pub(crate) request: &'a mut Option<Request<RequestBody>>,
}

impl Dispatch<'_> {
    /// Sends the request over a kept connection or a new one.
    pub(crate) async fn send(&mut self) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let mut endpoint = self.first().await?;
        let mut pooled = true;
        let mut taken_back = 0;
        loop {
            let pool = &self.client.worker.pool;
            let kept = match pooled {
                true => pool.take(endpoint, self.transport),
                false => None,
            };
            let connection = match kept {
                Some(connection) => connection,
                // Boxed: rare, and it would make every other request's future larger.
                None => Box::pin(self.connect(&mut endpoint)).await?,
            };
            let reused = connection.reused;
            let idempotent = self.request.as_ref().is_some_and(is_idempotent);
            let spare = self.spare(&connection, idempotent);
            let outcome = self.exchange(connection, spare.is_some()).await;
            if self.request.is_some() {
                // The connection went away before it saw the request: as if it had not been there.
                if reused && taken_back < MOST_TAKEN_BACK {
                    taken_back += 1;
                    continue;
                }
                // So does an endpoint that is just going away, and there the next connection would, too.
                if !reused && self.choice.has_more() {
                    endpoint = self.next()?;
                    continue;
                }
            }
            let Some(spare) = spare.filter(|_| self.may_retry(&outcome, idempotent, reused)) else {
                return outcome;
            };
            *self.request = spare.into_request(self.client);
            if self.request.is_none() {
                return outcome;
            }
            drop(outcome);
            pooled = self.transport.protocol == Protocol::Http2;
            if self.choice.has_more() {
                endpoint = self.next()?;
            } else {
                self.record.attempt(endpoint);
            }
        }
    }

    /// Sends a request that asks for a WebSocket, over a connection of its own.
    pub(crate) async fn upgrade(
        &mut self,
    ) -> Result<(Response<Incoming>, Lease, Parts), ProxyError> {
        let mut endpoint = self.first().await?;
        let dialer = &self.client.worker.dialer;
        let transport = self.transport.for_upgrade();
        let open = async |endpoint| dialer.open_for_upgrade(endpoint, &transport).await;
        loop {
            let (connection, parts) = self.dial(&mut endpoint, open).await?;
            self.client.worker.shard.upstream_connections.add(1);
            let outcome = self.exchange(connection, false).await;
            if self.request.is_some() && self.choice.has_more() {
                endpoint = self.next()?;
                continue;
            }
            let (response, lease) = outcome?;
            return Ok((response, lease, parts));
        }
    }

    /// The first endpoint, once the upstream may have one more request.
    async fn first(&mut self) -> Result<SocketAddr, ProxyError> {
        let group = &self.choice.group;
        let place = match group.enter(&self.policy.limits) {
            Some(place) => place,
            None => Box::pin(self.wait_for_place()).await?,
        };
        group.count_request();
        self.record.under_way = Some(place);
        self.next()
    }

    async fn wait_for_place(&self) -> Result<UnderWay, ProxyError> {
        let limits = &self.policy.limits;
        let watch = &self.client.wire.watch;
        watch.connecting(limits.wait);
        match watch.guard(pin!(self.choice.group.queue(limits))).await {
            Ok(Ok(place)) => {
                self.choice.group.refresh();
                Ok(place)
            }
            Ok(Err(Full)) | Err(_) => {
                self.client.worker.shard.upstream_full.add(1);
                Err(ProxyError::new(Kind::UpstreamFull))
            }
        }
    }

    /// Where the head of a request that could be sent again is to be found.
    fn spare(&self, connection: &Connection, idempotent: bool) -> Option<Spare> {
        let request = self.request.as_ref()?;
        // Servers of HTTP/2 say of streams that they did not process them, whatever the method.
        let is_wanted = idempotent || self.transport.protocol == Protocol::Http2;
        (is_wanted && request.body().is_empty()).then(|| Spare::of(request, connection))
    }

    /// Whether a request that has left is sent again, and to whom.
    fn may_retry(
        &mut self,
        outcome: &Result<(Response<Incoming>, Lease), ProxyError>,
        idempotent: bool,
        reused: bool,
    ) -> bool {
        let policy = &self.policy.retry;
        let choice = &mut *self.choice;
        let is_wanted = match outcome {
            Ok((response, _)) => {
                let status = response.status().as_u16();
                idempotent && policy.statuses.contains(&status) && choice.has_more()
            }
            Err(error) => match error.retry {
                // A connection that was used before may just have been about to close; a new one that
                // breaks is more likely to do so again at the same endpoint.
                Retry::Broken => {
                    idempotent && (reused || policy.broken_connections && choice.has_more())
                }
                Retry::IfAsked => idempotent && policy.timeouts && choice.has_more(),
                Retry::Unprocessed => true,
                Retry::No | Retry::OtherEndpoint => false,
            },
        };
        is_wanted
            && self.record.tries() < policy.tries
            && self.choice.group.may_retry(policy.budget)
    }

    fn next(&mut self) -> Result<SocketAddr, ProxyError> {
        let endpoint = self.choice.next(self.policy);
        let endpoint = endpoint.ok_or_else(|| ProxyError::new(Kind::NoEndpoints))?;
        let address = endpoint.address;
        self.record.attempt(address);
        if let Some(under_way) = &mut self.record.under_way {
            under_way.at(endpoint);
        }
        Ok(address)
    }

    /// A connection to `endpoint`, or to the next one that can be connected to.
    async fn connect(&mut self, endpoint: &mut SocketAddr) -> Result<Connection, ProxyError> {
        let worker = &self.client.worker;
        let transport = self.transport;
        let open = async |endpoint| worker.pool.open(&worker.dialer, endpoint, transport).await;
        let connection = self.dial(endpoint, open).await?;
        if !connection.reused {
            worker.shard.upstream_connections.add(1);
        }
        Ok(connection)
    }

    /// Opens a connection to `endpoint`, or to the next one that can be connected to. Nothing of the
    /// request has left before that, so this is safe for every method.
    async fn dial<T>(
        &mut self,
        endpoint: &mut SocketAddr,
        open: impl AsyncFn(SocketAddr) -> io::Result<T>,
    ) -> Result<T, ProxyError> {
        let watch = &self.client.wire.watch;
        loop {
            watch.connecting(self.times.connect);
            let error = match watch.guard(pin!(open(*endpoint))).await {
                Ok(Ok(connection)) => {
                    self.record.connected();
                    return Ok(connection);
                }
                Ok(Err(error)) => ProxyError::because(Kind::ConnectFailed, error),
                Err(stall) => stalled(stall),
            };
            self.record
                .connect_failed(rescue::status(error.kind).as_u16());
            self.failed();
            if error.retry != Retry::OtherEndpoint || !self.choice.has_more() {
                return Err(error);
            }
            *endpoint = self.next()?;
        }
    }

    /// The endpoint did not do what it is there for.
    fn failed(&self) {
        let endpoint = self.record.under_way.as_ref().and_then(UnderWay::endpoint);
        if let Some(endpoint) = endpoint {
            let group = &self.choice.group;
            group.failed(endpoint, self.policy.ejection.as_ref());
        }
    }

    /// The endpoint answered with this status.
    fn answered(&self, status: StatusCode) {
        let is_gateway_error = matches!(status.as_u16(), 502..=504);
        if is_gateway_error && self.policy.ejection.is_some_and(|it| it.gateway_errors) {
            return self.failed();
        }
        let endpoint = self.record.under_way.as_ref().and_then(UnderWay::endpoint);
        if let Some(endpoint) = endpoint {
            self.choice.group.succeeded(endpoint);
        }
    }

    /// The endpoint answered, or was given up on, after this time.
    fn took(&self, time: Duration) {
        let endpoint = self.record.under_way.as_ref().and_then(UnderWay::endpoint);
        if let Some(endpoint) = endpoint {
            endpoint
                .latency
                .observe(time, self.client.worker.clock.now());
        }
    }

    /// Sends the request and waits for the head of the answer. Takes the request back where no byte of
    /// it was written.
    async fn exchange(
        &mut self,
        mut connection: Connection,
        may_be_sent_again: bool,
    ) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let watch = &self.client.wire.watch;
        prepare(
            self.request.as_mut().expect(UNSENT),
            connection.endpoint,
            &connection.transport,
        )?;
        watch.sent(self.times.read, self.times.write);
        // Asks the kernel for the time, so only for those that want to know.
        let clock = &self.client.worker.clock;
        let started = (self.policy.balancing == LoadBalancing::PeakEwma).then(|| clock.refresh());
        let request = self.request.take().expect(UNSENT);
        let answer = connection.try_send_request(request, may_be_sent_again);
        let outcome = watch.guard(pin!(answer)).await;
        if let Some(started) = started {
            self.took(clock.refresh().saturating_duration_since(started));
        }
        let error = match outcome {
            Ok(Ok(response)) => {
                self.record.answered(response.status());
                self.answered(response.status());
                let lease = Lease::new(connection, self.client.worker.pool.clone());
                return Ok((response, lease));
            }
            Ok(Err(mut failed)) => {
                *self.request = failed.take_message();
                match self.client.wire.has_exceeded() {
                    true => ProxyError::new(Kind::BodyTooLarge),
                    false => broken(failed.into_error()),
                }
            }
            Err(stall) => stalled(stall),
        };
        self.record.failed(rescue::status(error.kind).as_u16());
        let error = match connection.has_answered() {
            true => error.final_(),
            false => error,
        };
        // That a connection which was used before is closed is no fault, and neither is to refuse a stream.
        let is_usual = match error.retry {
            Retry::Broken => connection.reused,
            Retry::Unprocessed => true,
            Retry::No | Retry::OtherEndpoint | Retry::IfAsked => false,
        };
        if error.side == Side::Upstream && !is_usual {
            self.failed();
        }
        Err(error)
    }
}
