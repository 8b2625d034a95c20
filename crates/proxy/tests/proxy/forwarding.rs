//! Request and response heads on their way through.

use fairway_model::{Action, Filter, PathMatch, Redirect};
use fairway_proxy::Config;

use crate::client::{Client, ask};
use crate::cluster::Cluster;
use crate::proxy::{Proxy, single};
use crate::upstream::{Head, Upstream};

fn forwarded(config: Config, request: &str) -> Head {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::configured(single(&[upstream.address]), config);
    assert_eq!(ask(proxy.address, request).status, 200);
    upstream.next_head()
}

const FORGED: &str = "GET /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.9\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-User: root\r\nX-Real-IP: 1.2.3.4\r\n\
    Forwarded: for=1.2.3.4\r\nConnection: X-Forwarded-For, x-real-ip, Host, X-Custom\r\nX-Custom: 1\r\n\
    X_Forwarded_For: 9.9.9.9\r\nProxy: http://evil\r\nssl-client-verify: SUCCESS\r\nKeep-Alive: 5\r\n\
    TE: gzip, trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Request-ID: bad id\r\n\r\n";

#[test]
fn a_stranger_cannot_say_who_it_is() {
    let head = forwarded(Config::default(), FORGED);
    assert_eq!(head.line, "GET /a?b=c HTTP/1.1");
    assert_eq!(head.header("host"), Some("shop.example:8080"));
    assert_eq!(head.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(head.header("x-forwarded-proto"), Some("http"));
    assert_eq!(head.header("x-forwarded-scheme"), Some("http"));
    assert_eq!(head.header("x-scheme"), Some("http"));
    assert_eq!(head.header("x-forwarded-host"), Some("shop.example:8080"));
    assert_eq!(head.header("x-forwarded-port"), Some("8080"));
    assert_eq!(head.header("te"), Some("trailers"));
    let id = head.header("x-request-id").unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    for gone in [
        "forwarded",
        "connection",
        "x-custom",
        "x_forwarded_for",
        "proxy",
        "ssl-client-verify",
        "keep-alive",
        "upgrade",
        "x-forwarded-user",
    ] {
        assert_eq!(head.header(gone), None, "{gone}");
    }
}

#[test]
fn a_trusted_proxy_is_believed() {
    let config = Config {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    let request = FORGED.replace("Connection: X-Forwarded-For, x-real-ip,", "Connection:");
    let head = forwarded(config, &request);
    assert_eq!(
        head.header("x-forwarded-for"),
        Some("1.2.3.4, 127.0.0.9, 127.0.0.1")
    );
    assert_eq!(head.header("x-real-ip"), Some("1.2.3.4"));
    assert_eq!(head.header("x-forwarded-proto"), Some("https"));
    assert_eq!(head.header("x-scheme"), Some("https"));
    assert_eq!(head.header("x-forwarded-host"), Some("evil"));
    assert_eq!(head.header("forwarded"), Some("for=1.2.3.4"));
}

#[test]
fn a_usable_request_id_is_kept() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: abc-123\r\n\r\n";
    assert_eq!(
        forwarded(Config::default(), request).header("x-request-id"),
        Some("abc-123")
    );
}

#[test]
fn a_request_id_that_is_long_or_strange_is_replaced() {
    let longest = "x".repeat(128);
    let too_long = "x".repeat(64 * 1024 - 1024);
    for (sent, kept) in [
        (longest.as_str(), true),
        (&format!("{longest}x"), false),
        (&too_long, false),
        ("a b", false),
        ("a\tb", false),
        ("\u{e9}", false),
        ("\"", false),
        ("", false),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {sent}\r\n\r\n");
        let head = forwarded(Config::default(), &request);
        let id = head.header("x-request-id").unwrap();
        assert_eq!(id == sent, kept, "{id}");
        assert!(kept || id.len() == 32, "{id}");
    }
}

/// Bytes above 0x7f are allowed in values (RFC 9110 section 5.5), and belong to whoever reads them.
#[test]
fn values_that_are_not_ascii_arrive_as_they_were_sent() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Name: Andr\u{e9}\r\n\r\n";
    let head = forwarded(Config::default(), request);
    assert_eq!(head.header("x-name"), Some("Andr\u{e9}"));
}

#[test]
fn the_path_that_was_judged_is_the_path_that_is_sent() {
    for (sent, expected) in [
        ("/%61dmin/../x/%2e/y?q=%61", "/x/y?q=%61"),
        ("/a%2fb", "/a%2Fb"),
        ("//a", "//a"),
        ("http://a/x?y", "/x?y"),
        ("http://a", "/"),
        ("/?", "/?"),
    ] {
        let request = format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = forwarded(Config::default(), &request);
        assert_eq!(head.line, format!("GET {expected} HTTP/1.1"), "{sent}");
    }
}

#[test]
fn http_1_0_without_host_is_served_and_closed() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.body.as_str()), (200, "a:"));
    client.expect_close();
    let head = upstream.next_head();
    assert_eq!(head.line, "GET / HTTP/1.1");
    assert_eq!(
        head.header("host"),
        Some(upstream.address.to_string().as_str())
    );
}

#[test]
fn http_1_0_gets_no_chunks_and_may_stay() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection
                .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.body, "hi");
}

#[test]
fn responses_lose_what_belongs_to_the_upstreams_connection() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            let headers = "Connection: X-Internal, keep-alive\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
                Proxy-Connection: x\r\nX-Kept: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n";
            connection.answer(200, headers, "");
        }
    });
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        let response = client.get("a", "/");
        for gone in ["connection", "x-internal", "keep-alive", "proxy-connection"] {
            assert_eq!(response.header(gone), None, "{gone}");
        }
        assert_eq!(response.header("x-kept"), Some("1"));
        let cookies = response
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        assert_eq!(cookies.count(), 2);
    }
}

#[test]
fn filters_and_redirects_of_a_route_apply() {
    let upstream = Upstream::echo("a");
    let mut cluster = Cluster::default();
    cluster.service("web", &[upstream.address]);
    cluster.filters = vec![
        Filter::SetRequestHeader("x-set".into(), "1".into()),
        Filter::RemoveRequestHeader("x-gone".into()),
        Filter::SetResponseHeader("x-answer".into(), "2".into()),
        Filter::RemoveResponseHeader("content-type".into()),
    ];
    cluster.route(None, "/", "web");
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: None,
        port: None,
        path: None,
        status: 308,
    };
    let path = PathMatch::Prefix("/moved".into());
    cluster.action(None, path, Action::Redirect(redirect));
    cluster.action(
        None,
        PathMatch::Prefix("/gone".into()),
        Action::Respond(410),
    );
    let proxy = Proxy::start(cluster);

    let response = ask(
        proxy.address,
        "GET / HTTP/1.1\r\nHost: a\r\nX-Gone: 1\r\n\r\n",
    );
    assert_eq!(response.header("x-answer"), Some("2"));
    assert_eq!(response.header("content-type"), None);
    let head = upstream.next_head();
    assert_eq!(
        (head.header("x-set"), head.header("x-gone")),
        (Some("1"), None)
    );

    let response = ask(
        proxy.address,
        "GET /moved/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n",
    );
    assert_eq!(response.status, 308);
    assert_eq!(response.header("location"), Some("https://a/moved/x?y"));
    assert_eq!(
        ask(proxy.address, "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n").status,
        410
    );
}
