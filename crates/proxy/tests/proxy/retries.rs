//! Upstream connections: kept, reused, found stale, and endpoints that refuse.

use crate::client::{Client, ask, get};
use crate::proxy::Proxy;
use crate::upstream::{Upstream, refusing, wait_for};

#[test]
fn one_connection_serves_many_requests() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for _ in 0..200 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.response().body, "a:hi");
    }
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_endpoint_that_refuses_costs_no_request() {
    let upstreams = [Upstream::echo("a"), Upstream::echo("b")];
    let proxy = Proxy::to_all(&[refusing(), upstreams[0].address, upstreams[1].address]);
    for _ in 0..30 {
        // Nothing has left before the connection stands, so any method and any body will do.
        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
        let response = ask(proxy.address, request);
        assert_eq!(response.status, 200);
        assert!(response.body.ends_with(":hi"), "{response:?}");
    }
    let tries: u64 = proxy
        .log_lines(30)
        .iter()
        .map(|line| line["tries"].as_u64().unwrap())
        .sum();
    // The default is five failures in a row.
    assert_eq!(tries, 35, "tried twice until the endpoint is left alone");
}

#[test]
fn nobody_listens() {
    let proxy = Proxy::to_all(&[refusing(), refusing(), refusing(), refusing()]);
    let response = get(proxy.address, "a", "/");
    assert_eq!(response.status, 502);
    let line = &proxy.log_lines(1)[0];
    assert_eq!(
        (line["reason"].as_str(), line["tries"].as_u64()),
        (Some("connect_failed"), Some(3))
    );
}

/// Answers one request on each connection and closes it at the second, without an answer.
fn forgetful() -> Upstream {
    Upstream::start(|mut connection| {
        let head = connection.head().unwrap();
        connection.body(&head);
        connection.answer(200, "", "ok");
        connection.head();
    })
}

#[test]
fn a_stale_connection_is_replaced_for_what_may_be_sent_twice() {
    let upstream = forgetful();
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(upstream.requests(), 3);
    assert_eq!(proxy.metric("fairway_proxy_upstream_retries_total"), 1.0);
}

#[test]
fn a_post_is_never_sent_twice() {
    let upstream = forgetful();
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for expected in [200, 502] {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.response().status, expected);
    }
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn a_fresh_connection_that_breaks_is_no_reason_to_ask_again() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
    });
    let proxy = Proxy::to(&upstream);
    assert_eq!(get(proxy.address, "a", "/").status, 502);
    assert_eq!(upstream.requests(), 1);
}

#[test]
fn once_a_byte_was_answered_nothing_is_repeated() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.answer(200, "", "ok");
        connection.head();
        connection.send("HTTP/1.1 2");
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(client.get("a", "/").status, 502);
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn extra_bytes_after_a_response_reach_nobody() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale",
            );
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for _ in 0..5 {
        assert_eq!(client.get("a", "/").body, "ok");
    }
    assert_eq!(upstream.connections(), 5);
}

#[test]
fn a_response_that_can_be_read_in_two_ways_is_502() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "garbage\r\n\r\n",
    ] {
        let upstream = Upstream::start(move |mut connection| {
            while connection.head().is_some() {
                connection.send(answer);
            }
        });
        let proxy = Proxy::to(&upstream);
        let mut client = Client::connect(proxy.address);
        for _ in 0..2 {
            assert_eq!(client.get("a", "/").status, 502, "{answer:?}");
        }
        assert_eq!(upstream.connections(), 2, "{answer:?} must not be reused");
    }
}

#[test]
fn too_large_a_response_head_is_502() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        let header = "x".repeat(100 * 1024);
        connection.answer(200, &format!("X: {header}\r\n"), "");
    });
    let proxy = Proxy::to(&upstream);
    assert_eq!(get(proxy.address, "a", "/").status, 502);
}

/// Says how long it keeps a connection that has nothing to do, as Node does.
fn impatient(seconds: u64) -> Upstream {
    Upstream::start(move |mut connection| {
        let fields = format!("Connection: keep-alive\r\nKeep-Alive: timeout={seconds}\r\n");
        while connection.head().is_some() {
            connection.answer(200, &fields, "");
        }
    })
}

#[test]
fn a_connection_is_kept_for_as_long_as_its_endpoint_keeps_it() {
    for (seconds, connections) in [(0, 3), (1, 3), (600, 1)] {
        let upstream = impatient(seconds);
        let proxy = Proxy::to(&upstream);
        for _ in 0..3 {
            assert_eq!(get(proxy.address, "a", "/").status, 200);
        }
        assert_eq!(upstream.connections(), connections, "{seconds} s");
    }
}

#[test]
fn an_idle_connection_is_closed_before_its_endpoint_does() {
    let (closed, wait) = std::sync::mpsc::channel();
    let upstream = Upstream::start(move |mut connection| {
        connection.head().unwrap();
        let fields = "Connection: keep-alive\r\nKeep-Alive: timeout=2\r\n";
        connection.answer(200, fields, "");
        connection.expect_close();
        closed.send(()).unwrap();
    });
    let proxy = Proxy::to(&upstream);
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    wait.recv_timeout(2 * crate::client::PATIENCE).unwrap();
}

#[test]
fn idle_connections_to_endpoints_that_left_are_closed() {
    let (closed, wait) = std::sync::mpsc::channel();
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            connection.answer(200, "", "");
        }
        closed.send(()).unwrap();
    });
    let other = Upstream::echo("b");
    let mut proxy = Proxy::to(&upstream);
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    proxy.cluster.service("web", &[other.address]);
    proxy.apply();
    assert_eq!(get(proxy.address, "a", "/").body, "b:");
    wait.recv_timeout(crate::client::PATIENCE).unwrap();
    wait_for("the old endpoint to be left alone", || {
        upstream.connections() == 1
    });
}

#[test]
fn a_connection_that_was_busy_when_its_endpoint_left_is_closed_afterwards() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let (closed, ended) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        connection.head().unwrap();
        wait.lock().unwrap().recv().unwrap();
        connection.answer(200, "", "late");
        assert!(connection.head().is_none());
        closed.send(()).unwrap();
    });
    let other = Upstream::echo("b");
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    proxy.cluster.service("web", &[other.address]);
    proxy.apply();
    assert_eq!(get(proxy.address, "a", "/").body, "b:");
    go_on.send(()).unwrap();
    assert_eq!(client.response().body, "late");
    ended.recv_timeout(crate::client::PATIENCE).unwrap();
}

#[test]
fn weights_are_kept() {
    let upstreams = [
        Upstream::echo("a"),
        Upstream::echo("b"),
        Upstream::echo("c"),
    ];
    let mut cluster = crate::cluster::Cluster::default();
    for (name, upstream) in ["a", "b", "c"].iter().zip(&upstreams) {
        cluster.service(name, &[upstream.address]);
    }
    let path = fairway_model::PathMatch::Prefix("/".into());
    cluster.rule(None, path, &[("a", 3), ("b", 1), ("c", 0)]);
    let proxy = Proxy::start(cluster);
    let mut client = Client::connect(proxy.address);
    for _ in 0..800 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    let [a, b, c] = upstreams.each_ref().map(Upstream::requests);
    assert_eq!((a + b, c), (800, 0));
    // Six standard deviations of a fair draw.
    assert!((527..=673).contains(&a), "{a} of 800 at weight 3 of 4");
}
