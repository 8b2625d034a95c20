//! Connections that leave HTTP.

use std::time::Duration;

use crate::client::{Client, get};
use crate::cluster::Cluster;
use crate::proxy::{Proxy, single};
use crate::python::{PythonServer, talk};
use crate::upstream::{Connection, Upstream, wait_for};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

fn echo_bytes(connection: &mut Connection) {
    while let Some(byte) = connection.read_exact(1) {
        if !connection.try_send(byte) {
            return;
        }
    }
}

fn server() -> Upstream {
    Upstream::start(|mut connection| {
        let head = connection.head().unwrap();
        assert_eq!(head.header("connection"), Some("upgrade"));
        assert_eq!(head.header("upgrade"), Some("websocket"));
        assert_eq!(head.header("sec-websocket-key"), Some("x"));
        connection.send(format!("{SWITCH}hello"));
        echo_bytes(&mut connection);
    })
}

fn open(proxy: &Proxy) -> Client {
    let mut client = Client::connect(proxy.address);
    client.send(UPGRADE);
    let (status, headers) = client.head();
    assert_eq!(status, 101);
    for expected in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "y"),
    ] {
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert!(headers.contains(&expected), "{headers:?}");
    }
    assert_eq!(client.take(5), b"hello", "sent right behind the 101");
    client
}

#[test]
fn a_drain_leaves_it_until_the_deadline() {
    let upstream = server();
    let mut proxy = Proxy::to(&upstream);
    let mut leaves = open(&proxy);
    let mut stays = open(&proxy);
    let drain = proxy.begin_drain(Duration::from_secs(1));
    wait_for("the end of the listener", || {
        std::net::TcpStream::connect(proxy.address).is_err()
    });
    for client in [&mut leaves, &mut stays] {
        client.send(b"x");
        assert_eq!(client.take(1), b"x");
    }
    leaves.stop_sending();
    leaves.expect_close();
    stays.send(b"y");
    assert_eq!(stays.take(1), b"y");
    assert!(!drain.is_finished());
    drain.join().unwrap();
    stays.expect_close();
}

#[test]
fn bytes_flow_both_ways_until_one_side_closes() {
    let upstream = server();
    let proxy = Proxy::to(&upstream);
    let mut client = open(&proxy);
    let message = vec![b'm'; 1000];
    for _ in 0..10 {
        client.send(&message);
        assert_eq!(client.take(message.len()), message);
    }
    client.send("last");
    client.stop_sending();
    assert_eq!(
        client.rest(),
        b"last",
        "the other direction outlives a half-close"
    );
    let line = &proxy.log_lines(1)[0];
    assert_eq!(line["status"], 101);
    assert_eq!(line["bytes"], 10_009);
}

#[test]
fn a_route_change_leaves_it_alone_and_a_drain_waits_for_it() {
    let upstream = server();
    let mut proxy = Proxy::to(&upstream);
    let mut client = open(&proxy);
    proxy.cluster = Cluster::default();
    proxy.routes.store(proxy.cluster.index());
    assert_eq!(get(proxy.address, "a", "/").status, 404);
    let drain = proxy.begin_drain(Duration::from_secs(60));
    client.send("still");
    assert_eq!(client.take(5), b"still");
    assert!(!drain.is_finished());
    drop(client);
    drain.join().unwrap();
}

#[test]
fn a_drain_that_is_over_cuts_it() {
    let upstream = server();
    let mut proxy = Proxy::to(&upstream);
    let mut client = open(&proxy);
    proxy.begin_drain(Duration::from_millis(50)).join().unwrap();
    client.expect_close();
    let line = &proxy.log()[0];
    assert_eq!(
        (&line["status"], &line["reason"]),
        (&101.into(), &"drained".into())
    );
}

#[test]
fn an_upstream_that_declines_is_passed_on_and_the_connection_stays_http() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.answer(200, "", "no tunnel");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        client.send(UPGRADE);
        assert_eq!(client.response().body, "no tunnel");
    }
    assert_eq!(client.get("a", "/").body, "no tunnel");
}

#[test]
fn bytes_sent_before_the_101_never_pass() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.send(SWITCH);
        assert_eq!(connection.read_exact(1), None);
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send(format!(
        "{UPGRADE}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    client.rest();
    assert_eq!(proxy.log_lines(1)[0]["reason"], "early_bytes");
}

#[test]
fn silence_ends_it() {
    let upstream = server();
    let mut cluster = Cluster::default();
    cluster.policy.read_timeout = Some(Duration::from_millis(300));
    cluster.service("web", &[upstream.address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::start(cluster);
    let mut client = open(&proxy);
    client.expect_close();
    assert_eq!(proxy.log_lines(1)[0]["reason"], "idle_tunnel");
}

/// Scenario 78 with a client and a server that are not ours (`python3-websockets`).
#[test]
fn python_exchanges_a_megabyte() {
    let server = PythonServer::start("websocket.py");
    // Where HTTP/2 is accepted, this is HTTP/1.1 all the same.
    let proxy = Proxy::with_h2c(single(&[server.address]));
    assert_eq!(
        talk(
            "websocket.py",
            &["talk", &format!("ws://{}/", proxy.address)]
        ),
        "1048576 bytes, 100 messages, closed 1000\n"
    );
}
