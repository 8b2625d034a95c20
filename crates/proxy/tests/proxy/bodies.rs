//! Bodies are streamed both ways, with the framing that their sender chose.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::client::{Client, PATIENCE, ask};
use crate::proxy::Proxy;
use crate::upstream::{Upstream, wait_for};

#[test]
fn the_first_event_arrives_before_the_last_is_made() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            connection.send("4\r\nlast\r\n0\r\n\r\n");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), b"first");
    go_on.send(()).unwrap();
    assert_eq!(client.chunk(), b"last");
    assert_eq!(client.chunk(), b"");
}

#[test]
fn an_upload_reaches_the_upstream_while_it_is_sent() {
    let (seen, wait) = mpsc::channel();
    let upstream = Upstream::start(move |mut connection| {
        while let Some(head) = connection.head() {
            while head.header("transfer-encoding") == Some("chunked") {
                let chunk = connection.chunk();
                seen.send(chunk.clone()).unwrap();
                if chunk.is_empty() {
                    break;
                }
            }
            connection.answer(200, "", "done");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    assert_eq!(wait.recv_timeout(PATIENCE).unwrap(), b"one");
    client.send("3\r\ntwo\r\n");
    assert_eq!(wait.recv_timeout(PATIENCE).unwrap(), b"two");
    client.send("0\r\n\r\n");
    assert_eq!(client.response().body, "done");
    assert_eq!(
        client.get("a", "/").status,
        200,
        "the connection is good for another request"
    );
}

#[test]
fn expect_continue_is_answered_when_the_upstream_takes_the_body() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().0, 100);
    client.send("hi");
    assert_eq!(client.response().body, "a:hi");
    assert_eq!(upstream.next_head().header("expect"), None);
}

#[test]
fn a_refused_request_gets_no_100() {
    let proxy = Proxy::start(crate::cluster::Cluster::default());
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (404, Some("close"))
    );
    client.stop_sending();
    client.expect_close();
}

#[test]
fn head_keeps_the_length_and_has_no_body() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.response_to("HEAD");
        assert_eq!(response.header("content-length"), Some("1234"));
    }
    assert_eq!(upstream.connections(), 1);
    client.send("HEAD /../x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response_to("HEAD");
    assert_eq!(response.status, 400);
    assert_ne!(response.header("content-length"), Some("0"));
    client.stop_sending();
    client.expect_close();
}

#[test]
fn no_content_and_not_modified_have_no_body() {
    for status in [204, 304] {
        let upstream = Upstream::start(move |mut connection| {
            while connection.head().is_some() {
                connection.send(format!("HTTP/1.1 {status} X\r\nETag: x\r\n\r\n"));
            }
        });
        let proxy = Proxy::to(&upstream);
        let mut client = Client::connect(proxy.address);
        for _ in 0..2 {
            let response = client.get("a", "/");
            assert_eq!(response.status, status);
            assert_eq!(response.header("transfer-encoding"), None);
        }
        assert_eq!(upstream.connections(), 1);
    }
}

#[test]
fn interim_responses_are_not_final() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            connection.answer(200, "", "final");
        }
    });
    let proxy = Proxy::to(&upstream);
    assert_eq!(
        ask(proxy.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").body,
        "final"
    );
}

#[test]
fn interim_responses_without_end_are_no_answer() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        while connection.try_send("HTTP/1.1 103 Early Hints\r\n\r\n") {}
    });
    let proxy = Proxy::to(&upstream);
    let response = ask(proxy.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(response.status, 502);
}

#[test]
fn an_upload_that_breaks_off_behind_its_response_ends_both() {
    let (closed, wait) = mpsc::channel();
    let upstream = Upstream::start(move |mut connection| {
        connection.head();
        connection.chunk();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        connection.expect_close();
        closed.send(()).unwrap();
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), b"first");
    client.send("no size\r\n");
    // Without a last chunk: the client can tell that this is not all.
    client.expect_close();
    wait.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.answer(413, "Connection: close\r\n", "too much");
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let part = [b'x'; 64 * 1024];
    // More than the kernel's buffers hold.
    for _ in 0..512 {
        client.send(part);
    }
    let response = client.response();
    assert_eq!((response.status, response.body.as_str()), (413, "too much"));
}

#[test]
fn who_is_answered_early_is_told_that_there_is_no_next_request() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.answer(401, "", "who?");
        connection.expect_close();
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (401, Some("close"))
    );
    client.expect_close();
}

#[test]
fn both_may_go_on_behind_the_head_of_the_response() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        loop {
            let chunk = connection.chunk();
            connection.send(format!("{:x}\r\n", chunk.len()));
            connection.send([&chunk[..], b"\r\n"].concat());
            if chunk.is_empty() {
                return;
            }
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.contains(&("connection".to_owned(), "close".to_owned())));
    for _ in 0..3 {
        client.send("3\r\nabc\r\n");
        assert_eq!(client.chunk(), b"abc");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), b"");
    client.expect_close();
    assert_eq!(proxy.log_lines(1)[0]["reason"], serde_json::Value::Null);
}

#[test]
fn a_client_that_goes_away_ends_the_upstreams_work() {
    let (closed, wait) = mpsc::channel();
    let upstream = Upstream::start(move |mut connection| {
        connection.head();
        connection.expect_close();
        closed.send(()).unwrap();
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    drop(client);
    wait.recv_timeout(PATIENCE).unwrap();
    let line = &proxy.log_lines(1)[0];
    assert_eq!(
        (line["status"].as_u64(), line["reason"].as_str()),
        (Some(499), Some("client_closed"))
    );
}

#[test]
fn a_slow_reader_stops_the_upstream_instead_of_filling_memory() {
    const PART: usize = 64 * 1024;
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = sent.clone();
    let upstream = Upstream::start(move |mut connection| {
        connection.head();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            PART * 4096
        ));
        while connection.try_send([b'x'; PART]) {
            count.fetch_add(PART, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    // The level to wait for is that nothing moves; what the kernel's buffers hold is at most this.
    let mut last = usize::MAX;
    wait_for("the upstream to be stopped", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = sent.load(std::sync::atomic::Ordering::SeqCst);
        std::mem::replace(&mut last, now) == now
    });
    assert!(last < 64 * 1024 * 1024, "{last} bytes went somewhere");
    client.take(PART * 64);
}

#[test]
fn a_truncated_response_is_truncated_for_the_client() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.rest(), b"half");
    assert_eq!(proxy.log_lines(1)[0]["reason"], "upstream_closed");
}

#[test]
fn trailers_of_a_request_pass_and_the_next_one_is_read() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let mut body = Vec::new();
            while head.header("transfer-encoding").is_some() && !body.ends_with(b"\r\n\r\n") {
                body.extend(connection.read_exact(1).unwrap());
            }
            connection.answer(200, "", &String::from_utf8(body).unwrap());
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for trailer in ["", "Trailer: X-Sum\r\n"] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{trailer}\r\n\
             5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let expected = match trailer {
            // Who was not told of trailers may take them for something else.
            "" => "5\r\nhello\r\n0\r\n\r\n",
            _ => "5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n",
        };
        assert_eq!(client.response().body, expected);
        assert_eq!(client.response().status, 200);
        let lines = [(); 2].map(|()| upstream.next_head().line);
        assert_eq!(lines, ["POST / HTTP/1.1", "GET /next HTTP/1.1"]);
    }
}

/// Whatever it would unpack to, and however many parts were asked for.
#[test]
fn what_is_compressed_or_a_range_passes_untouched() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let body = connection.body(&head);
            let headers = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
            connection.answer(200, headers, &String::from_utf8(body).unwrap());
        }
    });
    let proxy = Proxy::to(&upstream);
    let ranges = format!("bytes={}0-0", "0-0,".repeat(9_999));
    // Not even gzip: nobody looks.
    let packed = "\u{1f}packed\u{8}".repeat(100);
    let response = ask(
        proxy.address,
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nRange: {ranges}\r\nAccept-Encoding: br;q=1.0, gzip\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{packed}",
            packed.len()
        ),
    );
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.body, packed);
    let head = upstream.next_head();
    for (name, value) in [
        ("range", ranges.as_str()),
        ("accept-encoding", "br;q=1.0, gzip"),
        ("content-encoding", "gzip"),
    ] {
        assert_eq!(head.header(name), Some(value), "{name}");
    }
}
