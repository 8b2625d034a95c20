//! The way of a request, without the sockets around it: route, headers, log.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use fairway_model::{
    Action, Backend, BackendPort, Changes, Endpoint, HostPattern, HostRoutes, ObjectName,
    ObjectRef, PathMatch, Port, Protocol, RequestMatch, Rule, RuleId, Service, ServicePort,
    Snapshot, WildcardSpan,
};
use fairway_proxy::measuring::{AccessLogLines, HeaderRewriting, WorkerHere};
use fairway_proxy::{AccessLog, Config, TlsSettings, TlsTable, self_signed};
use fairway_router::{Builder, Host, Index, Path, Request};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::work::{Work, counted};

/// A large cluster, half of it with wildcards.
const HOSTS: u32 = 10_000;

pub(crate) const ALL: &[Work] = &[
    // How much there is to choose from must not matter.
    Work {
        name: "route-match-among-10-hosts",
        times: 1_000,
        run: |times| route_match(times, 10, |number| format!("host-{number}.example")),
    },
    Work {
        name: "route-match-among-10000-hosts",
        times: 1_000,
        run: |times| route_match(times, HOSTS, |number| format!("host-{number}.example")),
    },
    Work {
        name: "route-match-among-100000-hosts",
        times: 1_000,
        run: |times| route_match(times, 100_000, |number| format!("host-{number}.example")),
    },
    Work {
        name: "route-match-wildcard-among-10000-hosts",
        times: 1_000,
        run: |times| route_match(times, HOSTS, |number| format!("www.wild-{number}.example")),
    },
    Work {
        name: "route-match-among-10-paths",
        times: 1_000,
        run: |times| route_match_among_paths(times, 10),
    },
    Work {
        name: "route-match-among-1000-paths",
        times: 1_000,
        run: |times| route_match_among_paths(times, 1_000),
    },
    Work {
        name: "route-match-among-100000-paths",
        times: 1_000,
        run: |times| route_match_among_paths(times, 100_000),
    },
    Work {
        name: "compile-one-host-among-10000",
        times: 100,
        run: compile_one_host,
    },
    Work {
        name: "proxied-request",
        times: 2_000,
        run: proxied_request,
    },
    Work {
        name: "rewrite-request-of-a-browser",
        times: 1_000,
        run: |times| rewrite_request(times, "192.0.2.17", BROWSER),
    },
    Work {
        name: "rewrite-request-behind-a-load-balancer",
        times: 1_000,
        run: |times| rewrite_request(times, "10.0.0.7", BALANCER),
    },
    Work {
        name: "rewrite-response",
        times: 1_000,
        run: rewrite_response,
    },
    Work {
        name: "access-log-line-json",
        times: 1_000,
        run: |times| access_log_line(times, "json"),
    },
    Work {
        name: "access-log-line-nginx",
        times: 1_000,
        run: |times| access_log_line(times, "nginx"),
    },
];

/// What a browser sends.
const BROWSER: &[(&str, &str)] = &[
    ("host", "shop.example"),
    ("connection", "keep-alive"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example/"),
    (
        "cookie",
        "session=0123456789abcdef0123456789abcdef; theme=dark",
    ),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("priority", "u=0, i"),
    ("te", "trailers"),
];

/// What a load balancer of ours makes of a request.
const BALANCER: &[(&str, &str)] = &[
    ("host", "shop.example"),
    ("user-agent", "curl/8.5.0"),
    ("accept", "*/*"),
    ("x-forwarded-for", "203.0.113.9, 10.0.0.3"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "443"),
    ("x-request-id", "4bf92f3577b34da6a3ce929d0e0e4736"),
];

/// What load generators send.
const REQUEST: &[u8] =
    b"GET /cart?item=17 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 64\r\n\r\n\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

const RESPONSE: &[(&str, &str)] = &[
    ("server", "backend"),
    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "64"),
    ("cache-control", "private, max-age=0"),
    ("vary", "accept-encoding"),
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=5"),
];

fn route_match(times: u64, count: u32, host: impl Fn(u64) -> String) {
    let snapshot = hosts(count);
    let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
    let spread = u64::from(count).min(5_000);
    let hosts: Vec<_> = (0..times).map(|time| host(time * 4 % spread)).collect();
    counted(|| {
        for host in &hosts {
            assert!(matches(&index, host, "/cart/items/17"));
        }
    });
}

fn route_match_among_paths(times: u64, count: u64) {
    let rules = (0..count).map(|number| rule(PathMatch::Prefix(format!("/app-{number}").into())));
    let snapshot = snapshot([(HostPattern::Any, routes(rules))]);
    let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
    let paths: Vec<_> = (0..times)
        .map(|time| format!("/app-{}/items/17", time * 97 % count))
        .collect();
    counted(|| {
        for path in &paths {
            assert!(matches(&index, "shop.example", path));
        }
    });
}

/// As a request meets it: parsed, then looked up.
fn matches(index: &Index, host: &str, path: &str) -> bool {
    let host = Host::parse(host.as_bytes()).expect("a host");
    let path = Path::parse(path).expect("a path");
    let request = Request {
        host: &host,
        path: &path,
        method: "GET",
    };
    index.find(black_box(request)).is_some()
}

fn compile_one_host(times: u64) {
    let mut snapshot = hosts(HOSTS);
    let mut builder = Builder::new();
    builder.apply(&snapshot, &Changes::everything(&snapshot));
    let steps: Vec<_> = (0..times)
        .map(|time| {
            let host = HostPattern::Exact(format!("host-{}.example", time * 4).into());
            let rules = [rule(PathMatch::Prefix("/new".into()))];
            let routes = Arc::new(routes(rules));
            snapshot.routes.hosts.insert_mut(host.clone(), routes);
            let mut changes = Changes::default();
            changes.hosts.insert(host);
            (snapshot.clone(), changes)
        })
        .collect();
    counted(|| {
        for (snapshot, changes) in &steps {
            black_box(builder.apply(snapshot, changes));
        }
    });
}

/// Client, proxy and endpoint, each on a thread of its own; the proxy's is counted.
fn proxied_request(times: u64) {
    let endpoint = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut snapshot = snapshot([(
        HostPattern::Exact("shop.example".into()),
        routes([rule(PathMatch::Prefix("/cart".into()))]),
    )]);
    let web = service(endpoint.local_addr().expect("an address"));
    snapshot
        .services
        .insert_mut(web.name.clone(), Arc::new(web));
    let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
    let bound = fairway_proxy::bind(Config {
        http: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        workers: 1,
        access_log: AccessLog::File("/dev/null".into()),
        ..Config::default()
    });
    let bound = bound.expect("a port");
    let address = bound.local_addresses()[0];
    let certificate = self_signed().expect("a certificate");
    let tls = TlsTable::new(&TlsSettings::default(), Arc::new(certificate)).expect("randomness");
    let (worker, drain) = WorkerHere::new(bound, index, tls).expect("a log");

    thread::spawn(move || answer(&endpoint));
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("the proxy listens");
        let mut piece = [0; 4096];
        for _ in 0..times {
            stream.write_all(REQUEST).expect("the proxy reads");
            let length = stream.read(&mut piece).expect("the proxy answers");
            assert!(piece[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!(piece[..length].ends_with(&[b'x'; 64]));
        }
        drain.begin();
    });
    let mut worker = Some(worker);
    counted(|| worker.take().expect("is counted once").run());
    client.join().expect("every request was answered");
}

/// Answers whatever comes on one connection.
fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("the proxy connects");
    let mut piece = [0; 4096];
    while matches!(stream.read(&mut piece), Ok(1..)) {
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// One port with one endpoint.
fn service(endpoint: SocketAddr) -> Service {
    let port = |number| Port::new(number).expect("not zero");
    let endpoint = Endpoint {
        address: endpoint.ip(),
        port: port(endpoint.port()),
        conditions: fairway_model::Conditions::READY,
        node: None,
        zone: None,
        hints: None,
    };
    Service {
        ports: vec![ServicePort {
            name: "http".into(),
            endpoints: [endpoint].into_iter().collect(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("shop", "web"))
    }
}

fn rewrite_request(times: u64, peer: &str, lines: &[(&'static str, &'static str)]) {
    let peer: IpAddr = peer.parse().expect("an address");
    let trusted = vec!["10.0.0.0/8".parse().expect("a network")];
    let rewriting = HeaderRewriting::new(peer, trusted);
    let mut heads = vec![headers(lines); usize::try_from(times).expect("a few")];
    counted(|| {
        for head in &mut heads {
            rewriting.request(black_box(head));
        }
    });
    assert!(heads.iter().all(|head| head.contains_key("x-real-ip")));
}

fn rewrite_response(times: u64) {
    let rewriting = HeaderRewriting::new([192, 0, 2, 17].into(), Vec::new());
    let mut heads = vec![headers(RESPONSE); usize::try_from(times).expect("a few")];
    counted(|| {
        for head in &mut heads {
            rewriting.response(black_box(head));
        }
    });
    assert!(!heads.iter().any(|head| head.contains_key("keep-alive")));
}

fn access_log_line(times: u64, format: &str) {
    let format = format.parse().expect("a format");
    let lines = AccessLogLines::new(format, "/cart?item=17", &headers(BROWSER));
    counted(|| {
        for _ in 0..times {
            lines.write();
        }
    });
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let lines = lines.iter();
    let lines = lines.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    lines.collect()
}

fn hosts(count: u32) -> Snapshot {
    let hosts = (0..count).map(|number| {
        let host = match number % 2 {
            0 => HostPattern::Exact(format!("host-{number}.example").into()),
            _ => HostPattern::Wildcard {
                suffix: format!("wild-{}.example", number - 1).into(),
                span: WildcardSpan::OneLabel,
            },
        };
        let paths = ["/", "/cart", "/static"];
        let rules = paths.map(|path| rule(PathMatch::Prefix(path.into())));
        (host, routes(rules))
    });
    snapshot(hosts)
}

fn snapshot(hosts: impl IntoIterator<Item = (HostPattern, HostRoutes)>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (host, routes) in hosts {
        snapshot.routes.hosts.insert_mut(host, Arc::new(routes));
    }
    snapshot
}

fn routes(rules: impl IntoIterator<Item = Rule>) -> HostRoutes {
    HostRoutes {
        rules: rules.into_iter().collect(),
        default: None,
        tls: None,
    }
}

/// Forwards to one Service.
fn rule(path: PathMatch) -> Rule {
    let name = ObjectName::new("shop", "web");
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: name.clone(),
        },
        field: "spec.rules[0].http.paths[0]".into(),
    };
    let backend = Backend {
        service: name,
        port: BackendPort::Number(Port::new(80).expect("not zero")),
        weight: 1,
    };
    Rule::new(id, RequestMatch::path(path), Action::Forward(vec![backend]))
}
