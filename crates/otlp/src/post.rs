use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For a connection and for an answer each; the protocol's default is 10 s for the whole.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of an answer. All it can say is how many spans were refused, and why.
const LONGEST_ANSWER: usize = 16 * 1024;

/// A collector, and the connection to it that is kept.
#[derive(Debug)]
pub(crate) struct Collector {
    endpoint: Uri,
    host: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// Why the collector has not got something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("cannot connect to the collector")]
    Connect(#[source] std::io::Error),
    #[error("the collector does not answer within {} seconds", PATIENCE.as_secs())]
    Timeout,
    #[error("the connection to the collector broke")]
    Broken(#[source] hyper::Error),
    #[error("the collector's answer cannot be read")]
    Answer,
    #[error("the collector answers {0}")]
    Status(StatusCode, Option<Duration>),
}

impl PostError {
    /// Whether the same may be accepted later (OTLP 1.x, "Failures").
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Connect(_) | Self::Timeout | Self::Broken(_) => true,
            // It has arrived.
            Self::Answer => false,
        }
    }

    /// How long the collector wants to be left alone.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status(_, pause) => *pause,
            _ => None,
        }
    }
}

impl Collector {
    /// `endpoint` has a host, and a path that is asked as it is.
    pub(crate) fn new(endpoint: Uri) -> Self {
        let authority = endpoint.authority().map_or("", |it| it.as_str());
        let host = HeaderValue::try_from(authority).unwrap_or(HeaderValue::from_static(""));
        Self {
            endpoint,
            host,
            sender: None,
        }
    }

    /// Sends a request, and returns the answer to one that was accepted.
    pub(crate) async fn post(&mut self, body: Bytes) -> Result<Bytes, PostError> {
        let mut sender = match self.kept().await {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let target = self.endpoint.path_and_query().map_or("/", |it| it.as_str());
        let mut request = Request::post(target)
            .body(Full::new(body))
            .unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("fairway"));
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, kind);
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(PostError::Broken)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await;
            let body = body.map_err(|_| PostError::Answer)?.to_bytes();
            if head.status.is_success() {
                return Ok(body);
            }
            let pause = head.headers.get(RETRY_AFTER);
            let pause = pause.and_then(|it| it.to_str().ok()?.trim().parse().ok());
            Err(PostError::Status(
                head.status,
                pause.map(Duration::from_secs),
            ))
        };
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.map_err(|_| PostError::Timeout)?;
        if matches!(answer, Ok(_) | Err(PostError::Status(..))) {
            self.sender = Some(sender);
        }
        answer
    }

    /// The connection of before, unless the collector has closed it.
    async fn kept(&mut self) -> Option<SendRequest<Full<Bytes>>> {
        let mut sender = self.sender.take()?;
        timeout(PATIENCE, sender.ready()).await.ok()?.ok()?;
        Some(sender)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, PostError> {
        let host = self.endpoint.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.endpoint.port_u16().unwrap_or(80);
        let connected = timeout(PATIENCE, TcpStream::connect((host, port))).await;
        let stream = connected
            .map_err(|_| PostError::Timeout)?
            .map_err(PostError::Connect)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(PostError::Broken)?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told.
            let _ = connection.await;
        });
        Ok(sender)
    }
}
