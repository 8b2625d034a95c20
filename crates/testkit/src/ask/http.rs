use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{AskError, PATIENCE};
use crate::lab::Namespace;

/// A whole HTTP response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, in the order they came.
    pub headers: HeaderMap,
    /// The body, chunks put together.
    pub body: Bytes,
}

/// What an HTTP server of a pod saw of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who answered.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// The method it saw.
    pub method: String,
    /// The path it saw, without the query.
    pub path: String,
    /// The query it saw.
    pub query: Option<String>,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub proto: String,
    /// Names in lower case and values, repeated ones too.
    pub headers: Vec<(String, String)>,
    /// Who connected to it.
    pub peer: SocketAddr,
    /// The address it was reached at.
    pub own: SocketAddr,
    /// The request's body.
    pub body: String,
}

/// Sends a GET request for a host and a path (which may have a query) on a new connection.
///
/// # Errors
///
/// See [`Failure`](super::Failure). A response is no failure, whatever its status.
///
/// # Panics
///
/// When the host or the path cannot be sent in HTTP; [`raw`](super::raw) can send anything.
pub fn http_get(
    namespace: &Namespace,
    server: SocketAddr,
    host: &str,
    path: &str,
) -> Result<Response, AskError> {
    let request = Request::get(path)
        .header(header::HOST, host)
        .body(Bytes::new())
        .expect("the host and the path can be sent");
    http(namespace, server, request)
}

/// Sends an HTTP/1.1 request, as it is, on a new connection.
///
/// # Errors
///
/// See [`Failure`](super::Failure). A response is no failure, whatever its status.
pub fn http(
    namespace: &Namespace,
    server: SocketAddr,
    request: Request<Bytes>,
) -> Result<Response, AskError> {
    let exchanged = namespace.block_on(async {
        let within = timeout(PATIENCE, exchange(server, request)).await;
        within.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    });
    exchanged.map_err(|source| AskError::new(server, source))
}

async fn exchange(server: SocketAddr, request: Request<Bytes>) -> io::Result<Response> {
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(plain)?;
    // Its errors arrive with the response as well.
    tokio::spawn(connection);
    let response = sender
        .send_request(request.map(Full::new))
        .await
        .map_err(plain)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(plain)?.to_bytes();
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body,
    })
}

/// Finds the error of the connection below hyper's, where there is one.
pub(crate) fn plain(error: hyper::Error) -> io::Error {
    let source = std::error::Error::source(&error);
    let kind = match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => source.kind(),
        None if error.is_incomplete_message() || error.is_closed() => io::ErrorKind::UnexpectedEof,
        None if error.is_parse() => io::ErrorKind::InvalidData,
        None => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; the first one, if it is repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the pod that answered saw, if one did.
    pub fn answer(&self) -> Option<Answer> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Answer {
    /// The values of a header it saw, in order; the name in lower case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(other, _)| other == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}
