//! Parties that are silent for too long.

use std::time::Duration;

use fairway_proxy::{Config, Limits, Timeouts};

use crate::client::{Client, get};
use crate::proxy::{Proxy, single};
use crate::upstream::Upstream;

const SHORT: Duration = Duration::from_millis(300);

fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Config {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    Config {
        timeouts,
        ..Config::default()
    }
}

#[test]
fn a_silent_upstream_is_504() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let mut cluster = crate::cluster::Cluster::default();
    cluster.policy.read_timeout = Some(SHORT);
    cluster.service("web", &[upstream.address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::start(cluster);
    assert_eq!(get(proxy.address, "a", "/").status, 504);
    assert_eq!(proxy.log_lines(1)[0]["reason"], "read_timeout");
}

#[test]
fn an_upstream_that_falls_silent_in_its_body_cuts_the_response() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        connection.expect_close();
    });
    let mut cluster = crate::cluster::Cluster::default();
    cluster.policy.read_timeout = Some(SHORT);
    cluster.service("web", &[upstream.address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::start(cluster);
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
    let mut cluster = crate::cluster::Cluster::default();
    cluster.policy.connect_timeout = SHORT;
    cluster.service("web", &[address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::start(cluster);
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
fn an_idle_client_is_let_go_without_a_word() {
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
    assert_eq!(proxy.log_lines(1)[0]["status"], 200);
    client.rest();
}

#[test]
fn a_connection_ends_after_its_share_of_requests() {
    let upstream = Upstream::echo("a");
    let config = Config {
        limits: Limits {
            requests_per_connection: 2,
            ..Limits::default()
        },
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").header("connection"), None);
    assert_eq!(client.get("a", "/").header("connection"), Some("close"));
    client.expect_close();
}

#[test]
fn connections_beyond_the_limit_wait_and_are_served() {
    let upstream = Upstream::echo("a");
    let config = Config {
        limits: Limits {
            connections_per_worker: 1,
            ..Limits::default()
        },
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut first = Client::connect(proxy.address);
    assert_eq!(first.get("a", "/").status, 200);
    let mut second = Client::connect(proxy.address);
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.get("a", "/").status, 200);
    assert_eq!(upstream.requests(), 2, "the second client waits");
    drop(first);
    assert_eq!(second.response().status, 200);
}
