//! HTTP/2 to endpoints, whatever the client speaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fairway_model::UpstreamProtocol;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::client::{Client, get};
use crate::cluster::Cluster;
use crate::http2::{body, connect, request, run, wait_for_async};
use crate::proxy::Proxy;

type Accepted = Connection<TcpStream, Bytes>;

/// An endpoint that speaks HTTP/2 in clear text, each connection by a task of the test's.
pub(crate) struct Http2Upstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Http2Upstream {
    pub(crate) fn start<F>(
        builder: Builder,
        serve: impl Fn(usize, Accepted) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    let Ok(connection) = builder.handshake(stream).await else {
                        continue;
                    };
                    tokio::task::spawn_local(serve(number, connection));
                }
            });
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers every request with what `answer` does, each in a task of its own.
    pub(crate) fn answering<F>(
        answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Copy + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self::start(Builder::new(), move |_, mut connection| async move {
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::task::spawn_local(answer(request, respond));
            }
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Answers with the request's target, some headers and its body.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (head, mut received) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = received.data().await {
        let _ = received.flow_control().release_capacity(piece.len());
        bytes.extend(piece);
    }
    let trailers = received.trailers().await.ok().flatten();
    let header = |name: &str| {
        let values = head.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values.join("|")
    };
    let text = format!(
        "{} {} host={} te={} xff={} coding={} body={} trailer={}",
        head.method,
        head.uri,
        header("host"),
        header("te"),
        header("x-forwarded-for"),
        header("transfer-encoding"),
        String::from_utf8_lossy(&bytes),
        trailers.map_or_else(String::new, |it| it["x-sum"].to_str().unwrap().to_owned()),
    );
    send(&mut respond, &text);
}

fn send(respond: &mut SendResponse<Bytes>, text: &str) {
    let response = Response::builder().header("x-from", "h2").body(()).unwrap();
    let Ok(mut sender) = respond.send_response(response, false) else {
        return;
    };
    let _ = sender.send_data(Bytes::copy_from_slice(text.as_bytes()), true);
}

fn cluster(endpoints: &[SocketAddr]) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(UpstreamProtocol::Http2);
    cluster.service("web", endpoints);
    cluster.route(None, "/", "web");
    cluster
}

#[test]
fn a_client_of_http_1_reaches_it() {
    let upstream = Http2Upstream::answering(echo);
    let proxy = Proxy::start(cluster(&[upstream.address]));
    let mut client = Client::connect(proxy.address);
    let response = client.get("a.example:81", "/x?q=1");
    assert_eq!(response.header("x-from"), Some("h2"));
    assert_eq!(
        response.body,
        "GET http://a.example:81/x?q=1 host= te= xff=127.0.0.1 coding= body= trailer="
    );
    client.send(
        "POST /up HTTP/1.1\r\nHost: a\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
         TE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    assert_eq!(
        client.response().body,
        "POST http://a/up host= te=trailers xff=127.0.0.1 coding= body=hello trailer=42"
    );
    // Nobody to name: the endpoint is.
    let mut old = Client::connect(proxy.address);
    old.send("GET /old HTTP/1.0\r\n\r\n");
    let body = old.response().body;
    assert!(
        body.starts_with(&format!("GET http://{}/old", upstream.address)),
        "{body}"
    );
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn many_clients_share_one_connection() {
    let upstream = Http2Upstream::answering(echo);
    let proxy = Proxy::with_h2c(cluster(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        let burst = (0..50).map(|number| {
            let request = request("GET", &format!("/{number}")).body(()).unwrap();
            client.send_request(request, true).unwrap().0
        });
        for (number, response) in burst.collect::<Vec<_>>().into_iter().enumerate() {
            let (text, _) = body(response.await.unwrap()).await;
            let expected = format!("GET http://a.example/{number} ");
            assert!(String::from_utf8(text).unwrap().starts_with(&expected));
        }
    });
    for _ in 0..10 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(
        proxy.metric("fairway_proxy_upstream_connections_opened_total"),
        1.0
    );
}

#[test]
fn an_endpoint_that_allows_few_streams_gets_more_connections() {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(2);
    let upstream = Http2Upstream::start(builder, |_, mut connection| async move {
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            tokio::task::spawn_local(async move {
                // Long enough for those beside it to be under way, too.
                tokio::time::sleep(Duration::from_millis(50)).await;
                send(&mut respond, "late");
            });
        }
    });
    let proxy = Proxy::with_h2c(cluster(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        let ask = |client: &mut h2::client::SendRequest<Bytes>| {
            let request = request("GET", "/").body(()).unwrap();
            client.send_request(request, true).unwrap().0
        };
        // After these the endpoint's settings are known.
        for _ in 0..3 {
            assert_eq!(ask(&mut client).await.unwrap().status(), 200);
        }
        let more: Vec<_> = (0..6).map(|_| ask(&mut client)).collect();
        for response in more {
            assert_eq!(response.await.unwrap().status(), 200);
        }
    });
    assert!(upstream.connections() >= 2, "{}", upstream.connections());
}

#[test]
fn a_reset_by_the_client_reaches_the_endpoint() {
    let (arrived, requests) = std::sync::mpsc::channel();
    let (seen, resets) = std::sync::mpsc::channel();
    let upstream = Http2Upstream::start(Builder::new(), move |_, mut connection| {
        let (arrived, seen) = (arrived.clone(), seen.clone());
        async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                arrived.send(()).unwrap();
                let seen = seen.clone();
                tokio::task::spawn_local(async move {
                    let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                    seen.send(reason.unwrap()).unwrap();
                });
            }
        }
    });
    let proxy = Proxy::with_h2c(cluster(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        for _ in 0..2 {
            let request = request("GET", "/").body(()).unwrap();
            let (response, mut sender) = client.send_request(request, true).unwrap();
            let waiting = tokio::task::spawn_local(response);
            wait_for_async("the request", || requests.try_recv().is_ok()).await;
            assert_eq!(upstream.connections(), 1);
            sender.send_reset(Reason::CANCEL);
            let mut reason = None;
            wait_for_async("the reset", || {
                reason = resets.try_recv().ok();
                reason.is_some()
            })
            .await;
            assert_eq!(reason, Some(Reason::CANCEL));
            assert!(waiting.await.unwrap().is_err());
        }
    });
    // A client of HTTP/1.1 says it by closing.
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run(async {
        wait_for_async("the request", || requests.try_recv().is_ok()).await;
        drop(client);
        wait_for_async("the reset", || resets.try_recv().is_ok()).await;
    });
    assert_eq!(
        upstream.connections(),
        1,
        "the connection outlives its streams"
    );
}

/// RFC 9113 section 8.7: what was refused was not processed, so any method may be sent again.
#[test]
fn a_refused_stream_is_sent_again() {
    let upstream = Http2Upstream::start(Builder::new(), |_, mut connection| async move {
        let mut refused = false;
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if refused {
                tokio::task::spawn_local(echo(request, respond));
            } else {
                refused = true;
                respond.send_reset(Reason::REFUSED_STREAM);
            }
        }
    });
    let proxy = Proxy::start(cluster(&[upstream.address]));
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(proxy.metric("fairway_proxy_upstream_retries_total"), 1.0);
}

#[test]
fn an_endpoint_that_resets_otherwise_is_not_asked_again() {
    let upstream = Http2Upstream::answering(async |_, mut respond: SendResponse<Bytes>| {
        respond.send_reset(Reason::INTERNAL_ERROR);
    });
    let proxy = Proxy::start(cluster(&[upstream.address]));
    assert_eq!(get(proxy.address, "a", "/").status, 502);
    assert_eq!(proxy.log_lines(1)[0]["tries"], 1);
}

/// Connections end by GOAWAY all the time (rolling updates, limits on age): nobody may notice.
#[test]
fn goaway_loses_no_request() {
    let upstream = Http2Upstream::start(Builder::new(), |_, mut connection| async move {
        let mut left = 10;
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::task::spawn_local(echo(request, respond));
            left -= 1;
            if left == 0 {
                connection.graceful_shutdown();
            }
        }
    });
    let proxy = Proxy::with_h2c(cluster(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        for _ in 0..30 {
            let burst: Vec<_> = (0..10)
                .map(|_| {
                    let request = request("POST", "/").body(()).unwrap();
                    client.send_request(request, true).unwrap().0
                })
                .collect();
            for response in burst {
                assert_eq!(response.await.unwrap().status(), 200);
            }
        }
    });
    assert!(upstream.connections() > 10, "{}", upstream.connections());
}

#[test]
fn an_endpoint_that_went_away_gets_nothing_more() {
    let old = Http2Upstream::answering(async |_, mut respond: SendResponse<Bytes>| {
        send(&mut respond, "old");
    });
    let new = Http2Upstream::answering(async |_, mut respond: SendResponse<Bytes>| {
        send(&mut respond, "new");
    });
    let mut proxy = Proxy::start(cluster(&[old.address]));
    assert_eq!(get(proxy.address, "a", "/").body, "old");
    proxy.cluster.service("web", &[new.address]);
    proxy.apply();
    for _ in 0..5 {
        assert_eq!(get(proxy.address, "a", "/").body, "new");
    }
}

#[test]
fn trailers_pass_from_end_to_end() {
    let upstream = Http2Upstream::answering(async |_, mut respond: SendResponse<Bytes>| {
        let response = Response::builder().body(()).unwrap();
        let mut sender = respond.send_response(response, false).unwrap();
        sender
            .send_data(Bytes::from_static(b"body"), false)
            .unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        sender.send_trailers(trailers).unwrap();
    });
    let proxy = Proxy::with_h2c(cluster(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        let request = request("GET", "/").body(()).unwrap();
        let response = client.send_request(request, true).unwrap().0.await.unwrap();
        let (text, trailers) = body(response).await;
        assert_eq!(text, b"body");
        assert_eq!(trailers.unwrap()["x-sum"], "42");
    });
    // HTTP/1.1 without leave to send them: the body is whole, and the next response is its own.
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        assert_eq!(client.get("a", "/").body, "body");
    }
}

#[test]
fn an_endpoint_that_does_not_speak_it_is_a_bad_gateway() {
    let upstream = crate::upstream::Upstream::start(|mut connection| {
        connection.head();
        connection.answer(400, "", "what?");
    });
    let proxy = Proxy::start(cluster(&[upstream.address]));
    for _ in 0..3 {
        assert_eq!(get(proxy.address, "a", "/").status, 502);
    }
}
