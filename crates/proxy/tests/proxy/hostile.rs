//! Clients that mean harm.

use crate::client::{Client, ask, get};
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// Behind each: must never be answered.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn refused(status: u16, requests: &[String]) {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    for request in requests {
        let mut client = Client::connect(proxy.address);
        client.send(request);
        client.try_send(SMUGGLED);
        let response = client.response();
        assert_eq!(
            response.status,
            status,
            "{:?}",
            &request[..request.len().min(200)]
        );
        assert_ne!(response.header("connection"), Some("keep-alive"));
        client.stop_sending();
        client.expect_close();
    }
    assert_eq!(upstream.requests(), 0);
}

fn with(line: &str, headers: &[&str]) -> Vec<String> {
    let requests = headers
        .iter()
        .map(|header| format!("{line}\r\n{header}\r\n\r\n"));
    requests.collect()
}

#[test]
fn framing_that_can_be_read_in_two_ways() {
    let post = "POST / HTTP/1.1\r\nHost: a";
    refused(
        400,
        &with(
            post,
            &[
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: chunked\r\nContent-Length: 5",
                "Content-Length: 5\r\nContent-Length: 5",
                "Content-Length: 5\r\nContent-Length: 6",
                "Content-Length: 5, 5",
                "Content-Length: +5",
                "Content-Length: -5",
                "Content-Length: 0x5",
                "Content-Length: 5 5",
                "Content-Length:",
                "Content-Length: 99999999999999999999",
                "Transfer-Encoding: chunked, identity",
                "Transfer-Encoding: identity",
                "Transfer-Encoding: gzip, chunked",
                "Transfer-Encoding: xchunked",
                "Transfer-Encoding: chunked,",
                "Transfer-Encoding:\r\n chunked",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding : chunked",
                "Transfer_Encoding : chunked",
                "X: a\r\n b",
                "X: a\rb",
                "X: a\0b",
                "X: a\x7fb",
                "X y: a",
                "X\0: a",
                "X\u{e9}: a",
                ": a",
            ],
        ),
    );
    refused(
        400,
        &with(
            "POST / HTTP/1.0\r\nHost: a",
            &["Transfer-Encoding: chunked"],
        ),
    );
}

/// White space around a value means nothing (RFC 9110 section 5.5). What is sent on has none that another
/// reader could take for a part of it.
#[test]
fn white_space_around_a_length_is_not_sent_on() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    for (header, value, body) in [
        ("Content-Length", "  \t2\t ", "hi"),
        ("Transfer-Encoding", "\tchunked\t", "2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{header}:{value}\r\n\r\n{body}"
        ));
        client.send(SMUGGLED);
        assert_eq!(client.response().body, "a:hi");
        assert_eq!(
            client.response().body,
            "a:",
            "the next is a request of its own"
        );
        let head = upstream.next_head();
        assert_eq!(head.header(header), Some(value.trim()));
        assert_eq!(upstream.next_head().line, "GET /smuggled HTTP/1.1");
    }
}

#[test]
fn hosts_that_name_nobody_or_two() {
    refused(
        400,
        &with(
            "GET / HTTP/1.1",
            &[
                "X: no host",
                "Host:",
                "Host: \t",
                "Host: a\r\nHost: a",
                "Host: a\r\nHost: b",
                "Host: a, b",
                "Host: a b",
                "Host: a/b",
                "Host: user@a",
                "Host: a:0",
                "Host: a:70000",
                "Host: a:x",
                "Host: [::1",
                "Host: ::1",
                "Host: a..",
            ],
        ),
    );
    refused(400, &with("GET http://b/ HTTP/1.1", &["Host: a"]));
}

#[test]
fn targets_with_more_than_one_reading() {
    let targets = [
        "/../../etc",
        "/%2e%2e/x",
        "/a//../b",
        "/a%00",
        "/a%zz",
        "/a#b",
        "/\u{e9}",
        "/?q=\u{e9}",
        "*",
        "a",
        "ftp://a/",
    ];
    let requests: Vec<_> = (targets.iter())
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    refused(400, &requests);
}

#[test]
fn request_lines_that_are_not_ours() {
    refused(
        400,
        &with(
            "",
            &[
                "GET /\r\nHost: a",
                "GET / HTTP/1.2\r\nHost: a",
                "GET / HTTP/2.0\r\nHost: a",
                "GET / HTTP/9.9\r\nHost: a",
                "get / HTTP/1.1\r\nHost: a",
                "GET  / HTTP/1.1\r\nHost: a",
                "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
            ],
        ),
    );
    let long = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(1000));
    refused(400, &[long]);
    refused(405, &with("TRACE / HTTP/1.1", &["Host: a"]));
    refused(405, &with("CONNECT a:80 HTTP/1.1", &["Host: a:80"]));
    refused(400, &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()]);
}

#[test]
fn heads_that_are_too_large() {
    let many: String = (0..101)
        .map(|number| format!("X-{number}: a\r\n"))
        .collect();
    let long = "x".repeat(70 * 1024);
    refused(
        431,
        &[
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        ],
    );
    let target = "x".repeat(20 * 1024);
    refused(414, &[format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")]);
}

#[test]
fn an_upgrade_with_a_body() {
    let line = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket";
    refused(
        400,
        &with(line, &["Content-Length: 5", "Transfer-Encoding: chunked"]),
    );
}

#[test]
fn malformed_chunks_end_the_exchange() {
    for chunk in [
        "0x5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5\r\nhelloX0\r\n\r\n".to_owned(),
        "11111111111111111\r\nhello".to_owned(),
        format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1024 * 1024)),
    ] {
        let upstream = Upstream::start(|mut connection| {
            connection.head();
            connection.expect_close();
        });
        let proxy = Proxy::to(&upstream);
        let mut client = Client::connect(proxy.address);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.try_send(chunk);
        client.try_send(SMUGGLED);
        let answer = client.rest();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
        // The request may have been given up before its head was sent on.
        assert!(upstream.requests() <= 1);
        if upstream.requests() == 1 {
            assert_eq!(upstream.next_head().line, "POST / HTTP/1.1");
        }
    }
}

#[test]
fn bare_line_feeds_are_written_anew() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\nHost: a\nX: 1\n\n");
    assert_eq!(client.response().status, 200);
    let head = upstream.next_head();
    assert_eq!(
        (head.line.as_str(), head.header("x")),
        ("GET / HTTP/1.1", Some("1"))
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    client.send(format!("{post}1{post}2GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    for expected in ["a:1", "a:2", "a:"] {
        assert_eq!(client.response().body, expected);
    }
}

/// One that comes behind another is judged like the first: nothing is mended there instead of refused.
#[test]
fn what_is_pipelined_is_judged_as_strictly() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    for first in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
    ] {
        for second in [
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n2",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            let mut client = Client::connect(proxy.address);
            client.send(format!("{first}{second}"));
            let statuses = [client.response().status, client.response().status];
            assert_eq!(statuses, [200, 400], "{first}{second}");
            client.expect_close();
        }
    }
    assert_eq!(upstream.requests(), 9);
}

/// Strictness does not end with the number of requests that wait, nor behind what has two readings.
#[test]
fn the_last_of_thousands_is_judged_as_strictly() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let last = "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = Client::connect(proxy.address);
    client.send("OPTIONS * HTTP/1.1\nHost: a\n\n".repeat(1500) + last);
    for _ in 0..1500 {
        assert_eq!(client.response().status, 204);
    }
    assert_eq!(client.response().status, 400);
    client.expect_close();

    // hyper takes what looks like a request for a part of the trailers, or refuses all of it.
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let hidden = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
    for trick in [format!("\n{hidden}"), format!("A: b\n\r\n{hidden}")] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("{chunked}{trick}{last}"));
        let answers = String::from_utf8(client.rest()).unwrap();
        let served = answers.matches("HTTP/1.1 200").count();
        assert!(served <= 1, "{answers}");
    }
    let heads = std::iter::repeat_with(|| upstream.next_head());
    for head in heads.take(upstream.requests()) {
        assert_eq!(head.line, "POST / HTTP/1.1");
    }
}

#[test]
fn options_star_is_answered_here() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut client = Client::connect(proxy.address);
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 204);
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(upstream.requests(), 1);
}

/// What is matched is what is forwarded, so who guards a path guards all its spellings.
#[test]
fn no_spelling_leads_past_a_guarded_path() {
    let (guard, public) = (Upstream::echo("guard"), Upstream::echo("public"));
    let mut cluster = Cluster::default();
    cluster.service("guard", &[guard.address]);
    cluster.service("public", &[public.address]);
    cluster.route(None, "/admin", "guard");
    cluster.route(None, "/", "public");
    let proxy = Proxy::start(cluster);
    for (sent, forwarded) in [
        ("/admin", "/admin"),
        ("//admin", "//admin"),
        ("/%61dmin", "/admin"),
        ("/a/%2e%2e/admin", "/admin"),
        ("/./admin/.", "/admin/"),
        ("/admin/x/../../admin", "/admin"),
        ("http://a/admin", "/admin"),
    ] {
        let response = ask(
            proxy.address,
            format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        assert_eq!(response.body, "guard:", "{sent}");
        let line = format!("GET {forwarded} HTTP/1.1");
        assert_eq!(guard.next_head().line, line, "{sent}");
    }
    // Other paths, and forwarded so that they stay others.
    for (sent, forwarded) in [
        ("/a/..%2fadmin", "/a/..%2Fadmin"),
        ("/%2fadmin", "/%2Fadmin"),
        ("/admin;x", "/admin;x"),
        ("/%2561dmin", "/%2561dmin"),
        ("/ADMIN", "/ADMIN"),
        ("/admin/..", "/"),
    ] {
        let response = get(proxy.address, "a", sent);
        assert_eq!(response.body, "public:", "{sent}");
        let line = format!("GET {forwarded} HTTP/1.1");
        assert_eq!(public.next_head().line, line, "{sent}");
    }
    for sent in ["/admin%00", "\\admin", "/a\\..\\admin", "/a//../admin"] {
        assert_eq!(get(proxy.address, "a", sent).status, 400, "{sent}");
    }
    assert_eq!(guard.requests() + public.requests(), 0);
}
