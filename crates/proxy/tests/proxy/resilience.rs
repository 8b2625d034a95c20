//! Endpoints that fail, and upstreams that have enough to do.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fairway_model::{EjectionPolicy, RetryBudget, UpstreamLimits, UpstreamPolicy};

use crate::client::{Client, PATIENCE, ask, get};
use crate::proxy::Proxy;
use crate::upstream::{Upstream, refusing, wait_for};

const SHORT: Duration = Duration::from_millis(300);
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
const EJECTIONS: &str = "fairway_proxy_upstream_ejections_total";

fn with(endpoints: &[SocketAddr], change: impl FnOnce(&mut UpstreamPolicy)) -> Proxy {
    let mut cluster = crate::cluster::Cluster::default();
    change(&mut cluster.policy);
    cluster.service("web", endpoints);
    cluster.route(None, "/", "web");
    Proxy::start(cluster)
}

/// Reads requests and closes without an answer.
fn breaking() -> Upstream {
    Upstream::start(|mut connection| drop(connection.head()))
}

/// Answers every request with this status.
fn answering(status: u16) -> Upstream {
    Upstream::start(move |mut connection| {
        while let Some(head) = connection.head() {
            connection.body(&head);
            connection.answer(status, "", "");
        }
    })
}

#[test]
fn a_connection_that_breaks_is_a_reason_to_ask_elsewhere_but_not_to_post_twice() {
    let (bad, good) = (breaking(), Upstream::echo("good"));
    let endpoints = [bad.address, good.address];
    let proxy = with(&endpoints, |policy| policy.ejection = None);
    for _ in 0..10 {
        assert_eq!(get(proxy.address, "a", "/").body, "good:");
    }
    assert_eq!(bad.requests(), 5);
    assert_eq!(proxy.metric("fairway_proxy_upstream_retries_total"), 5.0);
    let statuses = [(); 10].map(|()| ask(proxy.address, POST).status);
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 5);
    assert_eq!(good.requests(), 15);

    let proxy = with(&endpoints, |policy| {
        policy.ejection = None;
        policy.retry.broken_connections = false;
    });
    let statuses = [(); 10].map(|()| get(proxy.address, "a", "/").status);
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 5);
}

/// What a listener does whose process has just died: the kernel had taken the connection.
#[test]
fn an_endpoint_that_resets_new_connections_costs_no_get() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    let good = Upstream::echo("good");
    let proxy = with(&[bad, good.address], |policy| policy.ejection = None);
    for _ in 0..30 {
        assert_eq!(get(proxy.address, "a", "/").body, "good:");
    }
}

#[test]
fn statuses_that_the_route_names_are_asked_again_elsewhere() {
    let (bad, good) = (answering(503), Upstream::echo("good"));
    let proxy = with(&[bad.address, good.address], |policy| {
        policy.ejection = None;
        policy.retry.statuses = vec![502, 503];
    });
    for _ in 0..10 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    let statuses = [(); 10].map(|()| ask(proxy.address, POST).status);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 5);
    // All answer so: the last answer is the client's.
    let proxy = with(&[bad.address, bad.address], |policy| {
        policy.retry.statuses = vec![503];
    });
    assert_eq!(get(proxy.address, "a", "/").status, 503);
}

#[test]
fn a_silent_endpoint_is_asked_elsewhere_where_the_route_wants_that() {
    let silent = Upstream::start(|mut connection| {
        connection.head();
        connection.expect_close();
    });
    let good = Upstream::echo("good");
    let proxy = with(&[silent.address, good.address], |policy| {
        policy.read_timeout = Some(SHORT);
        policy.retry.timeouts = true;
    });
    for _ in 0..2 {
        assert_eq!(get(proxy.address, "a", "/").body, "good:");
    }
    assert_eq!(silent.requests(), 1);
}

#[test]
fn retries_end_with_the_budget() {
    let (bad, good) = (breaking(), Upstream::echo("good"));
    let proxy = with(&[bad.address, good.address], |policy| {
        policy.ejection = None;
        policy.retry.budget = RetryBudget {
            percent: 10,
            per_second: 0,
        };
    });
    let mut client = Client::connect(proxy.address);
    let statuses: Vec<_> = (0..100).map(|_| client.get("a", "/").status).collect();
    let failed = statuses.iter().filter(|status| **status == 502).count();
    let retries = proxy.metric("fairway_proxy_upstream_retries_total");
    let over = proxy.metric("fairway_proxy_upstream_retries_over_budget_total");
    assert_eq!(over, failed as f64);
    // A tenth of at most a hundred requests.
    assert!((1.0..=10.0).contains(&retries), "{retries}");
}

#[test]
fn tries_are_counted_by_the_route() {
    let endpoints = [(); 4].map(|()| refusing());
    for tries in [1, 2, 4] {
        let proxy = with(&endpoints, |policy| policy.retry.tries = tries);
        assert_eq!(get(proxy.address, "a", "/").status, 502);
        assert_eq!(proxy.log_lines(1)[0]["tries"], tries);
    }
}

fn ejection(change: impl FnOnce(&mut EjectionPolicy)) -> Option<EjectionPolicy> {
    let mut ejection = EjectionPolicy {
        failures: 3,
        time: PATIENCE,
        ..EjectionPolicy::default()
    };
    change(&mut ejection);
    Some(ejection)
}

#[test]
fn an_endpoint_that_fails_is_left_alone_even_when_routes_change() {
    let (bad, good) = (breaking(), Upstream::echo("good"));
    let mut proxy = with(&[bad.address, good.address], |policy| {
        policy.ejection = ejection(|_| {});
    });
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    assert_eq!((bad.requests(), proxy.metric(EJECTIONS)), (3, 1.0));
    proxy.cluster.route(Some("b"), "/", "web");
    let third = Upstream::echo("third");
    proxy
        .cluster
        .service("web", &[bad.address, good.address, third.address]);
    proxy.apply();
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "b", "/").status, 200);
    }
    assert_eq!(bad.requests(), 3);
    assert!(third.requests() > 5);
}

#[test]
fn gateway_errors_count_where_the_route_says_so() {
    for (gateway_errors, expected) in [(false, 10), (true, 3)] {
        let (bad, good) = (answering(503), Upstream::echo("good"));
        let proxy = with(&[bad.address, good.address], |policy| {
            policy.ejection = ejection(|it| it.gateway_errors = gateway_errors);
        });
        for _ in 0..20 {
            get(proxy.address, "a", "/");
        }
        assert_eq!(bad.requests(), expected);
    }
}

#[test]
fn an_endpoint_that_recovers_gets_requests_again() {
    let works = Arc::new(AtomicBool::new(false));
    let state = works.clone();
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() && state.load(Ordering::SeqCst) {
            connection.answer(200, "", "back");
        }
    });
    let good = Upstream::echo("good");
    let proxy = with(&[upstream.address, good.address], |policy| {
        policy.ejection = ejection(|it| {
            it.time = SHORT;
            it.longest = SHORT;
        });
    });
    wait_for("its ejection", || {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
        proxy.metric(EJECTIONS) == 1.0
    });
    works.store(true, Ordering::SeqCst);
    wait_for("its return", || get(proxy.address, "a", "/").body == "back");
    let turns = [(); 10].map(|()| get(proxy.address, "a", "/").body);
    assert_eq!(turns.iter().filter(|body| *body == "back").count(), 5);
}

#[test]
fn when_most_endpoints_fail_all_are_asked() {
    let upstreams = [answering(503), answering(503), Upstream::echo("good")];
    let proxy = with(&upstreams.each_ref().map(|it| it.address), |policy| {
        policy.ejection = ejection(|it| it.gateway_errors = true);
    });
    for _ in 0..60 {
        get(proxy.address, "a", "/");
    }
    assert_eq!(proxy.metric(EJECTIONS), 2.0);
    assert!(upstreams[0].requests() > 10 && upstreams[1].requests() > 10);
}

/// Answers when it is told to.
fn waiting() -> (Upstream, mpsc::Sender<()>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::start(move |mut connection| {
        while connection.head().is_some() {
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            connection.answer(200, "", "done");
        }
    });
    (upstream, go_on)
}

fn one_at_once(waiting: u32, wait: Duration) -> UpstreamLimits {
    UpstreamLimits {
        requests: NonZeroU32::new(1),
        waiting,
        wait,
    }
}

#[test]
fn requests_beyond_the_limit_of_an_upstream_wait_and_beyond_that_are_503() {
    let (upstream, go_on) = waiting();
    let proxy = with(&[upstream.address], |policy| {
        policy.limits = one_at_once(1, PATIENCE);
    });
    let mut clients = [(); 3].map(|()| {
        let mut client = Client::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    });
    let full = || proxy.metric("fairway_proxy_upstream_full_total");
    wait_for("one request too many to be refused", || full() > 0.0);
    upstream.next_head();
    assert_eq!(upstream.connections(), 1);
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    let mut responses = clients.each_mut().map(Client::response);
    responses.sort_by_key(|response| response.status);
    assert_eq!(responses.each_ref().map(|it| it.status), [200, 200, 503]);
    assert_eq!(responses[2].header("retry-after"), Some("1"));
    assert_eq!(full(), 1.0);
    assert_eq!(proxy.log_lines(1)[0]["reason"], "upstream_full");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn who_waits_for_too_long_is_503_and_leaves_the_line() {
    let (upstream, go_on) = waiting();
    let proxy = with(&[upstream.address], |policy| {
        policy.limits = one_at_once(8, SHORT);
    });
    let mut first = Client::connect(proxy.address);
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    assert_eq!(get(proxy.address, "a", "/").status, 503);
    go_on.send(()).unwrap();
    assert_eq!(first.response().status, 200);
    go_on.send(()).unwrap();
    assert_eq!(get(proxy.address, "a", "/").status, 200);
}

#[test]
fn who_goes_away_while_waiting_does_not_keep_the_place() {
    let (upstream, go_on) = waiting();
    let proxy = with(&[upstream.address], |policy| {
        policy.limits = one_at_once(1, PATIENCE);
    });
    let mut first = Client::connect(proxy.address);
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.next_head();
    let mut second = Client::connect(proxy.address);
    second.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(second);
    wait_for("the line of the one that went", || {
        proxy.log().iter().any(|line| line["path"] == "/gone")
    });
    let mut third = Client::connect(proxy.address);
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for client in [&mut first, &mut third] {
        go_on.send(()).unwrap();
        assert_eq!(client.response().status, 200);
    }
}

/// As a rolling update of a Service with one pod does it: the request was given to the old pod.
#[test]
fn the_endpoint_that_replaces_the_only_one_is_asked_again() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let old = Upstream::start(move |mut connection| {
        connection.head();
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    });
    let new = Upstream::echo("new");
    let mut proxy = with(&[old.address], |_| {});
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    old.next_head();
    proxy.cluster.service("web", &[new.address]);
    proxy.apply();
    // Nothing that another request does tells this one of the change.
    go_on.send(()).unwrap();
    assert_eq!(client.response().body, "new:");
}

#[test]
fn requests_that_waited_go_to_the_endpoints_of_now() {
    let (old, go_on) = waiting();
    let new = Upstream::echo("new");
    let mut proxy = with(&[old.address], |policy| {
        policy.limits = one_at_once(2, PATIENCE);
    });
    let mut clients = [(); 3].map(|()| Client::connect(proxy.address));
    for (number, client) in clients.iter_mut().enumerate() {
        if number == 2 {
            // The third is planned with the new endpoint, which takes the old one from the second.
            proxy.cluster.service("web", &[new.address]);
            proxy.apply();
        }
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let in_flight = || -> f64 {
            let text = proxy.metrics();
            let series = "fairway_proxy_requests_in_flight{";
            let lines = text.lines().filter(|line| line.starts_with(series));
            lines
                .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
                .sum()
        };
        wait_for("the request to be planned", || {
            in_flight() == (number + 1) as f64
        });
    }
    go_on.send(()).unwrap();
    let [first, second, third] = &mut clients;
    assert_eq!(first.response().body, "done");
    assert_eq!(second.response().body, "new:");
    assert_eq!(third.response().body, "new:");
}

/// Nobody says of the endpoints of a route that is gone that they have left.
#[test]
fn a_request_whose_route_is_gone_goes_on_with_its_endpoints() {
    let (bad, good) = (refusing(), Upstream::echo("good"));
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let closing = Upstream::start(move |mut connection| {
        connection.head();
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    });
    let mut proxy = with(&[closing.address, good.address, bad], |policy| {
        policy.ejection = None;
    });
    // In turn, whoever is first.
    let mut clients = [(); 3].map(|()| Client::connect(proxy.address));
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    closing.next_head();
    proxy.cluster = crate::cluster::Cluster::default();
    proxy.apply();
    wait_for("the route to be gone", || {
        get(proxy.address, "a", "/").status == 404
    });
    go_on.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(client.response().body, "good:");
    }
}
