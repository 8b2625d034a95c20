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

use crate::body::RequestBody;
use crate::config::Protocol;
use crate::downstream::connection::Client;
use crate::error::{Kind, ProxyError, Rejection, Retry, Side};
use crate::record::Record;
use crate::rescue::{self, Reader};
use crate::upstream::admission::{Full, UnderWay};
use crate::upstream::choice::Choice;
use crate::upstream::connection::{Connection, Failed, UNSENT, UpstreamBody};
use crate::upstream::transport::Transport;
use failure::{broken, stalled};
use outgoing::{Spare, is_idempotent, prepare};

/// Kept connections that turn out to be closed before one of a new request is opened.
const MOST_TAKEN_BACK: u8 = 3;

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
    /// Absent while a connection of HTTP/2 has it. It stays in one place because futures keep a copy of every
    /// argument: handing it down would make each connection larger by several requests.
    pub(crate) request: &'a mut Option<Request<RequestBody>>,
}

impl Dispatch<'_> {
    /// Sends the request over a kept connection or a new one.
    pub(crate) async fn send(&mut self) -> Result<Response<UpstreamBody>, ProxyError> {
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
            let may_be_repeated = self.may_be_repeated(idempotent);
            let spare = may_be_repeated.then(|| self.spare()).flatten();
            let (outcome, is_unsent) = match self.exchange(connection).await {
                Ok(response) => (Ok(response), false),
                Err(failure) => (Err(failure.error), failure.is_unsent),
            };
            if is_unsent {
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
            if !may_be_repeated || !self.may_retry(&outcome, idempotent, reused) {
                return outcome;
            }
            if let Some(spare) = spare {
                *self.request = Some(spare.into_request(self.client));
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
    pub(crate) async fn upgrade(&mut self) -> Result<Response<UpstreamBody>, ProxyError> {
        let mut endpoint = self.first().await?;
        let dialer = &self.client.worker.dialer;
        let transport = self.transport.for_upgrade();
        let open = async |endpoint| dialer.open(endpoint, &transport).await;
        loop {
            let connection = self.dial(&mut endpoint, open).await?;
            self.client.worker.shard.upstream_connections.add(1);
            match self.exchange(connection).await {
                Err(failure) if failure.is_unsent && self.choice.has_more() => {
                    endpoint = self.next()?;
                }
                outcome => return outcome.map_err(|failure| failure.error),
            }
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

    /// Whether a request that has left could be sent once more.
    fn may_be_repeated(&self, idempotent: bool) -> bool {
        // Servers of HTTP/2 say of streams that they did not process them, whatever the method.
        let is_wanted = idempotent || self.transport.protocol == Protocol::Http2;
        is_wanted && self.request.as_ref().is_some_and(|it| it.body().is_empty())
    }

    /// A copy of the head where the connection keeps the request; HTTP/1.1 leaves it here. Boxed: all would
    /// have room for it.
    fn spare(&self) -> Option<Box<Spare>> {
        let is_taken = self.transport.protocol == Protocol::Http2;
        let request = self.request.as_ref().filter(|_| is_taken)?;
        Some(Box::new(Spare::of(request)))
    }

    /// Whether a request that has left is sent again, and to whom.
    fn may_retry(
        &mut self,
        outcome: &Result<Response<UpstreamBody>, ProxyError>,
        idempotent: bool,
        reused: bool,
    ) -> bool {
        let policy = &self.policy.retry;
        let choice = &mut *self.choice;
        let is_wanted = match outcome {
            Ok(response) => {
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

    /// Sends the request and waits for the head of the answer.
    async fn exchange(
        &mut self,
        mut connection: Connection,
    ) -> Result<Response<UpstreamBody>, Failure> {
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
        // Some responses are a reason to ask somebody else.
        let kept = !self.policy.retry.statuses.is_empty();
        let outcome = watch
            .guard(pin!(connection.exchange(self.request, kept)))
            .await;
        if let Some(started) = started {
            self.took(clock.refresh().since(started));
        }
        let failure = match outcome {
            Ok(Ok(response)) => {
                self.record.answered(response.status());
                self.answered(response.status());
                let pool = self.client.worker.pool.clone();
                return Ok(response.map(|stream| UpstreamBody::new(stream, connection, pool)));
            }
            Ok(Err(failed)) => self.failure(failed),
            Err(stall) => Failure {
                error: match connection.has_answered() {
                    true => stalled(stall).final_(),
                    false => stalled(stall),
                },
                is_unsent: false,
            },
        };
        let error = &failure.error;
        self.record.failed(rescue::status(error.kind).as_u16());
        // That a connection which was used before is closed is no fault, and neither is to refuse a stream.
        let is_usual = match error.retry {
            Retry::Broken => connection.reused,
            Retry::Unprocessed => true,
            Retry::No | Retry::OtherEndpoint | Retry::IfAsked => false,
        };
        if error.side == Side::Upstream && !is_usual {
            self.failed();
        }
        Err(failure)
    }

    fn failure(&self, failed: Failed) -> Failure {
        let error = match self.client.wire.has_exceeded() {
            true => ProxyError::new(Kind::BodyTooLarge),
            false => broken(failed.reason),
        };
        Failure {
            error: match failed.has_answered {
                true => error.final_(),
                false => error,
            },
            is_unsent: failed.is_unsent,
        }
    }
}

/// An attempt that brought no response.
struct Failure {
    error: ProxyError,
    /// Nothing of the request has left, and all of it is still there.
    is_unsent: bool,
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self {
            error: rejection.into(),
            is_unsent: false,
        }
    }
}
