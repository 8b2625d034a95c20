use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fairway_testkit::lab::Namespace;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

type Sender = SendRequest<Empty<Bytes>>;

/// What came of asking.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) requests: usize,
    /// Connections that were needed.
    pub(crate) connections: usize,
}

/// GET requests over HTTP/2 in clear text, one after the other, at least one, until `enough`. A connection
/// that is told to go away is replaced, as clients do.
///
/// Panics when one is not answered 200, with the whole body.
pub(crate) fn ask_until(
    enough: &AtomicBool,
    namespace: &Namespace,
    server: SocketAddr,
    url: &str,
) -> Asked {
    namespace.block_on(async {
        let mut asked = Asked::default();
        let mut connection = None;
        loop {
            let response = exchange(&mut connection, &mut asked, server, url).await;
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
            asked.requests += 1;
            if enough.load(Ordering::Acquire) {
                return asked;
            }
        }
    })
}

async fn exchange(
    connection: &mut Option<Sender>,
    asked: &mut Asked,
    server: SocketAddr,
    url: &str,
) -> Response<Incoming> {
    loop {
        let mut open = connection.take();
        if let Some(sender) = &mut open
            && sender.ready().await.is_err()
        {
            open = None;
        }
        let mut sender = match open {
            Some(sender) => sender,
            None => {
                asked.connections += 1;
                connect(server).await
            }
        };
        let request = Request::get(url).body(Empty::new()).unwrap();
        match sender.send_request(request).await {
            Ok(response) => {
                *connection = Some(sender);
                return response;
            }
            // It was told to go away before anything was sent.
            Err(error) if error.is_canceled() => {}
            Err(error) => panic!("{error:?} after {asked:?}"),
        }
    }
}

async fn connect(server: SocketAddr) -> Sender {
    let stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    // Its errors reach the requests.
    tokio::spawn(connection);
    sender
}
