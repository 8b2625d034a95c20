//! Trace context: what endpoints are told, what the log tells, and what is exported.

use std::time::{Duration, SystemTime};

use fairway_proxy::{Config, Span, SpanRoute, Tracing, spans};
use tokio::sync::mpsc::Receiver;

use crate::client::{Client, PATIENCE, ask, get};
use crate::proxy::{Proxy, single};
use crate::upstream::Upstream;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn traced(upstream: &Upstream, tracing: Tracing) -> Proxy {
    let config = Config {
        tracing,
        ..Config::default()
    };
    let mut cluster = single(&[upstream.address]);
    cluster.route(Some("shop.example"), "/cart", "web");
    Proxy::configured(cluster, config)
}

fn on(sample_ratio: f64) -> Tracing {
    Tracing {
        enabled: true,
        sample_ratio,
        ..Tracing::default()
    }
}

fn exporting(sample_ratio: f64, room: usize) -> (Tracing, Receiver<Span>) {
    let (sender, spans) = spans(room);
    let tracing = Tracing {
        spans: Some(sender),
        ..on(sample_ratio)
    };
    (tracing, spans)
}

fn next(spans: &mut Receiver<Span>) -> Span {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let span = runtime.block_on(async { tokio::time::timeout(PATIENCE, spans.recv()).await });
    span.unwrap().unwrap()
}

fn request(parent: &str) -> String {
    format!(
        "GET /cart/1?secret=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test/1\r\n\
         X-Request-ID: id-1\r\ntraceparent: {parent}\r\ntracestate: a=1\r\nConnection: close\r\n\r\n"
    )
}

#[test]
fn off_the_headers_pass_and_the_log_knows_the_trace() {
    let upstream = Upstream::echo("a");
    let proxy = traced(&upstream, Tracing::default());
    assert_eq!(ask(proxy.address, request(PARENT)).status, 200);
    let head = upstream.next_head();
    assert_eq!(head.header("traceparent"), Some(PARENT));
    assert_eq!(head.header("tracestate"), Some("a=1"));
    assert_eq!(get(proxy.address, "a", "/").status, 200);
    assert_eq!(upstream.next_head().header("traceparent"), None);
    let lines = proxy.log_lines(2);
    assert_eq!(lines[0]["trace_id"], TRACE);
    assert_eq!(lines[1].get("trace_id"), None);
}

#[test]
fn a_trace_goes_on_with_our_span() {
    let upstream = Upstream::echo("a");
    let proxy = traced(&upstream, on(0.0));
    assert_eq!(ask(proxy.address, request(PARENT)).status, 200);
    let head = upstream.next_head();
    let told = head.header("traceparent").unwrap();
    assert!(
        told.starts_with(&PARENT[..36]) && told.ends_with("-01"),
        "{told}"
    );
    assert_ne!(&told[36..52], &PARENT[36..52]);
    assert_eq!(head.header("tracestate"), Some("a=1"));
    assert_eq!(head.header("x-request-id"), Some("id-1"));
    assert_eq!(proxy.log_lines(1)[0]["trace_id"], TRACE);
}

#[test]
fn a_trace_starts_here_where_there_is_none() {
    let upstream = Upstream::echo("a");
    let proxy = traced(&upstream, on(1.0));
    for parent in ["nonsense", "00-0-0-0"] {
        assert_eq!(ask(proxy.address, request(parent)).status, 200);
        let head = upstream.next_head();
        let told = head.header("traceparent").unwrap().to_owned();
        assert!(told.len() == 55 && told.ends_with("-01"), "{told}");
        assert_eq!(head.header("tracestate"), None);
        let line = proxy.log_lines(1).pop().unwrap();
        assert_ne!(line["trace_id"], TRACE);
    }
    let last = proxy.log_lines(2).pop().unwrap();
    assert_eq!(last["trace_id"].as_str().unwrap().len(), 32);
}

#[test]
fn a_recorded_request_is_a_span() {
    let upstream = Upstream::echo("a");
    let (tracing, mut spans) = exporting(0.0, 10);
    let proxy = traced(&upstream, tracing);
    let before = SystemTime::now();
    // Not recorded, by whoever started it; then one that is.
    assert_eq!(
        ask(proxy.address, request(&PARENT.replace("-01", "-00"))).status,
        200
    );
    assert!(
        upstream
            .next_head()
            .header("traceparent")
            .unwrap()
            .ends_with("-00")
    );
    assert_eq!(ask(proxy.address, request(PARENT)).status, 200);
    let head = upstream.next_head();
    let span = next(&mut spans);
    assert!(span.start >= before - Duration::from_secs(1) && span.end >= span.start);
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(digits(&span.trace_id), TRACE);
    assert_eq!(
        digits(&span.span_id),
        head.header("traceparent").unwrap()[36..52]
    );
    assert_eq!(digits(&span.parent_id.unwrap()), PARENT[36..52]);
    let text = |text: &str| Some(text.to_owned());
    let expected = Span {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        start: span.start,
        end: span.end,
        method: text("GET"),
        secure: false,
        host: text("shop.example"),
        path: text("/cart/1"),
        protocol: Some("1.1"),
        client: "127.0.0.1".to_owned(),
        user_agent: text("test/1"),
        request_id: text("id-1"),
        status: 200,
        reason: None,
        route: Some(SpanRoute {
            path: "/cart".to_owned(),
            namespace: "shop".to_owned(),
            ingress: "front".to_owned(),
            service: text("web"),
        }),
        received: 0,
        sent: 2,
        endpoint: Some(upstream.address),
        tries: 1,
    };
    assert_eq!(span, expected);
    assert!(spans.try_recv().is_err());
}

#[test]
fn what_was_refused_is_a_span_too() {
    let upstream = Upstream::echo("a");
    let (tracing, mut spans) = exporting(1.0, 10);
    let proxy = traced(&upstream, tracing);
    assert_eq!(
        ask(
            proxy.address,
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
        )
        .status,
        400
    );
    let span = next(&mut spans);
    assert_eq!((span.status, span.reason), (400, Some("repeated_host")));
    assert_eq!(
        (span.parent_id, span.endpoint, span.route),
        (None, None, None)
    );
}

#[test]
fn spans_that_nobody_takes_cost_no_request() {
    let upstream = Upstream::echo("a");
    let (tracing, spans) = exporting(1.0, 2);
    let proxy = traced(&upstream, tracing);
    let mut client = Client::connect(proxy.address);
    for _ in 0..5 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    proxy.log_lines(5);
    assert_eq!(proxy.metric("fairway_proxy_spans_dropped_total"), 3.0);
    assert_eq!(spans.len(), 2);
}
