//! Which endpoint a request goes to, by the policies of its route.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::{HashKey, LoadBalancing};
use fairway_proxy::Config;

use crate::client::{Client, ask, get};
use crate::proxy::{Proxy, single};
use crate::upstream::{Upstream, refusing};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn balanced(balancing: LoadBalancing, endpoints: &[SocketAddr]) -> Proxy {
    let mut cluster = crate::cluster::Cluster::default();
    cluster.policy.balancing = balancing;
    cluster.service("web", endpoints);
    cluster.route(None, "/", "web");
    Proxy::start(cluster)
}

/// Three endpoints, of which a request is answered by the one that its key belongs to.
fn hashed(key: HashKey) -> (Proxy, [Upstream; 3]) {
    let upstreams = NAMES.map(Upstream::echo);
    let addresses = upstreams.each_ref().map(|upstream| upstream.address);
    let proxy = balanced(LoadBalancing::ConsistentHash(key), &addresses);
    (proxy, upstreams)
}

/// Sends each request ten times, and checks that one endpoint has it, but not one endpoint all.
fn stays(proxy: &Proxy, requests: impl Iterator<Item = String>) {
    let mut client = Client::connect(proxy.address);
    let mut used = BTreeSet::new();
    for request in requests {
        let answers: BTreeSet<_> = (0..10)
            .map(|_| {
                client.send(&request);
                client.response().body
            })
            .collect();
        assert_eq!(answers.len(), 1, "{request}");
        used.extend(answers);
    }
    assert_eq!(used.len(), 3);
}

#[test]
fn turns_are_taken_evenly() {
    let upstreams = NAMES.map(Upstream::echo);
    let addresses = upstreams.each_ref().map(|upstream| upstream.address);
    let proxy = balanced(LoadBalancing::RoundRobin, &addresses);
    let mut client = Client::connect(proxy.address);
    for _ in 0..30 {
        client.get("a", "/");
    }
    assert_eq!(upstreams.each_ref().map(Upstream::requests), [10; 3]);
}

#[test]
fn a_header_decides() {
    let (proxy, _upstreams) = hashed(HashKey::Header("x-user".into()));
    let user = |number| format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: {number}\r\n\r\n");
    stays(&proxy, (0..30).map(user));
}

#[test]
fn a_cookie_decides() {
    let (proxy, _upstreams) = hashed(HashKey::Cookie("session".into()));
    let user =
        |number| format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: other=x; session={number}\r\n\r\n");
    stays(&proxy, (0..30).map(user));
}

/// Scenario 108: names that are nearly the cookie's, without names, without values; and a value of 50 KB.
#[test]
fn cookies_decide_however_large_and_strange_they_are() {
    let (proxy, _upstreams) = hashed(HashKey::Cookie("session".into()));
    let strange = "xsession=1; session2=\"; =; ;; session; Session=9; ".repeat(1000);
    let large = "%ff".repeat(17_000);
    let user = |number| {
        let cookie = match number % 2 {
            0 => format!("{strange}session={number}"),
            _ => format!("session={large}{number}"),
        };
        format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")
    };
    stays(&proxy, (0..20).map(user));
}

#[test]
fn path_and_query_decide() {
    let (proxy, _upstreams) = hashed(HashKey::Uri);
    let page = |number| {
        let (path, query) = (number % 6, number / 6);
        format!("GET /{path}?q={query} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    stays(&proxy, (0..30).map(page));
}

#[test]
fn the_clients_address_decides() {
    let (proxy, _upstreams) = hashed(HashKey::SourceAddress);
    let mut used = BTreeSet::new();
    for own in 1..=20 {
        let from = || {
            let mut client = Client::connect_from([127, 0, 0, own].into(), proxy.address);
            client.get("a", "/").body
        };
        let answers = BTreeSet::from([from(), from(), from()]);
        assert_eq!(answers.len(), 1);
        used.extend(answers);
    }
    assert_eq!(used.len(), 3);
}

#[test]
fn the_client_behind_a_trusted_proxy_decides_and_nobody_else_may_say_so() {
    for (trusted, expected) in [(vec!["127.0.0.1/32".parse().unwrap()], 3), (vec![], 1)] {
        let upstreams = NAMES.map(Upstream::echo);
        let addresses = upstreams.each_ref().map(|upstream| upstream.address);
        let mut cluster = crate::cluster::Cluster::default();
        cluster.policy.balancing = LoadBalancing::ConsistentHash(HashKey::SourceAddress);
        cluster.service("web", &addresses);
        cluster.route(None, "/", "web");
        let config = Config {
            trusted_proxies: trusted,
            ..Config::default()
        };
        let proxy = Proxy::configured(cluster, config);
        let used: BTreeSet<_> = (1..=30)
            .map(|number| {
                let forwarded = format!("X-Forwarded-For: 6.6.6.6, 192.0.2.{number}, 127.0.0.1");
                let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{forwarded}\r\n\r\n");
                ask(proxy.address, request).body
            })
            .collect();
        assert_eq!(used.len(), expected);
    }
}

#[test]
fn requests_without_the_key_go_in_turn() {
    let (proxy, upstreams) = hashed(HashKey::Cookie("session".into()));
    for _ in 0..30 {
        get(proxy.address, "a", "/");
    }
    assert_eq!(upstreams.each_ref().map(Upstream::requests), [10; 3]);
}

#[test]
fn when_an_endpoint_goes_only_its_keys_move() {
    let (mut proxy, upstreams) = hashed(HashKey::Header("x-user".into()));
    let answers = |proxy: &Proxy| -> Vec<_> {
        let mut client = Client::connect(proxy.address);
        let users = 0..60;
        let ask = users.map(|number| {
            client.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-User: {number}\r\n\r\n"
            ));
            client.response().body
        });
        ask.collect()
    };
    let before = answers(&proxy);
    proxy
        .cluster
        .service("web", &[upstreams[0].address, upstreams[1].address]);
    proxy.apply();
    for (before, after) in before.iter().zip(answers(&proxy)) {
        assert_ne!(after, "c:");
        assert!(before == "c:" || *before == after, "{before} {after}");
    }
}

#[test]
fn who_has_a_request_to_answer_gets_no_other() {
    let stuck = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let free = Upstream::echo("free");
    let proxy = balanced(LoadBalancing::LeastRequests, &[stuck.address, free.address]);
    // Kept open: a client that goes takes its request with it.
    let mut clients = Vec::new();
    while stuck.requests() == 0 {
        let mut client = Client::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answered = free.requests() + 1;
        crate::upstream::wait_for("the request to be somewhere", || {
            stuck.requests() > 0 || free.requests() == answered
        });
        clients.push(client);
    }
    for _ in 0..50 {
        assert_eq!(get(proxy.address, "a", "/").body, "free:");
    }
    assert_eq!(stuck.requests(), 1);
}

#[test]
fn the_quicker_endpoint_gets_the_requests() {
    let slow = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            std::thread::sleep(Duration::from_millis(60));
            connection.answer(200, "", "slow");
        }
    });
    let quick = Upstream::echo("quick");
    let proxy = balanced(LoadBalancing::PeakEwma, &[slow.address, quick.address]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..50 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    assert_eq!(slow.requests(), 1);
}

#[test]
fn near_endpoints_are_asked_while_they_answer() {
    let [near, far] = ["near", "far"].map(Upstream::echo);
    let mut cluster = single(&[near.address, far.address]);
    cluster.far.insert(far.address);
    let proxy = Proxy::start(cluster);
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "a", "/").body, "near:");
    }
    let gone = refusing();
    let mut cluster = single(&[gone, far.address]);
    cluster.far.insert(far.address);
    let proxy = Proxy::start(cluster);
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "a", "/").body, "far:");
    }
    let tries = proxy
        .log_lines(20)
        .iter()
        .map(|line| line["tries"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(tries, 25, "after five tries the near one is left alone");
}
