//! The HTTP/1.1 server under both ports: read-only, bounded, never in the way of the control loop.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};

use crate::{Listener, LocalListener};

/// The body of every answer.
pub type Body = Full<Bytes>;

/// The pages of one server. Answering must not block: it happens on the control thread.
pub trait Site: Send + Sync + 'static {
    /// Answers any method like a GET, as kube-proxy's probes do; otherwise GET and HEAD alone.
    const ANY_METHOD: bool = false;

    /// Waits for what the page shows to be up to date.
    fn refresh(&self, path: &str) -> impl Future<Output = ()> + Send {
        let _ = path;
        std::future::ready(())
    }

    /// The answer to a GET of `path`, or `None` where there is no such page.
    fn page(&self, path: &str) -> Option<Response<Body>>;

    /// The same for pages that depend on more than the path.
    fn answer(&self, asked: &Asked<'_>) -> Option<Response<Body>> {
        self.page(asked.path)
    }

    /// The same where the answer takes a while.
    fn resource(&self, asked: Asked<'_>) -> impl Future<Output = Option<Response<Body>>> + Send {
        std::future::ready(self.answer(&asked))
    }
}

/// What a GET asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The path of the target.
    pub path: &'a str,
    /// Its query, empty where it has none.
    pub query: &'a str,
    /// Whom the client means to have asked: the Host header. Empty where it is no text.
    pub host: Option<&'a str>,
}

/// Serves `site` for as long as the future is polled. Dropping it closes every connection.
///
/// At most 64 connections are held: one more closes the oldest, so that whoever opens many and
/// says nothing cannot keep a load balancer's probe out.
pub async fn serve(listener: Listener, site: impl Site) -> Infallible {
    let site = Arc::new(site);
    let mut connections = Connections::default();
    loop {
        match listener.socket().accept().await {
            Ok((stream, _)) => connections.add(stream, site.clone()),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors, most likely: they come back when others close theirs.
                warn!(%error, "cannot accept a connection for {}", listener.purpose());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves `site` to processes of this machine, as [`serve`] does to others.
pub async fn serve_local(listener: LocalListener, site: impl Site) -> Infallible {
    let site = Arc::new(site);
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok(stream) => connections.add(stream, site.clone()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                warn!(%error, "somebody was turned away");
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection for the admin socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// An answer in JSON.
pub fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(error) => plain_text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// A short answer in plain text.
pub fn plain_text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", text)
}

/// An answer that a browser must not take for another type than it is.
pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: VecDeque<AbortHandle>,
}

impl Connections {
    fn add(&mut self, stream: impl Stream, site: Arc<impl Site>) {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|connection| !connection.is_finished());
        if self.open.len() >= MAX_CONNECTIONS
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        let connection = self.tasks.spawn(serve_connection(stream, site));
        self.open.push_back(connection);
    }
}

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

async fn serve_connection(stream: impl Stream, site: Arc<impl Site>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let site = site.clone();
        async move {
            site.refresh(request.uri().path()).await;
            Ok::<_, Infallible>(answer(&request, site.as_ref()).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        // As Go spells them.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        debug!(%error, "a client broke off");
    }
}

async fn answer<S: Site>(request: &Request<Incoming>, site: &S) -> Response<Body> {
    // hyper leaves the body of an answer to HEAD away by itself.
    if !S::ANY_METHOD && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain_text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let host = request.headers().get(HOST);
    let asked = Asked {
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        host: host.map(|host| host.to_str().unwrap_or_default()),
    };
    let found = site.resource(asked).await;
    found.unwrap_or_else(|| plain_text(StatusCode::NOT_FOUND, "404 page not found\n"))
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// A node's readers are a load balancer or two, the kubelet and Prometheus.
const MAX_CONNECTIONS: usize = 64;

/// Also how long an idle connection is kept. Probes ask at once; Prometheus reconnects.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Twice hyper's minimum: a scrape carries a bearer token and little else.
const MAX_HEAD: usize = 16 * 1024;

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
