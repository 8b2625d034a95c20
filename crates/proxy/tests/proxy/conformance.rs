//! Rows of the Ingress conformance suite that need no TLS.

use std::collections::BTreeSet;

use fairway_model::PathMatch;

use crate::client::{Client, ask, get};
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

#[test]
fn default_backend_serves_every_method_and_keeps_the_request() {
    let upstream = Upstream::echo("echo-service");
    let proxy = Proxy::to(&upstream);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/sub-path"),
        ("POST", "/"),
        ("PUT", "/resource"),
        ("DELETE", "/resource"),
        ("PATCH", "/resource"),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: my-host\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: 2\r\n\r\nhi"
        ));
        let response = client.response();
        assert_eq!(
            (response.status, response.body.as_str()),
            (200, "echo-service:hi")
        );
        assert_eq!(response.header("content-length"), Some("15"));
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert_eq!(response.header("server"), Some("fairway"));
        assert!(response.header("date").is_some());
        let head = upstream.next_head();
        assert_eq!(head.line, format!("{method} {path} HTTP/1.1"));
        assert_eq!(head.header("user-agent"), Some("Go-http-client/1.1"));
        assert_eq!(head.header("host"), Some("my-host"));
    }
}

#[test]
fn an_upstreams_own_server_header_stays() {
    let upstream = Upstream::start(|mut connection| {
        while connection.head().is_some() {
            connection.answer(200, "Server: theirs\r\nDate: then\r\n", "");
        }
    });
    let response = get(Proxy::to(&upstream).address, "a", "/");
    assert_eq!(response.header("server"), Some("theirs"));
    assert_eq!(response.header("date"), Some("then"));
}

#[test]
fn every_endpoint_is_used() {
    let upstreams: Vec<_> = (0..10).map(|_| Upstream::echo("pod")).collect();
    let endpoints: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    let proxy = Proxy::to_all(&endpoints);
    for _ in 0..100 {
        assert_eq!(get(proxy.address, "a", "/").status, 200);
    }
    let counts: Vec<_> = upstreams.iter().map(Upstream::requests).collect();
    assert_eq!(counts, [10; 10]);
}

#[test]
fn hosts_and_paths_select_the_service() {
    let services = ["foo-exact", "foo-prefix", "bbb", "aaa", "wildcard"];
    let upstreams = services.map(Upstream::echo);
    let mut cluster = Cluster::default();
    for (name, upstream) in services.iter().zip(&upstreams) {
        cluster.service(name, &[upstream.address]);
    }
    let host = Some("foo.bar.com");
    cluster.rule(host, PathMatch::Exact("/foo".into()), &[("foo-exact", 1)]);
    cluster.route(host, "/foo", "foo-prefix");
    cluster.route(host, "/aaa/bbb", "bbb");
    cluster.route(host, "/aaa", "aaa");
    cluster.route(Some("*.foo.com"), "/", "wildcard");
    let proxy = Proxy::start(cluster);
    for (host, path, expected) in [
        ("foo.bar.com", "/foo", Some("foo-exact")),
        ("FOO.bar.com:8080", "/foo/", Some("foo-prefix")),
        ("foo.bar.com", "/FOO", None),
        ("foo.bar.com.", "/aaa/bbb/ccc", Some("bbb")),
        ("foo.bar.com", "/aaa/ccc?x=/bbb", Some("aaa")),
        ("foo.bar.com", "/aaaccc", None),
        ("subdomain.bar.com", "/", None),
        ("bar.foo.com", "/", Some("wildcard")),
        ("baz.bar.foo.com", "/", None),
        ("foo.com", "/", None),
    ] {
        let response = get(proxy.address, host, path);
        match expected {
            Some(service) => assert_eq!(response.body, format!("{service}:"), "{host}{path}"),
            None => assert_eq!(response.status, 404, "{host}{path}"),
        }
    }
}

#[test]
fn what_is_missing_in_the_cluster_is_503() {
    let mut cluster = Cluster::default();
    cluster.service("empty", &[]);
    cluster.route(Some("empty"), "/", "empty");
    cluster.route(Some("missing"), "/", "missing");
    let proxy = Proxy::start(cluster);
    for host in ["empty", "missing"] {
        let response = get(proxy.address, host, "/");
        assert_eq!(response.status, 503);
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    let reasons: BTreeSet<_> = (proxy.log_lines(2).iter())
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        reasons,
        BTreeSet::from(["no_endpoints".into(), "no_service".into()])
    );
}

#[test]
fn error_bodies_follow_accept_and_repeat_nothing() {
    let proxy = Proxy::start(Cluster::default());
    for (accept, kind, start) in [
        (
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/html; charset=utf-8",
            "<!doctype",
        ),
        ("application/json", "application/json", "{\"status\":404"),
        (
            "application/problem+json",
            "application/json",
            "{\"status\":404",
        ),
        ("*/*", "text/plain; charset=utf-8", "404 Not Found"),
    ] {
        let request =
            format!("GET /secret HTTP/1.1\r\nHost: evil.example\r\nAccept: {accept}\r\n\r\n");
        let response = ask(proxy.address, request);
        assert_eq!(response.status, 404);
        assert_eq!(response.header("content-type"), Some(kind));
        assert!(response.body.starts_with(start), "{}", response.body);
        assert!(!response.body.contains("secret") && !response.body.contains("evil"));
    }
}
