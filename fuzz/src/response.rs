//! An endpoint's response, read here and by hyper's client.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fairway_proxy::fuzzing::{Message, response};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// Pieces that responses are made of, whole ones and broken ones.
pub const PIECES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 304\r\n",
    b"content-length: 5\r\n",
    b"content-length: 0\r\n",
    b"Content-Length: 7\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"connection: close\r\n",
    b"x-a: 1\r\n",
    b"x-a:\t\xc3\xa4 \r\n",
    b"x-b:\r\n",
    b"folded: 1\r\n 2\r\n",
    b"trailer: x-sum\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"hello",
    b"5\r\nhello\r\n",
    b"5;a=b\r\nhello\r\n",
    b"A\r\nhellohello\r\n",
    b"5 \r\nhello\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"x-sum: 7\r\n",
    b"\0",
];

/// Fields that may not come behind a body, where they would be believed too late, or by some readers alone (RFC 9110
/// section 6.5.1). hyper's client keeps them.
const NO_TRAILERS: &[&str] = &[
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "max-forwards",
    "proxy-authorization",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The longest piece in which the bytes are read.
const LONGEST_PIECE: u8 = 40;

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(
        Builder::new_current_thread().build().expect("a runtime without sockets"),
    );
}

static TAKEN: AtomicU64 = AtomicU64::new(0);

/// How many responses were complete, and compared.
pub fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
}

/// A response that is taken is the same however it comes in pieces, and another client sees the same in it. What is
/// refused here may be taken there. The first byte says whether the request is a HEAD, the second how long the pieces
/// are.
pub fn check(input: &[u8]) {
    let [choice, length, bytes @ ..] = input else {
        return;
    };
    let method = match choice % 2 {
        0 => Method::GET,
        _ => Method::HEAD,
    };
    let in_pieces = response(&method, bytes, usize::from(length % LONGEST_PIECE) + 1);
    let at_once = response(&method, bytes, bytes.len().max(1));
    assert_eq!(in_pieces, at_once, "{}", bytes.escape_ascii());
    if let Some(ours) = at_once {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        let theirs = RUNTIME.with_borrow(|runtime| runtime.block_on(hypers(&method, bytes)));
        assert_eq!(Some(ours), theirs, "{}", bytes.escape_ascii());
    }
}

/// None where there is no complete response.
async fn hypers(method: &Method, bytes: &[u8]) -> Option<Message> {
    let (client, mut endpoint) = tokio::io::duplex(1024 * 1024);
    let handshake = http1::handshake(TokioIo::new(client)).await;
    let (mut sender, connection) = handshake.expect("nothing is said yet");
    let driver = tokio::spawn(connection);
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        let mut request = [0; 256];
        // A client that has gone away needs no answer.
        if endpoint.read(&mut request).await.is_ok() {
            let _ = endpoint.write_all(&bytes).await;
        }
    });
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", "a.example")
        .body(Empty::<Bytes>::new())
        .expect("a valid request");
    let response = sender.send_request(request).await.ok()?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok()?;
    driver.abort();
    let mut trailers = body.trailers().cloned().unwrap_or_default();
    for name in NO_TRAILERS {
        trailers.remove(*name);
    }
    Some(Message {
        status: head.status,
        headers: head.headers,
        trailers,
        body: body.to_bytes().to_vec(),
    })
}
