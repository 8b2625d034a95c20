//! Sends a request to one endpoint after another until one takes it.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
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
use crate::rescue::Reader;
use crate::upstream::balance::Choice;
use crate::upstream::connect::{self, Parts};
use crate::upstream::pool::{Connection, Lease};

/// Endpoints that are tried for one request; nginx's `proxy_next_upstream_tries` in ingress-nginx.
const MOST_TRIES: u8 = 3;

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
    pub(crate) times: Times,
    pub(crate) record: &'a mut Record,
    /// Absent while a connection has it. It stays in one place because futures keep a copy of every
    /// argument: handing it down would make each connection larger by several requests.
    pub(crate) request: &'a mut Option<Request<RequestBody>>,
}

impl Dispatch<'_> {
    /// Sends the request over a kept connection or a new one.
    pub(crate) async fn send(&mut self) -> Result<(Response<Incoming>, Lease), ProxyError> {
        let replayable = self.request.as_ref().is_some_and(is_replayable);
        let mut endpoint = self.next()?;
        let mut pooled = true;
        loop {
            let kept = match pooled {
                true => self.client.worker.pool.take(endpoint),
                false => None,
            };
            let connection = match kept {
                Some(connection) => connection,
                // Boxed: rare, and it would make every other request's future larger.
                None => Box::pin(self.connect(&mut endpoint, connect::open)).await?,
            };
            // Costs a copy of the head for every request that could be repeated.
            let spare = match &*self.request {
                Some(request) if connection.reused && replayable => Some(Spare::of(request)),
                _ => None,
            };
            let error = match self.exchange(connection).await {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            // The connection went away before it saw the request: as if it had not been there.
            if self.request.is_some() {
                continue;
            }
            match spare {
                Some(spare) if error.retry == Retry::IfReused => {
                    self.client.worker.shard.upstream_retries.add(1);
                    *self.request = Some(spare.into_request(self.client));
                    pooled = false;
                    if self.choice.has_more() {
                        endpoint = self.next()?;
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Sends a request that asks for a WebSocket, over a connection of its own.
    pub(crate) async fn upgrade(
        &mut self,
    ) -> Result<(Response<Incoming>, Lease, Parts), ProxyError> {
        let mut endpoint = self.next()?;
        let (connection, parts) = self
            .connect(&mut endpoint, connect::open_for_upgrade)
            .await?;
        let (response, lease) = self.exchange(connection).await?;
        Ok((response, lease, parts))
    }

    fn next(&mut self) -> Result<SocketAddr, ProxyError> {
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
            let opening = pin!(open(&worker.to_upstream, *endpoint));
            let error = match watch.guard(opening).await {
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
        connection.link.answered.set(false);
        watch.sent(self.times.read, self.times.write);
        let answer = connection
            .sender
            .try_send_request(self.take_for(connection.endpoint));
        let error = match watch.guard(pin!(answer)).await {
            Ok(Ok(response)) => {
                let lease = Lease::new(connection, self.client.worker.pool.clone());
                return Ok((response, lease));
            }
            Ok(Err(mut failed)) => {
                // A fresh connection that refuses the request would do so again.
                *self.request = failed.take_message().filter(|_| connection.reused);
                broken(failed.into_error())
            }
            Err(stall) => stalled(stall),
        };
        Err(match connection.link.answered.get() {
            true => error.final_(),
            false => error,
        })
    }

    /// The request, with the Host that HTTP/1.1 wants even if the client had none to give.
    fn take_for(&mut self, endpoint: SocketAddr) -> Request<RequestBody> {
        let mut request = self.request.take().expect("an unsent request is here");
        if !request.headers().contains_key(header::HOST) {
            let host =
                HeaderValue::try_from(endpoint.to_string()).expect("an address is a header value");
            request.headers_mut().insert(header::HOST, host);
        }
        if !request.body().is_empty() {
            announce_body(request.headers_mut());
        }
        request
    }
}

/// Says that a body follows if its length is not known, as in HTTP/2. hyper would do so itself, except
/// that it takes a GET for one that has no body.
fn announce_body(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
    {
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(header::TRANSFER_ENCODING, chunked);
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

/// Whether the request may be sent twice: it has no body, and RFC 9110 9.2.2 allows it.
fn is_replayable(request: &Request<RequestBody>) -> bool {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    idempotent && request.body().is_empty()
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
