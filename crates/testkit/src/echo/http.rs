use std::convert::Infallible;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{copy, split};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Identity, Serving};
use crate::ask::Answer;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The ends of a connection, as the server sees them.
#[derive(Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    own: SocketAddr,
}

pub(super) async fn serve_stream(stream: TcpStream, mut serving: Serving) {
    let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr()) else {
        return; // reset before it was served
    };
    let ends = Ends { peer, own };
    let identity = Arc::clone(&serving.identity);
    let service = service_fn(move |request| {
        let identity = Arc::clone(&identity);
        async move { Ok::<_, Infallible>(answer(request, ends, &identity).await) }
    });
    // No `Date`, so that two answers to the same request are equal.
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // Errors are clients that went away or broke the protocol; they noticed.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = serving.drained() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, ends: Ends, identity: &Identity) -> Response<Body> {
    let wishes = Wishes::of(request.uri().query().unwrap_or_default());
    if let Some(protocol) = request.headers().get(header::UPGRADE).cloned() {
        return upgrade(request, protocol);
    }
    if !wishes.delay.is_zero() {
        sleep(wishes.delay).await;
    }
    let mut response = if wishes.mirror {
        Response::new(request.into_body().boxed_unsync())
    } else if let Some(chunks) = wishes.chunks {
        Response::new(chunked(chunks, wishes.every))
    } else if let Some(length) = wishes.bytes {
        Response::new(full(vec![b'x'; length]))
    } else {
        seen(request, ends, identity).await
    };
    *response.status_mut() = wishes.status;
    for (name, value) in wishes.headers {
        response.headers_mut().append(name, value);
    }
    response
}

/// The JSON that [`crate::ask::Answer`] reads.
async fn seen(request: Request<Incoming>, ends: Ends, identity: &Identity) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let mut response = Response::new(full(format!("cannot read the body: {error}\n")));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter();
    let seen = Answer {
        pod: identity.pod.clone(),
        node: identity.node.clone(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        proto: format!("{:?}", head.version),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        peer: ends.peer,
        own: ends.own,
        body: text(&body),
    };
    let seen = serde_json::to_vec(&seen).expect("strings can be written as JSON");
    let mut response = Response::new(full(seen));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn chunked(number: usize, every: Duration) -> Body {
    let chunks = stream::unfold(1, move |index| async move {
        if index > number {
            return None;
        }
        if index > 1 && !every.is_zero() {
            sleep(every).await;
        }
        let chunk = Frame::data(format!("chunk {index}\n").into());
        Some((Ok(chunk), index + 1))
    });
    StreamBody::new(chunks).boxed_unsync()
}

fn upgrade(request: Request<Incoming>, protocol: HeaderValue) -> Response<Body> {
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let (mut reader, mut writer) = split(TokioIo::new(upgraded));
            // Ends when the client closes or goes away.
            let _ = copy(&mut reader, &mut writer).await;
        }
    });
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
    response
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// What the query of a request asks for; what it does not understand it leaves alone.
struct Wishes {
    delay: Duration,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    bytes: Option<usize>,
    chunks: Option<usize>,
    every: Duration,
    mirror: bool,
}

impl Wishes {
    /// The longest body of declared length; it is held in memory.
    const MAX_BYTES: usize = 1 << 26;

    fn of(query: &str) -> Self {
        let mut wishes = Self {
            delay: Duration::ZERO,
            status: StatusCode::OK,
            headers: Vec::new(),
            bytes: None,
            chunks: None,
            every: Duration::ZERO,
            mirror: false,
        };
        for wish in query.split('&') {
            let (name, value) = wish.split_once('=').unwrap_or((wish, ""));
            match name {
                "delay" => wishes.delay = milliseconds(value),
                "every" => wishes.every = milliseconds(value),
                "bytes" => wishes.bytes = value.parse().ok().filter(|n| *n <= Self::MAX_BYTES),
                "chunks" => wishes.chunks = value.parse().ok(),
                "mirror" => wishes.mirror = true,
                "status" => {
                    // 1xx would promise another response.
                    let status = StatusCode::from_str(value).ok();
                    let fit = status.filter(|status| (200..600).contains(&status.as_u16()));
                    wishes.status = fit.unwrap_or(wishes.status);
                }
                "header" => wishes.headers.extend(response_header(value)),
                _ => {}
            }
        }
        wishes
    }
}

fn milliseconds(value: &str) -> Duration {
    Duration::from_millis(value.parse().unwrap_or(0))
}

fn response_header(value: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = value.split_once(':')?;
    Some((name.parse().ok()?, value.parse().ok()?))
}
