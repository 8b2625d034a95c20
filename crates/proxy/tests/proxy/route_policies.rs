//! What routes may set for requests and for their upstream.

use fairway_model::{Action, Filter, PathMatch, PathRewrite, Redirect};

use crate::client::{Client, ask, get};
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// Everything to one upstream, after a change of the route.
fn governed(upstream: &Upstream, change: impl FnOnce(&mut Cluster)) -> Proxy {
    let mut cluster = Cluster::default();
    change(&mut cluster);
    cluster.service("web", &[upstream.address]);
    cluster.route(None, "/", "web");
    Proxy::start(cluster)
}

/// Scenario 40: the upstream is asked for what the groups make of the path.
#[test]
fn paths_are_rewritten() {
    let upstream = Upstream::echo("a");
    let mut cluster = Cluster::default();
    cluster.service("web", &[upstream.address]);
    let mut route = |path: &str, rewrite: PathRewrite| {
        cluster.filters = vec![Filter::RewritePath(rewrite)];
        cluster.route(None, path, "web");
    };
    route("/", PathRewrite::Prefix("/all".into()));
    route("/app", PathRewrite::Prefix("/".into()));
    route("/one", PathRewrite::Full("/".into()));
    let api = PathRewrite::Regex {
        pattern: "/api(/|$)(.*)".into(),
        replacement: "/$2".into(),
    };
    route("/api", api);
    let dots = PathRewrite::Regex {
        pattern: "/dots/(.)x(.)(.*)".into(),
        replacement: "/safe/$1$2$3".into(),
    };
    route("/dots", dots);
    let proxy = Proxy::start(cluster);
    for (asked, forwarded) in [
        ("/x?y=%2F&z", "/all/x?y=%2F&z"),
        ("/app", "/"),
        ("/app/x//y?q", "/x//y?q"),
        ("//app/x", "/x"),
        ("/app/../app/x", "/x"),
        ("/one/more?q=1", "/?q=1"),
        ("/api", "/"),
        ("/api/?y=1", "/?y=1"),
        ("/%61pi/x", "/x"),
        ("/dots/axb/c", "/safe/ab/c"),
    ] {
        assert_eq!(get(proxy.address, "a", asked).status, 200);
        let line = upstream.next_head().line;
        assert_eq!(line, format!("GET {forwarded} HTTP/1.1"), "{asked}");
    }
    assert_eq!(get(proxy.address, "a", "/dots/.x./secret").status, 400);
    assert_eq!(upstream.requests(), 0, "refused before it was sent");
}

#[test]
fn a_host_for_the_upstream_and_added_headers() {
    let upstream = Upstream::echo("a");
    let proxy = governed(&upstream, |cluster| {
        cluster.filters = vec![
            Filter::SetRequestHeader("host".into(), "inside.example".into()),
            Filter::AddRequestHeader("accept".into(), "b".into()),
            Filter::AddResponseHeader("vary".into(), "origin".into()),
        ];
    });
    let response = ask(
        proxy.address,
        "GET / HTTP/1.1\r\nHost: outside.example\r\nAccept: a\r\n\r\n",
    );
    assert_eq!(response.header("vary"), Some("origin"));
    let head = upstream.next_head();
    assert_eq!(head.header("host"), Some("inside.example"));
    assert_eq!(head.header("x-forwarded-host"), Some("outside.example"));
    assert_eq!(head.all("accept"), ["a", "b"]);
}

/// Browsers do not ask who made a response: what is allowed to be embedded, say, holds for errors, too.
#[test]
fn headers_are_added_to_our_own_responses() {
    let upstream = Upstream::echo("a");
    let mut cluster = Cluster::default();
    let header = |name: &str, value: &str| Filter::SetResponseHeader(name.into(), value.into());
    cluster.filters = vec![header("x-frame-options", "DENY"), header("server", "shop")];
    cluster.service("web", &[crate::upstream::refusing()]);
    cluster.route(None, "/broken", "web");
    cluster.route(None, "/nobody", "missing");
    cluster.action(None, PathMatch::Exact("/gone".into()), Action::Respond(410));
    cluster.filters = Vec::new();
    cluster.service("bare", &[upstream.address]);
    cluster.route(None, "/bare", "bare");
    let proxy = Proxy::start(cluster);
    for (path, status) in [("/broken", 502), ("/nobody", 503), ("/gone", 410)] {
        let response = get(proxy.address, "a", path);
        assert_eq!(response.status, status);
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(response.header("server"), Some("shop"), "{path}");
    }
    for path in ["/bare", "/"] {
        let response = get(proxy.address, "a", path);
        assert_eq!(response.header("x-frame-options"), None, "{path}");
    }
}

#[test]
fn redirects_keep_and_change_what_they_are_told() {
    let upstream = Upstream::echo("a");
    let mut cluster = Cluster::default();
    cluster.service("web", &[upstream.address]);
    let same = Redirect {
        scheme: None,
        host: None,
        port: None,
        path: None,
        status: 302,
    };
    for (path, redirect) in [
        (
            "/prefix",
            Redirect {
                path: Some(PathRewrite::Prefix("/v2".into())),
                ..same.clone()
            },
        ),
        (
            "/host",
            Redirect {
                host: Some("b.example".into()),
                status: 301,
                ..same.clone()
            },
        ),
        (
            "/all",
            Redirect {
                scheme: Some("https".into()),
                host: Some("b.example".into()),
                port: std::num::NonZeroU16::new(8443),
                path: Some(PathRewrite::Full("/".into())),
                status: 307,
            },
        ),
    ] {
        let path = PathMatch::Prefix(path.into());
        cluster.action(None, path, Action::Redirect(redirect));
    }
    let proxy = Proxy::start(cluster);
    for (host, path, status, location) in [
        ("a:8080", "/prefix/x/?y=1", 302, "http://a:8080/v2/x/?y=1"),
        ("a", "/host/x", 301, "http://b.example/host/x"),
        ("a:1", "/all/x?q", 307, "https://b.example:8443/?q"),
    ] {
        let response = get(proxy.address, host, path);
        assert_eq!(response.status, status);
        assert_eq!(response.header("location"), Some(location));
    }
    assert_eq!(upstream.connections(), 0);
}

/// Scenario 44: no more than the limit gets to the upstream, and nothing where the length is known.
#[test]
fn bodies_have_a_limit() {
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let body = connection.body(&head);
            connection.answer(200, "", &body.len().to_string());
        }
    });
    let proxy = governed(&upstream, |cluster| cluster.requests.max_body = 8);
    let ask = |request: &str| ask(proxy.address, request);
    let known = |length: usize| {
        let body = "x".repeat(length);
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    assert_eq!(ask(&known(8)).body, "8");
    let refused = ask(&known(9));
    assert_eq!(
        (refused.status, refused.header("connection")),
        (413, Some("close"))
    );
    assert_eq!(upstream.requests(), 1, "nobody else was asked");

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n";
    assert_eq!(ask(&format!("{chunked}3\r\nxxx\r\n0\r\n\r\n")).body, "8");
    assert_eq!(ask(&format!("{chunked}4\r\nxxxx\r\n0\r\n\r\n")).status, 413);
    let reasons = proxy.log_lines(4);
    assert_eq!(reasons[3]["reason"], "body_too_large");
}

/// Scenario 77: who waits to be told to continue is told no at once.
#[test]
fn a_body_that_is_too_large_is_not_asked_for() {
    let upstream = Upstream::echo("a");
    let proxy = governed(&upstream, |cluster| cluster.requests.max_body = 8);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().0, 413);
    assert_eq!(upstream.connections(), 0);
}

/// Nor does it get a reset instead of its answer, however much there is of it.
#[test]
fn who_reads_no_answer_before_all_is_sent_gets_the_413_all_the_same() {
    const SIZE: usize = 32 * 1024 * 1024;
    let upstream = Upstream::echo("a");
    let proxy = governed(&upstream, |cluster| cluster.requests.max_body = 1024 * 1024);
    let mut client = Client::connect(proxy.address);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    client.send(vec![b'x'; SIZE]);
    assert_eq!(client.response().status, 413);
    client.expect_close();
}

/// Answers with the protocol that it was asked to switch to, and switches to those that it knows.
fn switching() -> Upstream {
    Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let wish = head.header("upgrade").unwrap_or("nothing").to_owned();
            let body = connection.body(&head);
            if !["SPDY/3.1", "liar"].contains(&wish.as_str()) {
                connection.answer(200, "", &format!("{wish} {}", body.len()));
                continue;
            }
            let told = wish.replace("liar", "other");
            connection.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {told}\r\n\r\n"
            ));
            while let Some(byte) = connection.read_exact(1) {
                if !connection.try_send(byte) {
                    return;
                }
            }
            return;
        }
    })
}

fn upgrade(method: &str, protocol: &str, body: &str) -> String {
    format!(
        "{method} / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn only_upgrades_that_are_named_are_passed_on() {
    let upstream = switching();
    let proxy = governed(&upstream, |cluster| {
        cluster.requests.upgrades = ["spdy/3.1", "liar"].map(Into::into).into();
    });
    let ask = |request: &str| ask(proxy.address, request);
    // WebSocket is not among them here, and nobody can name h2c.
    for protocol in ["websocket", "h2c", "TLS/1.0", "SPDY/3.1, websocket"] {
        assert_eq!(
            ask(&upgrade("GET", protocol, "")).body,
            "nothing 0",
            "{protocol}"
        );
    }
    assert_eq!(ask(&upgrade("POST", "websocket", "xx")).body, "nothing 2");
    assert_eq!(ask(&upgrade("POST", "SPDY/3.1", "xx")).status, 400);
    assert_eq!(ask(&upgrade("GET", "liar", "")).status, 502);

    let mut client = Client::connect(proxy.address);
    client.send(upgrade("POST", "SPDY/3.1", ""));
    let (status, headers) = client.head();
    assert_eq!(status, 101);
    let told = ("upgrade".to_owned(), "SPDY/3.1".to_owned());
    assert!(headers.contains(&told), "{headers:?}");
    client.send("frames");
    assert_eq!(client.take(6), b"frames");
}

#[test]
fn websockets_are_allowed_unless_others_are_named() {
    let upstream = switching();
    let proxy = governed(&upstream, |_| {});
    let ask = |request: &str| ask(proxy.address, request);
    assert_eq!(ask(&upgrade("GET", "WebSocket", "")).body, "WebSocket 0");
    assert_eq!(ask(&upgrade("GET", "SPDY/3.1", "")).body, "nothing 0");
}

/// Scenario 38: https is a matter of the route, whoever ends TLS in front of it.
#[test]
fn a_route_is_sent_to_https_or_not() {
    let upstream = Upstream::echo("a");
    let mut cluster = Cluster::default();
    cluster.service("web", &[upstream.address]);
    cluster.requests.https = Some(true);
    cluster.route(None, "/", "web");
    cluster.requests.https = Some(false);
    cluster.route(None, "/plain", "web");
    let config = fairway_proxy::Config {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..fairway_proxy::Config::default()
    };
    let proxy = Proxy::configured(cluster, config);
    let moved = get(proxy.address, "a:8080", "/x?y");
    assert_eq!(moved.status, 308);
    assert_eq!(moved.header("location"), Some("https://a/x?y"));
    assert_eq!(get(proxy.address, "a", "/plain").status, 200);
    let token = "/.well-known/acme-challenge/token";
    assert_eq!(get(proxy.address, "a", token).status, 200);
    let came_by_tls = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(ask(proxy.address, came_by_tls).status, 200);
}

/// Scenario 39.
#[test]
fn who_is_not_trusted_cannot_say_that_it_came_by_tls() {
    let upstream = Upstream::echo("a");
    let proxy = governed(&upstream, |cluster| cluster.requests.https = Some(true));
    let says_so = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(ask(proxy.address, says_so).status, 308);
}
