//! What operators see: access log, metrics, addresses, errors of start.

use std::net::{SocketAddr, TcpListener};

use fairway_proxy::{BindError, Config, bind};

use crate::client::{Client, ask, get};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

#[test]
fn a_line_tells_the_request() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let request = "POST /cart?secret=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test/1\r\n\
        X-Request-ID: id-1\r\nContent-Length: 2\r\n\r\nhi";
    let mut client = Client::connect(proxy.address);
    client.send(request);
    assert_eq!(client.response().status, 200);
    let line = &proxy.log_lines(1)[0];
    for (field, expected) in [
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("host", "shop.example"),
        ("path", "/cart"),
        ("namespace", "shop"),
        ("route", "front"),
        ("rule", "spec.rules[0].http.paths[0]"),
        ("service", "web"),
        ("endpoint", upstream.address.to_string().as_str()),
        ("request_id", "id-1"),
        ("user_agent", "test/1"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(
        (line["status"].as_u64(), line["bytes"].as_u64()),
        (Some(200), Some(4))
    );
    assert_eq!(line["tries"], 1);
    assert!(line["duration"].as_f64().unwrap() < 10.0);
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.get("reason"), None);
}

#[test]
fn a_hostile_user_agent_is_one_harmless_line() {
    let upstream = Upstream::echo("a");
    let proxy = Proxy::to(&upstream);
    let mut request =
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \"}\\\t\xff\xc2\x9b31m{\"".to_vec();
    request.extend_from_slice(&[b'x'; 5000]);
    request.extend_from_slice(b"\r\n\r\n");
    assert_eq!(ask(proxy.address, request).status, 200);
    let lines = proxy.log_lines(1);
    assert_eq!(lines.len(), 1);
    let agent = lines[0]["user_agent"].as_str().unwrap();
    assert!(
        agent.starts_with("\"}\\\t\u{fffd}\u{9b}31m{\"xxx"),
        "{agent:?}"
    );
    assert!(agent.len() < 1100);
}

#[test]
fn metrics_name_declared_objects_only() {
    let upstream = Upstream::echo("a");
    let mut cluster = crate::cluster::Cluster::default();
    cluster.service("web", &[upstream.address]);
    cluster.route(Some("shop.example"), "/", "web");
    cluster.route(Some("shop.example"), "/cart", "web");
    let proxy = Proxy::start(cluster);
    for path in ["/", "/cart", "/a", "/b"] {
        assert_eq!(get(proxy.address, "shop.example", path).status, 200);
    }
    for number in 0..20 {
        assert_eq!(
            get(proxy.address, &format!("h{number}.example"), "/").status,
            404
        );
    }
    for number in 0..20 {
        let request = format!("FOO{number} / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        ask(proxy.address, request);
    }
    assert_eq!(
        ask(
            proxy.address,
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
        )
        .status,
        400
    );
    let head = "GET / HTTP/1.1\r\nHost: shop.example\r\nX_Y: 1\r\n\r\n";
    assert_eq!(ask(proxy.address, head).status, 200);
    proxy.log_lines(46);

    // Methods that clients invent are one together.
    for (path, gets, all) in [("/", 4.0, 24.0), ("/cart", 1.0, 1.0)] {
        let labels = format!(
            "host=\"shop.example\",path=\"{path}\",namespace=\"shop\",ingress=\"front\",\
             service=\"web\",port=\"80\""
        );
        let requests = format!("requests_total{{{labels},method=\"GET\",code=\"200\"}}");
        let durations = format!("request_duration_seconds_count{{{labels}}}");
        let upstream = format!("upstream_response_duration_seconds_count{{{labels}}}");
        for (series, count) in [(requests, gets), (durations, all), (upstream, all)] {
            let series = format!("fairway_proxy_{series}");
            assert_eq!(proxy.metric(&series), count, "{series}");
        }
    }
    let of_service = "namespace=\"shop\",service=\"web\",port=\"80\"";
    let tries = format!("fairway_proxy_upstream_tries_total{{{of_service}}}");
    assert_eq!(proxy.metric(&tries), 25.0);
    let heads = format!("fairway_proxy_upstream_head_duration_seconds_count{{{of_service}}}");
    assert_eq!(proxy.metric(&heads), 25.0);
    let unrouted = "host=\"\",path=\"\",namespace=\"\",ingress=\"\",service=\"\",port=\"\"";
    let unrouted =
        format!("fairway_proxy_requests_total{{{unrouted},method=\"GET\",code=\"404\"}}");
    assert_eq!(proxy.metric(&unrouted), 20.0);
    let rejected = "fairway_proxy_rejected_requests_total{reason=\"repeated_host\"}";
    assert_eq!(proxy.metric(rejected), 1.0);
    assert_eq!(
        proxy.metric("fairway_proxy_underscore_headers_dropped_total"),
        1.0
    );
    assert!(!proxy.metrics().contains("h1.example") && !proxy.metrics().contains("FOO"));
    let series: Vec<_> = proxy.metrics().lines().map(str::to_owned).collect();
    let names: std::collections::BTreeSet<_> = series
        .iter()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), series.len(), "no series twice");
}

#[test]
fn one_listener_serves_both_families() {
    let upstream = Upstream::echo("a");
    let mut cluster = crate::proxy::single(&[upstream.address]);
    let bound = bind(Config {
        http: vec!["[::]:0".parse().unwrap()],
        workers: 2,
        access_log: fairway_proxy::AccessLog::Off,
        ..Config::default()
    })
    .unwrap();
    let port = bound.local_addresses()[0].port();
    let routes = std::sync::Arc::new(arc_swap::ArcSwap::from(cluster.index()));
    let _handle = bound
        .serve(
            routes,
            crate::proxy::no_tls(),
            fairway_proxy::Metrics::default(),
        )
        .unwrap();
    for (address, client) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        let address: SocketAddr = format!("{address}:{port}").parse().unwrap();
        assert_eq!(get(address, "a", "/").status, 200);
        assert_eq!(upstream.next_head().header("x-forwarded-for"), Some(client));
    }
}

#[test]
fn a_port_in_use_is_said_before_anything_runs() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let config = Config {
        http: vec![address],
        ..Config::default()
    };
    let error = bind(config.clone()).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("ss -ltnp"),
        "{text}"
    );

    drop(holder);
    let _first = bind(config.clone()).unwrap();
    assert!(
        matches!(bind(config), Err(BindError::InUse { .. })),
        "a second agent on the node"
    );
}
