//! Beside hyper's client: a response that is taken here is the same there. `FAIRWAY_RESPONSES=1000000` looks at as many
//! that were not looked at before.

use bytes::{Bytes, BytesMut};
use http::header::HeaderMap;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::decoder::Decoded;
use super::response;

/// What a client makes of the bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// None where there is no complete response.
fn ours(method: &Method, bytes: &[u8], piece: usize) -> Option<Message> {
    let is_head = *method == Method::HEAD;
    let mut received = BytesMut::new();
    let mut pieces = bytes.chunks(piece);
    let mut looked_at = 0;
    let (head, mut decoder) = loop {
        match response::parse(&mut received, looked_at, is_head, &mut HeaderMap::new()).ok()? {
            Some(head) if head.response.status().is_informational() => {
                if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    return None;
                }
                looked_at = 0;
            }
            Some(head) => break (head.response, head.decoder),
            None => {
                looked_at = received.len();
                received.extend_from_slice(pieces.next()?);
            }
        }
    };
    let mut message = Message {
        status: head.status(),
        headers: head.headers().clone(),
        body: Vec::new(),
        trailers: HeaderMap::new(),
    };
    loop {
        match decoder.decode(&mut received).ok()? {
            Decoded::Data(data) => message.body.extend_from_slice(&data),
            Decoded::Trailers(trailers) => message.trailers = trailers,
            Decoded::End => return Some(message),
            Decoded::Incomplete => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None if decoder.close() => return Some(message),
                None => return None,
            },
        }
    }
}

/// None where there is no complete response.
async fn hypers(method: &Method, bytes: &[u8]) -> Option<Message> {
    let (client, mut endpoint) = tokio::io::duplex(1024 * 1024);
    let io = TokioIo::new(client);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        let mut request = [0; 256];
        assert!(endpoint.read(&mut request).await.unwrap() > 0);
        endpoint.write_all(&bytes).await.unwrap();
    });
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header("host", "a.example")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.ok()?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok()?;
    driver.abort();
    Some(Message {
        status: head.status,
        headers: head.headers,
        trailers: body.trailers().cloned().unwrap_or_default(),
        body: body.to_bytes().to_vec(),
    })
}

/// Pieces that responses are made of, whole ones and broken ones.
const PIECES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 304\r\n",
    "content-length: 5\r\n",
    "content-length: 0\r\n",
    "Content-Length: 7\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "connection: close\r\n",
    "x-a: 1\r\n",
    "x-a:\t\u{e4} \r\n",
    "x-b:\r\n",
    "folded: 1\r\n 2\r\n",
    "trailer: x-sum\r\n",
    "\r\n",
    "\n",
    "\r",
    "hello",
    "5\r\nhello\r\n",
    "5;a=b\r\nhello\r\n",
    "A\r\nhellohello\r\n",
    "5 \r\nhello\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "x-sum: 7\r\n",
    "\u{0}",
];

fn responses() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(5..16_usize, 0..4);
    let rest = prop::collection::vec(16..PIECES.len(), 0..5);
    let whole = (0..5_usize, fields, rest).prop_map(|(line, fields, rest)| {
        let pieces = [line].into_iter().chain(fields).chain([16]).chain(rest);
        pieces
            .flat_map(|at| PIECES[at].bytes())
            .collect::<Vec<u8>>()
    });
    let anything = prop::collection::vec(0..PIECES.len(), 0..9)
        .prop_map(|pieces| pieces.iter().flat_map(|at| PIECES[*at].bytes()).collect());
    let damage = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (prop_oneof![4 => whole, 1 => anything], damage).prop_map(
        |(mut bytes, damage): (Vec<u8>, _)| {
            if let Some((at, byte)) = damage
                && !bytes.is_empty()
            {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

#[test]
fn a_response_that_is_taken_is_what_another_client_sees() {
    let fuzz = std::env::var("FAIRWAY_RESPONSES").ok();
    let cases = fuzz.as_ref().map_or(20_000, |cases| cases.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let taken = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // The same ones each time, so that nobody's run fails for what was there before; others when asked for.
    let mut runner = match fuzz {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let methods = prop::sample::select(vec![Method::GET, Method::HEAD]);
    runner
        .run(
            &(methods, responses(), 1..40_usize),
            |(method, bytes, piece)| {
                let ours = ours(&method, &bytes, piece);
                if let Some(ours) = ours {
                    taken.set(taken.get() + 1);
                    let theirs = runtime.block_on(hypers(&method, &bytes));
                    prop_assert_eq!(Some(ours), theirs, "{}", bytes.escape_ascii());
                }
                Ok(())
            },
        )
        .unwrap();
    // Otherwise nothing was compared.
    assert!(taken.get() > cases / 10, "{} were taken", taken.get());
}
