//! Routes that ask for more than host and path.

use fairway_model::{NameMatch, PathMatch, TextMatch};
use fairway_proxy::Config;

use crate::client::Client;
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

fn exactly(name: &str, value: &str) -> NameMatch {
    NameMatch {
        name: name.into(),
        value: TextMatch::Exact(value.into()),
    }
}

/// One Service for all requests, and one for each condition.
fn proxy(trusted: &[&str]) -> (Proxy, Vec<Upstream>) {
    let mut cluster = Cluster::default();
    let mut upstreams = Vec::new();
    let mut route = |name: &'static str,
                     change: &mut dyn FnMut(&mut fairway_model::RequestMatch)| {
        let upstream = Upstream::echo(name);
        cluster.service(name, &[upstream.address]);
        cluster.rule(None, PathMatch::Prefix("/".into()), &[(name, 1)]);
        cluster.narrow(None, change);
        upstreams.push(upstream);
    };
    route("all", &mut |_| {});
    route("method", &mut |it| it.method = Some("DELETE".into()));
    route("header", &mut |it| {
        it.headers = vec![exactly("x-canary", "always")]
    });
    route("joined", &mut |it| {
        it.headers = vec![exactly("x-list", "a, b")]
    });
    route("query", &mut |it| it.query = vec![exactly("v", "2 x")]);
    route("forged", &mut |it| {
        it.headers = vec![exactly("x-forwarded-proto", "https")]
    });
    route("whose", &mut |it| {
        it.headers = vec![exactly("x-real-ip", "192.0.2.1")]
    });
    route("scheme", &mut |it| {
        it.headers = vec![exactly("x-scheme", "https")]
    });
    route("another", &mut |it| {
        it.headers = vec![exactly("x-forwarded-scheme", "https")]
    });
    route("dropped", &mut |it| it.headers = vec![exactly("x_u", "1")]);
    let config = Config {
        trusted_proxies: trusted.iter().map(|it| it.parse().unwrap()).collect(),
        ..Config::default()
    };
    (Proxy::configured(cluster, config), upstreams)
}

#[test]
fn method_headers_and_query_choose_among_routes_of_one_path() {
    let (proxy, _upstreams) = proxy(&[]);
    let mut client = Client::connect(proxy.address);
    for (line, headers, expected) in [
        ("GET /", "", "all:"),
        ("DELETE /", "", "method:"),
        ("GET /", "X-Canary: always\r\n", "header:"),
        ("GET /", "X-Canary: never\r\n", "all:"),
        ("GET /", "X-List: a\r\nX-List: b\r\n", "joined:"),
        ("GET /?a=b&v=2%20x", "", "query:"),
        ("GET /?v=2+x&v=3", "", "query:"),
        ("GET /?v=3&v=2+x", "", "all:"),
    ] {
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        assert_eq!(client.response().body, expected, "{line} {headers}");
    }
}

#[test]
fn what_is_not_forwarded_is_not_looked_at() {
    // These are ours, whoever sends them.
    let overwritten = [
        "X-Real-IP: 192.0.2.1",
        "X-Scheme: https",
        "X-Forwarded-Scheme: https",
        "X_U: 1",
    ];
    for (trusted, believed) in [(&[][..], "all:"), (&["127.0.0.0/8"], "forged:")] {
        let (proxy, _upstreams) = proxy(trusted);
        let mut client = Client::connect(proxy.address);
        let mut answer = |header: &str| {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"));
            client.response().body
        };
        assert_eq!(answer("X-Forwarded-Proto: https"), believed);
        for header in overwritten {
            assert_eq!(answer(header), "all:", "{header} {trusted:?}");
        }
    }
}
