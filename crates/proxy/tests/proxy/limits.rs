//! How much of everything one may have.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use fairway_proxy::{Config, Limits, MemoryUser, MemoryWatermark, ProxyProtocol};

use crate::client::{Client, PATIENCE, get};
use crate::proxy::{Proxy, single};
use crate::upstream::{Upstream, wait_for};

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

/// A proxy with other limits in front of an endpoint.
fn limited(upstream: &Upstream, change: impl FnOnce(&mut Limits)) -> Proxy {
    let mut limits = Limits::default();
    change(&mut limits);
    let config = Config {
        limits,
        ..Config::default()
    };
    Proxy::configured(single(&[upstream.address]), config)
}

/// An endpoint that answers requests for `/slow` when it is told to, and others at once.
fn slow() -> (Upstream, mpsc::Sender<()>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while let Some(head) = connection.head() {
            if head.line.contains("/slow") {
                wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            connection.answer(200, "", "done");
        }
    });
    (upstream, go_on)
}

#[test]
fn for_one_connection_too_many_the_one_goes_that_was_idle_for_longest() {
    let upstream = Upstream::echo("a");
    let proxy = limited(&upstream, |limits| limits.connections_per_worker = 3);
    let mut clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Client::connect(proxy.address);
            assert_eq!(client.get("a", "/").status, 200);
            client
        })
        .collect();
    // The first has been of use since the second was.
    assert_eq!(clients[0].get("a", "/").status, 200);
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    clients[1].expect_close();
    for index in [0, 2] {
        assert_eq!(clients[index].get("a", "/").status, 200);
    }
    assert_eq!(
        proxy.metric("fairway_proxy_client_connections_shed_total"),
        1.0
    );
}

#[test]
fn who_is_busy_is_not_closed_and_connections_beyond_the_limit_wait() {
    let (upstream, go_on) = slow();
    let proxy = limited(&upstream, |limits| limits.connections_per_worker = 1);
    let mut first = Client::connect(proxy.address);
    first.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    let mut second = Client::connect(proxy.address);
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(upstream.requests(), 0, "the second client waits");
    go_on.send(()).unwrap();
    assert_eq!(first.response().status, 200);
    assert_eq!(second.response().status, 200);
    first.expect_close();
}

#[test]
fn who_goes_on_sending_after_its_last_answer_makes_room() {
    let upstream = Upstream::echo("a");
    let proxy = limited(&upstream, |limits| limits.connections_per_worker = 1);
    let mut first = Client::connect(proxy.address);
    first.send("POST /../x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(first.response().status, 400);
    let sending = std::thread::spawn(move || {
        while first.try_send("x") {
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    sending.join().unwrap();
}

#[test]
fn a_client_has_no_more_connections_than_its_share() {
    let upstream = Upstream::echo("a");
    let proxy = limited(&upstream, |limits| limits.connections_per_client = Some(2));
    let mut clients = [(); 2].map(|()| Client::connect(proxy.address));
    for client in &mut clients {
        assert_eq!(client.get("a", "/").status, 200);
    }
    Client::connect(proxy.address).expect_close();
    let refused = "fairway_proxy_client_connections_refused_total";
    assert_eq!(proxy.metric(refused), 1.0);
    let mut other = Client::connect_from([127, 0, 0, 2].into(), proxy.address);
    assert_eq!(other.get("a", "/").status, 200);
    let [first, mut second] = clients;
    drop(first);
    wait_for("room for another one", || {
        Client::connect(proxy.address).is_served("a", "/")
    });
    assert_eq!(second.get("a", "/").status, 200);
}

/// Behind a load balancer all have one address, and it tells them apart.
#[test]
fn a_share_is_that_of_the_client_behind_the_load_balancer() {
    let upstream = Upstream::echo("a");
    let config = Config {
        limits: Limits {
            connections_per_client: Some(1),
            ..Limits::default()
        },
        proxy_protocol: ProxyProtocol::Optional,
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let through = |client: &str| {
        let mut connection = Client::connect(proxy.address);
        connection.send(format!("PROXY TCP4 {client} 192.0.2.9 1 2\r\n"));
        connection
    };
    let mut one = through("192.0.2.1");
    assert_eq!(one.get("a", "/").status, 200);
    through("192.0.2.1").expect_close();
    let mut two = through("192.0.2.2");
    assert_eq!(two.get("a", "/").status, 200);
    // Of connections without a header, and with one that tells nobody, clients may be many.
    for header in ["", "PROXY UNKNOWN\r\n"] {
        let own: Vec<_> = (0..3)
            .map(|_| {
                let mut client = Client::connect(proxy.address);
                client.send(header);
                assert_eq!(client.get("a", "/").status, 200, "{header:?}");
                client
            })
            .collect();
        drop(own);
    }
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_back() {
    let (upstream, go_on) = slow();
    let proxy = limited(&upstream, |limits| limits.requests_per_worker = 1);
    let mut first = Client::connect(proxy.address);
    first.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    let mut second = Client::connect(proxy.address);
    let response = second.get("a", "/");
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(proxy.log_lines(1)[0]["reason"], "overloaded");
    go_on.send(()).unwrap();
    assert_eq!(first.response().status, 200);
    assert_eq!(second.get("a", "/").status, 200);
}

#[test]
fn with_too_much_memory_in_use_new_requests_are_503_and_running_ones_go_on() {
    let group = tempfile::tempdir().unwrap();
    let uses = |bytes: &str| std::fs::write(group.path().join("memory.current"), bytes).unwrap();
    uses("1000");
    let (upstream, go_on) = slow();
    let config = Config {
        memory: Some(MemoryWatermark {
            bytes: 1000,
            of: MemoryUser::Group(group.path().to_owned()),
            requests_in_any_case: 1,
        }),
        ..Config::default()
    };
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.get("a", "/").status, 200);
    let mut running = Client::connect(proxy.address);
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("both requests", || upstream.requests() == 2);

    uses("1001");
    idle.expect_close();
    let mut refused = Client::connect(proxy.address);
    let response = refused.get("a", "/");
    assert_eq!(
        (response.status, response.header("connection")),
        (503, Some("close"))
    );
    refused.expect_close();
    assert_eq!(proxy.log_lines(2)[1]["reason"], "out_of_memory");
    assert_eq!(proxy.metric("fairway_proxy_requests_shed_total"), 1.0);
    go_on.send(()).unwrap();
    assert_eq!(running.response().status, 200);
    // One at a time is served whatever is in use.
    assert_eq!(running.get("a", "/").status, 200);

    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request", || upstream.requests() == 4);
    uses("1000");
    wait_for("requests to be taken again", || {
        get(proxy.address, "a", "/").status == 200
    });
    go_on.send(()).unwrap();
    assert_eq!(running.response().status, 200);
}

#[test]
fn ten_thousand_requests_share_a_connection() {
    const AT_ONCE: usize = 100;
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(AT_ONCE);
    let total = Limits::default().requests_per_connection as usize;
    assert_eq!(total, 10_000);
    for done in (0..total).step_by(AT_ONCE) {
        client.send(&requests);
        for number in done + 1..=done + AT_ONCE {
            let response = client.response();
            assert_eq!(response.status, 200);
            let last = (number == total).then_some("close");
            assert_eq!(response.header("connection"), last, "request {number}");
        }
    }
    client.expect_close();
    assert_eq!(upstream.connections(), 1);
}
