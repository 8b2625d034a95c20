//! HTTP/2 from clients, HTTP/1.1 to endpoints.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use fairway_proxy::{Config, Limits, Timeouts};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};

use crate::client::{Client, PATIENCE, get};
use crate::frames::{DATA, END_STREAM, Frames, GET, GOAWAY, HEADERS, PREFACE, RST_STREAM};
use crate::proxy::{Proxy, single};
use crate::upstream::Upstream;

/// Runs a test that has to wait for several things at once.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let finished = local.block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test).await
    });
    finished.expect("the test ends in time")
}

/// A connection that nobody has to drive.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(connection);
    client
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://a.example{path}"))
}

/// Reads a body to its end, giving the window back as it goes.
pub(crate) async fn body(response: Response<RecvStream>) -> (Vec<u8>, Option<HeaderMap>) {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend(piece);
    }
    (bytes, body.trailers().await.unwrap())
}

async fn fetch(client: &mut SendRequest<Bytes>, path: &str) -> (u16, String) {
    let request = request("GET", path).body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let (body, _) = body(response).await;
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn a_request_arrives_as_http_1_would_have_said_it() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        let request = request("POST", "/a/%7eb?q=1")
            .header("cookie", "a=1")
            .header("x-order", "1")
            .header("cookie", "b=2")
            .header("x-order", "2")
            .header("x-forwarded-for", "6.6.6.6")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut sender) = client.send_request(request, false).unwrap();
        sender.send_data(Bytes::from_static(b"hel"), false).unwrap();
        sender.send_data(Bytes::from_static(b"lo"), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(response.headers()["content-length"], "9");
        assert_eq!(response.headers()["server"], "fairway");
        assert!(!response.headers().contains_key("connection"));
        assert_eq!(body(response).await.0, b"web:hello");
    });
    let head = upstream.next_head();
    assert_eq!(head.line, "POST /a/~b?q=1 HTTP/1.1");
    assert_eq!(head.header("host"), Some("a.example"));
    assert_eq!(head.header("cookie"), Some("a=1; b=2"));
    assert_eq!(head.all("x-order"), ["1", "2"]);
    assert_eq!(head.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.header("x-forwarded-host"), Some("a.example"));
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("te"), Some("trailers"));
    let line = &proxy.log_lines(1)[0];
    assert_eq!(
        (&line["host"], &line["status"]),
        (&"a.example".into(), &200.into())
    );
    assert_eq!(line["path"], "/a/%7eb");
}

#[test]
fn a_body_without_length_arrives_whatever_the_method() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        for (method, length) in [("GET", None), ("DELETE", None), ("PUT", Some("4"))] {
            let mut request = request(method, "/");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let request = request.body(()).unwrap();
            let (response, mut sender) = client.send_request(request, false).unwrap();
            sender.send_data(Bytes::from_static(b"body"), true).unwrap();
            assert_eq!(
                body(response.await.unwrap()).await.0,
                b"web:body",
                "{method}"
            );
            let head = upstream.next_head();
            assert_eq!(head.header("content-length"), length);
        }
    });
}

/// Scenario 80.
#[test]
fn responses_without_body_keep_what_they_say_about_it() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            connection.send(match &*head.line {
                "HEAD / HTTP/1.1" => "HTTP/1.1 200 X\r\nContent-Length: 1234\r\n\r\n",
                "GET /304 HTTP/1.1" => "HTTP/1.1 304 X\r\nETag: \"a\"\r\n\r\n",
                "GET /early HTTP/1.1" => {
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 X\r\n\r\n"
                }
                line => panic!("{line}"),
            });
        }
    });
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        for (method, path, status, length) in [
            ("HEAD", "/", 200, Some("1234")),
            ("GET", "/304", 304, None),
            ("GET", "/early", 204, None),
            ("HEAD", "/", 200, Some("1234")),
        ] {
            let request = request(method, path).body(()).unwrap();
            let response = client.send_request(request, true).unwrap().0.await.unwrap();
            assert_eq!(response.status(), status);
            let found = response.headers().get("content-length").cloned();
            assert_eq!(found.as_ref().map(|it| it.to_str().unwrap()), length);
            assert_eq!(body(response).await.0, b"");
        }
    });
    assert_eq!(
        upstream.connections(),
        1,
        "no response was longer than it said"
    );
}

/// Scenario 83: one slow reader does not stall the others.
#[test]
fn a_hundred_streams_share_a_connection_with_one_that_does_not_read() {
    const LARGE: usize = 1024 * 1024;
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let size = if head.line.contains("large") {
                LARGE
            } else {
                100
            };
            connection.answer(200, "", &"x".repeat(size));
        }
    });
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
        let (mut client, connection) = h2::client::Builder::new()
            .initial_connection_window_size(16 * 1024 * 1024)
            .handshake::<_, Bytes>(stream)
            .await
            .unwrap();
        tokio::task::spawn_local(connection);
        let large = request("GET", "/large").body(()).unwrap();
        let large = client.send_request(large, true).unwrap().0.await.unwrap();
        let small = (0..100).map(|_| {
            let small = request("GET", "/small").body(()).unwrap();
            client.send_request(small, true).unwrap().0
        });
        for response in small.collect::<Vec<_>>() {
            assert_eq!(body(response.await.unwrap()).await.0.len(), 100);
        }
        assert_eq!(body(large).await.0.len(), LARGE);
    });
    assert_eq!(proxy.log_lines(101).len(), 101);
}

/// Scenario 83: a reset cancels the work upstream.
#[test]
fn a_reset_closes_the_upstream_connection() {
    let (closed, closes) = mpsc::channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::start(move |mut connection| {
        let head = connection.head().unwrap();
        if head.line.contains("body") {
            connection.send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf");
        }
        connection.expect_close();
        closed.lock().unwrap().send(()).unwrap();
    });
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        for path in ["/head", "/body"] {
            let request = request("GET", path).body(()).unwrap();
            let (response, mut sender) = client.send_request(request, true).unwrap();
            let mut started = None;
            match path {
                "/body" => started = Some(response.await.unwrap()),
                _ => drop(tokio::task::spawn_local(response)),
            }
            tokio::task::yield_now().await;
            wait_for_async("the request arrives", || upstream.requests() == 1).await;
            upstream.next_head();
            sender.send_reset(Reason::CANCEL);
            wait_for_async("the upstream sees a close", || closes.try_recv().is_ok()).await;
            drop(started);
        }
    });
    for line in proxy.log_lines(2) {
        assert_eq!(line["reason"], "client_closed");
    }
}

pub(crate) async fn wait_for_async(what: &str, mut reached: impl FnMut() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}

#[test]
fn an_endpoint_that_breaks_off_resets_the_stream_and_no_other() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            if head.line.contains("cut") {
                connection.send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf");
                return;
            }
            connection.answer(200, "", "ok");
        }
    });
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    run(async {
        let mut client = connect(proxy.address).await;
        let cut = request("GET", "/cut").body(()).unwrap();
        let response = client.send_request(cut, true).unwrap().0.await.unwrap();
        let mut cut = response.into_body();
        assert_eq!(&*cut.data().await.unwrap().unwrap(), b"half");
        assert!(cut.data().await.unwrap().unwrap_err().is_reset());
        assert_eq!(fetch(&mut client, "/").await, (200, "ok".into()));
    });
    assert_eq!(proxy.log_lines(1)[0]["reason"], "upstream_closed");
}

#[test]
fn errors_of_ours_leave_the_connection_open() {
    let upstream = Upstream::echo("web");
    let mut cluster = single(&[upstream.address]);
    cluster.service("none", &[]);
    cluster.route(Some("a.example"), "/none", "none");
    cluster.route(Some("a.example"), "/", "web");
    let proxy = Proxy::with_h2c(cluster);
    run(async {
        let mut client = connect(proxy.address).await;
        assert_eq!(fetch(&mut client, "/none").await.0, 503);
        assert_eq!(fetch(&mut client, "/a//../b").await.0, 400);
        let trace = request("TRACE", "/").body(()).unwrap();
        let response = client.send_request(trace, true).unwrap().0.await.unwrap();
        assert_eq!(response.status(), 405);
        assert!(!response.headers().contains_key("connection"));
        // Refused with its body on the way.
        let post = request("POST", "/none").body(()).unwrap();
        let (response, _sender) = client.send_request(post, false).unwrap();
        assert_eq!(response.await.unwrap().status(), 503);
        assert_eq!(fetch(&mut client, "/").await, (200, "web:".into()));
    });
}

#[test]
fn a_drain_says_goaway_and_lets_streams_finish() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            connection.answer(200, "", "done");
        }
    });
    let mut proxy = Proxy::with_h2c(single(&[upstream.address]));
    let drain = run(async {
        let mut client = connect(proxy.address).await;
        let request = request("GET", "/").body(()).unwrap();
        let response = client.send_request(request, true).unwrap().0;
        let response = tokio::task::spawn_local(response);
        wait_for_async("the request arrives", || upstream.requests() == 1).await;
        let drain = proxy.begin_drain(PATIENCE);
        goaway(&mut client).await;
        go_on.send(()).unwrap();
        assert_eq!(body(response.await.unwrap().unwrap()).await.0, b"done");
        drain
    });
    drain.join().unwrap();
}

/// Waits until the client was told to take another connection.
async fn goaway(client: &mut SendRequest<Bytes>) {
    let wait = async {
        while std::future::poll_fn(|context| client.poll_ready(context))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("GOAWAY comes");
}

#[test]
fn after_so_many_requests_a_connection_ends() {
    let upstream = Upstream::echo("web");
    let limits = Limits {
        requests_per_connection: 3,
        ..Limits::default()
    };
    let config = Config {
        h2c: true,
        limits,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    run(async {
        let mut client = connect(proxy.address).await;
        for _ in 0..3 {
            assert_eq!(fetch(&mut client, "/").await.0, 200);
        }
        goaway(&mut client).await;
    });
}

#[test]
fn idle_and_silent_connections_end() {
    let upstream = Upstream::echo("web");
    let timeouts = Timeouts {
        idle: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let config = Config {
        h2c: true,
        timeouts,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut silent = Frames::connect(proxy.address);
    assert_eq!(silent.next_of(&[GOAWAY]), None);
    let mut client = Frames::connect(proxy.address);
    client.request(1, END_STREAM, &GET);
    assert_eq!(client.next_of(&[HEADERS]).unwrap().status(), Some(200));
    assert_eq!(client.next_of(&[GOAWAY]).unwrap().code(), 0);
    // It does not answer the ping that follows, and is closed all the same.
    assert_eq!(client.next_of(&[HEADERS]), None);
}

#[test]
fn a_client_that_answers_no_ping_is_gone() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let timeouts = Timeouts {
        ping: Duration::from_millis(100),
        ping_answer: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let config = Config {
        h2c: true,
        timeouts,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Frames::connect(proxy.address);
    client.request(1, END_STREAM, &GET);
    upstream.next_head();
    while client.next().is_some() {}
    assert_eq!(proxy.log_lines(1)[0]["reason"], "client_closed");
}

/// Scenario 101 for HTTP/2: whoever does not read is reset in time, and holds up nobody meanwhile.
#[test]
fn a_stream_that_does_not_read_is_reset() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.answer(200, "", &"x".repeat(1024 * 1024));
        connection.expect_close();
    });
    let timeouts = Timeouts {
        write: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let config = Config {
        h2c: true,
        timeouts,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Frames::connect(proxy.address);
    client.request(1, END_STREAM, &GET);
    let mut received = 0;
    let reset = loop {
        let frame = client.next_of(&[DATA, RST_STREAM]).unwrap();
        if frame.kind == RST_STREAM {
            break frame;
        }
        received += frame.payload.len();
    };
    assert_eq!(received, 65_535, "the window it never enlarged");
    assert_eq!((reset.stream, reset.code()), (1, 8), "CANCEL");
}

#[test]
fn a_body_that_stops_is_told_408() {
    let upstream = Upstream::echo("web");
    let timeouts = Timeouts {
        body: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let config = Config {
        h2c: true,
        timeouts,
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    run(async {
        let mut client = connect(proxy.address).await;
        let post = request("POST", "/").body(()).unwrap();
        let (response, mut sender) = client.send_request(post, false).unwrap();
        sender
            .send_data(Bytes::from_static(b"and then"), false)
            .unwrap();
        assert_eq!(response.await.unwrap().status(), 408);
        assert_eq!(fetch(&mut client, "/").await.0, 200);
    });
}

/// Scenario 100.
#[test]
fn without_the_option_the_preface_is_a_bad_request() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send(PREFACE);
    assert_eq!(client.response().status, 400);
    client.expect_close();
}

#[test]
fn http_1_is_served_beside_it_however_it_arrives() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    let mut slow = Client::connect(proxy.address);
    for byte in b"PRI /x HTTP/1.1\r\nHost: a\r\n\r\n" {
        slow.send([*byte]);
    }
    assert_eq!(slow.response().status, 200);
    let mut half = Client::connect(proxy.address);
    half.send("PRI *");
    half.stop_sending();
    half.rest();
}

/// An HTTP/2 client that is not ours.
#[test]
fn curl_speaks_it_by_prior_knowledge() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    let url = format!("http://{}/x", proxy.address);
    let output = Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--data", "hello"])
        .args(["--write-out", " %{http_version} %{http_code}", &url])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "web:hello 2 200");
}

/// By ALPN; the certificate is the one for strangers.
#[test]
fn curl_agrees_on_it_by_alpn() {
    let upstream = Upstream::echo("web");
    let config = Config {
        https: vec!["127.0.0.1:0".parse().unwrap()],
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let url = format!("https://{}/x", proxy.https.unwrap());
    for (version, expected) in [
        ("--http2", "web:hello 2 200"),
        ("--http1.1", "web:hello 1.1 200"),
    ] {
        let output = Command::new("curl")
            .args(["--silent", "--insecure", version, "--data", "hello"])
            .args(["--write-out", " %{http_version} %{http_code}", &url])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(
            upstream.next_head().header("x-forwarded-proto"),
            Some("https")
        );
    }
}

/// nghttp2's own client, which checks what it is told frame by frame.
#[test]
fn h2load_gets_every_answer() {
    let upstream = Upstream::echo("web");
    let proxy = Proxy::with_h2c(single(&[upstream.address]));
    let output = Command::new("h2load")
        .args([
            "--requests=2000",
            "--clients=4",
            "--max-concurrent-streams=50",
        ])
        .arg(format!("http://{}/x", proxy.address))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let expected =
        "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(report.contains(expected), "{report}");
}
