//! Sends a request to one endpoint after another until one takes it.

mod failure;
mod outgoing;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use fairway_model::UpstreamPolicy;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::RequestBody;
use crate::config::Protocol;
use crate::downstream::connection::Client;
use crate::error::{Kind, ProxyError, Retry};
use crate::record::Record;
use crate::rescue::{self, Reader};
use crate::upstream::balance::Choice;
use crate::upstream::connect::Parts;
use crate::upstream::connection::{Connection, Lease};
use crate::upstream::transport::Transport;
use failure::{broken, stalled};
use outgoing::{Spare, is_idempotent, prepare};

/// Endpoints that are tried for one request; nginx's `proxy_next_upstream_tries` in ingress-nginx.
const MOST_TRIES: u8 = 3;

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
    pub(crate) times: Times,
    pub(crate) record: &'a mut Record,
    /// Absent while a connection has it. It stays in one place because futures keep a copy of every
    /// argument: handing it down would make each connection larger by several requests.
    pub(crate) request: &'a mut Option<Request<RequestBody>>,
}

impl Dispatch<'_> {
    /// Sends the request over a kept connection or a new one.
    pub(crate) async fn send(&mut self) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let mut endpoint = self.next()?;
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
            let spare = self.spare(&connection);
            let idempotent = self.request.as_ref().is_some_and(is_idempotent);
            let error = match self.exchange(connection).await {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            // The connection went away before it saw the request: as if it had not been there.
            if self.request.is_some() && taken_back < MOST_TRIES {
                taken_back += 1;
                continue;
            }
            let again = match error.retry {
                Retry::IfReused => idempotent,
                Retry::Unprocessed => true,
                Retry::No | Retry::OtherEndpoint => false,
            };
            let Some(spare) = spare.filter(|_| again && self.record.tries() < MOST_TRIES) else {
                return Err(error);
            };
            self.client.worker.shard.upstream_retries.add(1);
            *self.request = Some(spare.into_request(self.client));
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
        let mut endpoint = self.next()?;
        let dialer = &self.client.worker.dialer;
        let transport = self.transport.for_upgrade();
        let open = async |endpoint| dialer.open_for_upgrade(endpoint, &transport).await;
        let (connection, parts) = self.dial(&mut endpoint, open).await?;
        self.client.worker.shard.upstream_connections.add(1);
        let (response, lease) = self.exchange(connection).await?;
        Ok((response, lease, parts))
    }

    /// A copy of the head of a request that could be sent again. Costs an allocation or two, so only
    /// where it may be wanted: on connections that may be about to close.
    fn spare(&self, connection: &Connection) -> Option<Spare> {
        let request = self.request.as_ref()?;
        let is_wanted = match self.transport.protocol {
            Protocol::Http1 => connection.reused && is_idempotent(request),
            // Servers say that they did not process a stream, on a new connection, too.
            Protocol::Http2 => true,
        };
        (is_wanted && request.body().is_empty()).then(|| Spare::of(request))
    }

    fn next(&mut self) -> Result<SocketAddr, ProxyError> {
        let endpoint = self.choice.next();
        let endpoint = endpoint.ok_or_else(|| ProxyError::new(Kind::NoEndpoints))?;
        self.record.attempt(endpoint);
        Ok(endpoint)
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
            let again = error.retry == Retry::OtherEndpoint
                && self.record.tries() < MOST_TRIES
                && self.choice.has_more();
            if !again {
                return Err(error);
            }
            *endpoint = self.next()?;
        }
    }

    /// Sends the request and waits for the head of the answer. Takes the request back where no byte of
    /// it was written.
    async fn exchange(
        &mut self,
        mut connection: Connection,
    ) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let watch = &self.client.wire.watch;
        prepare(
            self.request.as_mut().expect(UNSENT),
            connection.endpoint,
            &connection.transport,
        )?;
        watch.sent(self.times.read, self.times.write);
        let answer = connection.try_send_request(self.request.take().expect(UNSENT));
        let error = match watch.guard(pin!(answer)).await {
            Ok(Ok(response)) => {
                self.record.answered(response.status());
                let lease = Lease::new(connection, self.client.worker.pool.clone());
                return Ok((response, lease));
            }
            Ok(Err(mut failed)) => {
                // A fresh connection that refuses the request would do so again.
                *self.request = failed.take_message().filter(|_| connection.reused);
                match self.client.wire.has_exceeded() {
                    true => ProxyError::new(Kind::BodyTooLarge),
                    false => broken(failed.into_error()),
                }
            }
            Err(stall) => stalled(stall),
        };
        self.record.failed(rescue::status(error.kind).as_u16());
        Err(match connection.has_answered() {
            true => error.final_(),
            false => error,
        })
    }
}
