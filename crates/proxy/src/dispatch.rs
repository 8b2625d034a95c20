//! Sends a request to one endpoint after another until one takes it.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use fairway_model::UpstreamPolicy;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;

use crate::body::RequestBody;
use crate::downstream::connection::Client;
use crate::downstream::watch::Stall;
use crate::error::{Kind, ProxyError, Retry};
use crate::record::Record;
use crate::upstream::balance::Choice;
use crate::upstream::connect::{self, Parts};
use crate::upstream::pool::{Connection, Lease};

/// Endpoints that are tried for one request; nginx's `proxy_next_upstream_tries` in ingress-nginx.
const MOST_TRIES: u8 = 3;

/// The upstream limits of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
    pub(crate) write: Duration,
}

impl Times {
    pub(crate) fn of(policy: &UpstreamPolicy) -> Self {
        Self {
            connect: policy.connect_timeout,
            read: policy.read_timeout,
            write: policy.write_timeout,
        }
    }
}

/// One request on its way to one of its endpoints.
pub(crate) struct Dispatch<'a> {
    pub(crate) client: &'a Rc<Client>,
    pub(crate) choice: Choice,
    pub(crate) times: Times,
    pub(crate) record: &'a mut Record,
}

impl Dispatch<'_> {
    /// Sends the request over a kept connection or a new one.
    pub(crate) async fn send(
        mut self,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let worker = &self.client.worker;
        let replayable = request.body().is_empty() && is_idempotent(request.method());
        let mut endpoint = self.first()?;
        let mut pooled = true;
        loop {
            let kept = if pooled {
                worker.pool.take(endpoint)
            } else {
                None
            };
            let connection = match kept {
                Some(connection) => connection,
                None => self.connect(&mut endpoint, connect::open).await?,
            };
            // Costs a copy of the head for every request that could be repeated.
            let spare = (connection.reused && replayable).then(|| Spare::of(&request));
            match self.exchange(connection, request).await {
                Ok(answered) => return Ok(answered),
                // The connection went away before it saw the request: as if it had not been there.
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => match spare {
                    Some(spare) if error.retry == Retry::IfReused => {
                        worker.shard.upstream_retries.add(1);
                        pooled = false;
                        if self.choice.has_more() {
                            endpoint = self.first()?;
                        }
                        request = spare.into_request(self.client);
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Sends a request that asks for a WebSocket, over a connection of its own.
    pub(crate) async fn upgrade(
        mut self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease, Parts), ProxyError> {
        let mut endpoint = self.first()?;
        let (connection, parts) = self
            .connect(&mut endpoint, connect::open_for_upgrade)
            .await?;
        let (response, lease) = self
            .exchange(connection, request)
            .await
            .map_err(|(error, _)| error)?;
        Ok((response, lease, parts))
    }

    fn first(&mut self) -> Result<SocketAddr, ProxyError> {
        let endpoint = self.choice.next();
        let endpoint = endpoint.ok_or_else(|| ProxyError::new(Kind::NoEndpoints))?;
        self.record.tries = self.record.tries.saturating_add(1);
        self.record.endpoint = Some(endpoint);
        Ok(endpoint)
    }

    /// Opens a connection to `endpoint`, or to the next one that can be connected to. Nothing of the
    /// request has left before that, so this is safe for every method.
    async fn connect<T>(
        &mut self,
        endpoint: &mut SocketAddr,
        open: impl AsyncFn(&Builder, SocketAddr) -> io::Result<T>,
    ) -> Result<T, ProxyError> {
        let worker = &self.client.worker;
        let watch = &self.client.wire.watch;
        loop {
            watch.connecting(self.times.connect);
            let error = match watch.guard(open(&worker.to_upstream, *endpoint)).await {
                Ok(Ok(connection)) => {
                    worker.shard.upstream_connections.add(1);
                    return Ok(connection);
                }
                Ok(Err(error)) => ProxyError::because(Kind::ConnectFailed, error),
                Err(stall) => stalled(stall),
            };
            self.record.stats.connect_failures.add(1);
            let again = error.retry == Retry::OtherEndpoint
                && self.record.tries < MOST_TRIES
                && self.choice.has_more();
            if !again {
                return Err(error);
            }
            *endpoint = self.first()?;
        }
    }

    /// Sends the request and waits for the head of the answer. Gives the request back where no byte of
    /// it was written.
    async fn exchange(
        &self,
        mut connection: Connection,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), (ProxyError, Option<Request<RequestBody>>)> {
        let watch = &self.client.wire.watch;
        if !request.headers().contains_key(header::HOST) {
            let host = HeaderValue::try_from(connection.endpoint.to_string())
                .expect("an address is a header value");
            request.headers_mut().insert(header::HOST, host);
        }
        connection.link.answered.set(false);
        watch.sent(self.times.read, self.times.write);
        match watch
            .guard(connection.sender.try_send_request(request))
            .await
        {
            Ok(Ok(response)) => {
                let lease = Lease::new(connection, self.client.worker.pool.clone());
                Ok((response, lease))
            }
            Ok(Err(mut failed)) => {
                // A fresh connection that refuses the request would do so again.
                let unsent = failed.take_message().filter(|_| connection.reused);
                let error = broken(failed.into_error());
                let error = if connection.link.answered.get() {
                    error.final_()
                } else {
                    error
                };
                Err((error, unsent))
            }
            Err(stall) => Err((stalled(stall), None)),
        }
    }
}

/// A copy of the head of a request without body.
struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Spare {
    fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn into_request(self, client: &Client) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::none(client.wire.clone()));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Methods that may be sent twice, RFC 9110 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

fn stalled(stall: Stall) -> ProxyError {
    ProxyError::new(match stall {
        Stall::Connect => Kind::ConnectTimeout,
        Stall::UpstreamWrite => Kind::WriteTimeout,
        Stall::RequestBody => Kind::BodyTimeout,
        Stall::UpstreamRead | Stall::Idle | Stall::Head | Stall::ClientWrite => Kind::ReadTimeout,
    })
}

fn broken(error: hyper::Error) -> ProxyError {
    // hyper calls a failing request body a fault of its user; ours fails when the client does.
    if error.is_user() {
        return ProxyError::because(Kind::InvalidBody, error);
    }
    if error.is_parse() {
        return ProxyError::because(Kind::InvalidResponse, error);
    }
    tracing::debug!(
        cause = error.source().map(tracing::field::display),
        "upstream closed"
    );
    ProxyError::because(Kind::UpstreamClosed, error)
}
