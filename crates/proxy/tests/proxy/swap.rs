//! Routes and endpoints change under running requests.

use std::sync::Mutex;
use std::sync::mpsc;

use crate::client::{Client, PATIENCE, get};
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

#[test]
fn a_running_request_ends_as_it_began_and_the_next_takes_the_new_route() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let old = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nold");
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            connection.send("-end");
        }
    });
    let new = Upstream::echo("new");
    let mut proxy = Proxy::to(&old);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.take(3), b"old");

    proxy.cluster = Cluster::default();
    proxy.cluster.service("other", &[new.address]);
    proxy.cluster.route(None, "/", "other");
    proxy.apply();
    assert_eq!(get(proxy.address, "a", "/").body, "new:");
    go_on.send(()).unwrap();
    assert_eq!(client.take(4), b"-end");
    assert_eq!(client.get("a", "/").body, "new:", "on the same connection");
}

#[test]
fn ten_thousand_requests_see_no_gap_while_endpoints_come_and_go() {
    let upstreams: Vec<_> = (0..3).map(|_| Upstream::echo("a")).collect();
    let mut proxy = Proxy::to_all(&[upstreams[0].address]);
    let address = proxy.address;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                (0..2500).all(|_| client.get("a", "/").status == 200)
            })
        })
        .collect();
    let mut round = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        round += 1;
        let endpoints = [
            upstreams[round % 3].address,
            upstreams[(round + 1) % 3].address,
        ];
        proxy.cluster.service("web", &endpoints);
        proxy.apply();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
    assert!(round > 10);
}
