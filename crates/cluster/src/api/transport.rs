//! How requests reach an API server that speaks TLS: over HTTP/2 where it does, so that thousands of
//! watches need a few connections instead of one each, and else as kube does it.
//!
//! ```text
//! request -> is there a connection with a stream to spare? -> there
//!                        | no
//!                        v
//!            open one -- ALPN h2 ------> there, and whoever else waited
//!                     -- ALPN anything else --> HTTP/1.1, a connection for each request under way
//! ```

mod body;
mod dial;
mod pings;
mod streams;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::Body;
use tower::{BoxError, Service};

use body::Guarded;
use dial::Connector;
pub(super) use pings::Pings;
use streams::{Connections, Taken};

/// How many connections are opened for a request that then turn out to be closing before it left. A
/// server that closes every connection at once is an error to tell; those that were open before are
/// not counted, because one that goes away closes all of them.
const ATTEMPTS: usize = 3;

/// Longest silences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// While a connection is opened, TLS and the settings of HTTP/2 included.
    pub(super) connect: Duration,
    /// Before an answer, and between its parts.
    pub(super) silence: Duration,
    /// On connections of HTTP/2.
    pub(super) pings: Option<Pings>,
}

/// Sends requests with absolute URIs to one server.
#[derive(Clone)]
pub(super) struct Transport {
    connections: Arc<Connections>,
    http1: legacy::Client<TimeoutConnector<Connector>, Body>,
    limits: Limits,
}

impl Transport {
    /// Connects nowhere yet.
    ///
    /// # Errors
    ///
    /// When certificates or keys of the configuration are not usable.
    pub(super) fn new(config: &Config, limits: Limits) -> Result<Self, kube::Error> {
        let http2 = dial::connector(config, &[b"h2", b"http/1.1"])?;
        let mut http1 = TimeoutConnector::new(dial::connector(config, &[b"http/1.1"])?);
        http1.set_connect_timeout(Some(limits.connect));
        let server = config.cluster_url.clone();
        Ok(Self {
            connections: Arc::new(Connections::new(http2, server, limits)),
            http1: legacy::Client::builder(TokioExecutor::new()).build(http1),
            limits,
        })
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Guarded>, BoxError> {
        let silence = self.limits.silence;
        let mut opened = 0;
        while opened < ATTEMPTS {
            let stream = match self.connections.take().await? {
                Taken::Open(stream) => stream,
                Taken::Opened(stream) => {
                    opened += 1;
                    stream
                }
                Taken::Http1 => return self.send_http1(request).await,
            };
            let answer = in_time(silence, stream.sender().try_send_request(request)).await;
            let answer = answer.inspect_err(|_silent| stream.retire())?;
            let mut error = match answer {
                Ok(response) => {
                    return Ok(response.map(|body| Guarded::new(body, silence, Some(stream))));
                }
                Err(error) => error,
            };
            // It did not leave: the server is closing the connection, for example to spread its load.
            stream.retire();
            match error.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(error.into_error().into()),
            }
        }
        Err("each new connection is closed before a request can be sent".into())
    }

    async fn send_http1(&self, request: Request<Body>) -> Result<Response<Guarded>, BoxError> {
        let silence = self.limits.silence;
        match in_time(silence, self.http1.request(request)).await? {
            Ok(response) => Ok(response.map(|body| Guarded::new(body, silence, None))),
            Err(error) => {
                if error.is_connect() {
                    // Who comes back may be another version, or no longer behind a proxy.
                    self.connections.forget_protocol();
                }
                Err(error.into())
            }
        }
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Guarded>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Nothing was heard for so long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
struct Silent(Duration);

async fn in_time<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Silent> {
    tokio::time::timeout(limit, answer)
        .await
        .map_err(|_elapsed| Silent(limit))
}
