//! Parties that are silent for too long.

use std::net::SocketAddr;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use fairway_model::UpstreamPolicy;
use fairway_proxy::{Config, Timeouts};

use crate::client::{Client, get};
use crate::cluster::Cluster;
use crate::proxy::{Proxy, single};
use crate::upstream::{Upstream, wait_for};

const SHORT: Duration = Duration::from_millis(300);

fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Config {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    Config {
        timeouts,
        ..Config::default()
    }
}

/// A proxy with another policy towards an endpoint.
fn towards(endpoint: SocketAddr, change: impl FnOnce(&mut UpstreamPolicy)) -> Proxy {
    let mut cluster = Cluster::default();
    change(&mut cluster.policy);
    cluster.service("web", &[endpoint]);
    cluster.route(None, "/", "web");
    Proxy::start(cluster)
}

#[test]
fn a_silent_upstream_is_504() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let proxy = towards(upstream.address, |policy| policy.read_timeout = Some(SHORT));
    assert_eq!(get(proxy.address, "a", "/").status, 504);
    assert_eq!(proxy.log_lines(1)[0]["reason"], "read_timeout");
}

/// The time to answer begins with the end of the body, which trailers are, too.
#[test]
fn an_upload_may_take_longer_than_the_answer_to_it() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n\r\n") {
            body.extend(connection.read_exact(1).unwrap());
        }
        connection.answer(200, "", "done");
    });
    let limit = Duration::from_secs(2);
    let proxy = towards(upstream.address, |policy| policy.read_timeout = Some(limit));
    let mut client = Client::connect(proxy.address);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\nx\r\n",
    );
    std::thread::sleep(limit + 2 * SHORT);
    client.send("0\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn an_upstream_that_falls_silent_in_its_body_cuts_the_response() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.expect_close();
    });
    let proxy = towards(upstream.address, |policy| policy.read_timeout = Some(SHORT));
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.rest(), b"half");
    assert_eq!(proxy.log_lines(1)[0]["reason"], "read_timeout");
}

#[test]
fn an_endpoint_that_does_not_accept_is_504() {
    // A listener with a full queue: Linux drops further SYNs.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _fill: Vec<_> = (0..4)
        .filter_map(|_| std::net::TcpStream::connect_timeout(&address, SHORT).ok())
        .collect();
    let proxy = towards(address, |policy| policy.connect_timeout = SHORT);
    assert_eq!(get(proxy.address, "a", "/").status, 504);
    assert_eq!(proxy.log_lines(1)[0]["reason"], "connect_timeout");
}

#[test]
fn a_head_that_never_ends_is_408() {
    let upstream = Upstream::echo("a");
    let config = timeouts(|timeouts| timeouts.head = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").status, 200);
    client.send("GET / HTTP/1.1\r\nHost:");
    assert_eq!(client.response().status, 408);
    client.expect_close();
    assert_eq!(proxy.log_lines(2)[1]["reason"], "head_timeout");
}

#[test]
fn the_beginning_of_a_head_behind_another_request_is_a_head_that_never_ends() {
    let upstream = Upstream::echo("a");
    let config = timeouts(|timeouts| timeouts.head = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 408);
}

/// Buffers are given up between requests; what is in them is not, and neither is the connection.
#[test]
fn requests_go_on_after_a_pause_wherever_it_falls() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    let pause = || std::thread::sleep(2 * SHORT);
    pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo");
    assert_eq!(client.response().status, 200);
    pause();
    client.send("st: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    pause();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    pause();
    client.send("hi");
    assert_eq!(client.response().body, "a:hi");
    pause();
    assert_eq!(client.get("a", "/").status, 200);
}

#[test]
fn an_idle_client_is_let_go_without_a_word() {
    // Load balancers let go after a minute, and send nothing on what we have closed.
    assert!(Timeouts::default().idle > Duration::from_secs(60));
    let upstream = Upstream::echo("a");
    let config = timeouts(|timeouts| timeouts.idle = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    Client::connect(proxy.address).expect_close();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").status, 200);
    client.expect_close();
    assert_eq!(proxy.log_lines(1).len(), 1);
}

#[test]
fn a_client_that_stops_sending_its_body_is_408() {
    let upstream = Upstream::echo("a");
    let config = timeouts(|timeouts| timeouts.body = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (408, Some("close"))
    );
    client.stop_sending();
    client.expect_close();
    assert_eq!(proxy.log_lines(1)[0]["reason"], "body_timeout");
}

/// A byte now and then would satisfy a limit for silence for ever.
#[test]
fn a_body_that_drips_is_408() {
    let upstream = Upstream::echo("a");
    let config = timeouts(|timeouts| {
        timeouts.body = 2 * SHORT;
        timeouts.body_rate = 1000;
    });
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let head =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut dripping = Client::connect(proxy.address);
    dripping.send(head(1_000_000));
    let mut steady = Client::connect(proxy.address);
    steady.send(head(200_000));
    let mut sent = 0;
    wait_for("the end of the one that drips", || {
        if sent < 190_000 {
            steady.send([b'x'; 2000]);
            sent += 2000;
        }
        std::thread::sleep(SHORT / 10);
        !dripping.try_send("x") || proxy.log().iter().any(|line| line["status"] == 408)
    });
    steady.send(vec![b'x'; 200_000 - sent]);
    assert_eq!(steady.response().status, 200);
    assert_eq!(proxy.log_lines(2)[0]["reason"], "body_timeout");
}

/// The endpoint is not to blame, whose response waits for nothing else.
#[test]
fn a_client_that_stops_sending_behind_its_response_is_named() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.expect_close();
    });
    let config = timeouts(|timeouts| timeouts.body = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.rest(), b"half");
    assert_eq!(proxy.log_lines(1)[0]["reason"], "body_timeout");
}

#[test]
fn an_endpoint_that_stops_taking_behind_its_response_is_named() {
    let (over, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        let _ = wait.lock().unwrap().recv();
    });
    let proxy = towards(upstream.address, |policy| policy.write_timeout = SHORT);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    while client.try_send([b'x'; 64 * 1024]) {}
    assert_eq!(proxy.log_lines(1)[0]["reason"], "write_timeout");
    drop(over);
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while connection.try_send([b'x'; 64 * 1024]) {}
    });
    let config = timeouts(|timeouts| timeouts.write = SHORT);
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let line = &proxy.log_lines(1)[0];
    assert_eq!(
        (&line["status"], &line["reason"]),
        (&200.into(), &"client_too_slow".into())
    );
    client.rest();
}

/// Never silent for long, and never keeping up.
#[test]
fn a_client_that_reads_in_drips_is_cut() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while connection.try_send([b'x'; 64 * 1024]) {}
    });
    let config = timeouts(|timeouts| {
        timeouts.write = 2 * SHORT;
        timeouts.write_rate = 100_000_000;
    });
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut taken = 0;
    wait_for("its end", || {
        std::thread::sleep(SHORT / 10);
        let some: usize = (0..16).map(|_| client.take_some()).sum();
        taken += some;
        some == 0
    });
    assert_eq!(proxy.log_lines(1)[0]["reason"], "client_too_slow");
    assert!(taken > 1024 * 1024, "cut for silence after {taken} bytes");
}
