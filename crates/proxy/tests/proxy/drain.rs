//! The end of the proxy.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use crate::client::{Client, PATIENCE, get};
use crate::proxy::Proxy;
use crate::upstream::{Upstream, wait_for};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn running_requests_finish_and_their_clients_are_told() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while let Some(head) = connection.head() {
            if head.line.contains("slow") {
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            connection.answer(200, "", "done");
        }
    });
    let mut proxy = Proxy::to(&upstream);
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.get("a", "/").status, 200);
    upstream.next_head();
    let mut busy = Client::connect(proxy.address);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();

    let drain = proxy.begin_drain(LONG);
    idle.expect_close();
    assert!(TcpStream::connect(proxy.address).is_err() || !drain.is_finished());
    go_on.send(()).unwrap();
    let response = busy.response();
    assert_eq!(
        (response.body.as_str(), response.header("connection")),
        ("done", Some("close"))
    );
    busy.expect_close();
    drain.join().unwrap();
    assert_eq!(
        proxy.log().len(),
        2,
        "the log is complete when the drain is"
    );
}

#[test]
fn what_was_connected_before_is_served() {
    let upstream = Upstream::echo("a");
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    let drain = proxy.begin_drain(LONG);
    is_served_until_told_to_close(&mut client);
    drain.join().unwrap();
}

/// The worker hears of the drain when it comes to it; until then nothing is new.
fn is_served_until_told_to_close(client: &mut Client) {
    let last = loop {
        let response = client.get("a", "/");
        assert_eq!(response.status, 200);
        if let Some(connection) = response.header("connection") {
            break connection.to_owned();
        }
    };
    assert_eq!(last, "close");
    client.expect_close();
}

#[test]
fn an_idle_connection_may_ask_once_more() {
    let upstream = Upstream::echo("a");
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").header("connection"), None);
    let drain = proxy.begin_drain(LONG);
    is_served_until_told_to_close(&mut client);
    drain.join().unwrap();
}

/// The worker has heard of the drain when it does not accept any more.
fn wait_for_drain(proxy: &Proxy) {
    wait_for("the drain", || TcpStream::connect(proxy.address).is_err());
}

#[test]
fn a_request_whose_head_has_begun_is_served() {
    let upstream = Upstream::echo("a");
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("a", "/").status, 200);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    // The only worker has read that when it serves what came later.
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    let drain = proxy.begin_drain(LONG);
    wait_for_drain(&proxy);
    client.send("\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (200, Some("close"))
    );
    client.expect_close();
    drain.join().unwrap();
}

#[test]
fn a_client_that_was_not_told_may_ask_once_more() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while let Some(head) = connection.head() {
            if head.line.contains("slow") {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                connection.send("half");
            } else {
                connection.answer(200, "", "done");
            }
        }
    });
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.iter().all(|(name, _)| name != "connection"));
    assert_eq!(client.take(4), b"half");
    let drain = proxy.begin_drain(LONG);
    wait_for_drain(&proxy);
    go_on.send(()).unwrap();
    assert_eq!(client.take(4), b"half");
    let response = client.get("a", "/");
    assert_eq!(
        (response.status, response.header("connection")),
        (200, Some("close"))
    );
    client.expect_close();
    drain.join().unwrap();
}

#[test]
fn who_never_asks_is_let_go() {
    let upstream = Upstream::echo("a");
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    // The only worker has accepted it when it serves what came later.
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    let drain = proxy.begin_drain(LONG);
    client.expect_close();
    drain.join().unwrap();
}

#[test]
fn nothing_outlives_the_grace() {
    let upstream = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let mut proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    proxy.begin_drain(Duration::from_millis(50)).join().unwrap();
    client.expect_close();
    let line = &proxy.log()[0];
    assert_eq!(
        (&line["status"], &line["reason"]),
        (&499.into(), &"drained".into())
    );
}
