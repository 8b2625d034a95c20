use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::SystemTime;

use fairway_proxy::SpanRoute;

use super::*;
use crate::message::{self, AnyValue, KeyValue, PartialSuccess};

/// Nothing here takes long; a test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector that answers what it is told, one answer a request, and then `200` for ever.
struct Receiver {
    address: SocketAddr,
    requests: mpsc::Receiver<(String, Vec<u8>)>,
}

impl Receiver {
    fn answering(answers: Vec<(&'static str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                while let Some(request) = receive(&mut stream) {
                    let (head, body) = answers.next().unwrap_or(("200 OK", Vec::new()));
                    let length = body.len();
                    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n");
                    stream.write_all(head.as_bytes()).unwrap();
                    stream.write_all(&body).unwrap();
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            }
        });
        Self { address, requests }
    }

    fn next(&self) -> (String, message::ExportRequest) {
        let (head, body) = self.requests.recv_timeout(PATIENCE).unwrap();
        (head, message::ExportRequest::decode(&*body).unwrap())
    }
}

/// One request: its head, and its body by Content-Length.
fn receive(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn span(status: u16) -> Span {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Span {
        trace_id: std::array::from_fn(|at| at as u8 + 1),
        span_id: std::array::from_fn(|at| at as u8 + 1),
        parent_id: Some([9; 8]),
        start,
        end: start + Duration::from_millis(250),
        method: Some("GET".to_owned()),
        secure: true,
        host: Some("shop.example".to_owned()),
        path: Some("/cart/1".to_owned()),
        protocol: Some("2"),
        client: "192.0.2.1".to_owned(),
        user_agent: Some("curl".to_owned()),
        request_id: Some("id-1".to_owned()),
        status,
        reason: (status == 502).then_some("connect_failed"),
        route: Some(SpanRoute {
            path: "/cart".to_owned(),
            namespace: "shop".to_owned(),
            ingress: "front".to_owned(),
            service: Some("web".to_owned()),
        }),
        received: 3,
        sent: 5,
        endpoint: Some("10.0.0.1:8080".parse().unwrap()),
        tries: 2,
    }
}

/// Exports these spans and returns when all have been tried.
fn export(address: SocketAddr, spans: Vec<Span>) -> ExportMetrics {
    let metrics = ExportMetrics::default();
    let (sender, receiver) = tokio::sync::mpsc::channel(spans.len());
    for span in spans {
        sender.try_send(span).unwrap();
    }
    drop(sender);
    let endpoint = format!("http://{address}/v1/traces").parse().unwrap();
    let resource = Resource {
        version: "1".to_owned(),
        node_name: "node-1".to_owned(),
    };
    let mut exporter = Exporter::new(receiver, endpoint, resource, metrics.clone());
    exporter.pause = Duration::from_millis(5);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, exporter.run()).await })
        .unwrap();
    metrics
}

fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, Value::Text(value.to_owned()))
}

#[test]
fn a_span_arrives_with_all_that_is_known() {
    let collector = Receiver::answering(Vec::new());
    let metrics = export(collector.address, vec![span(502)]);
    assert_eq!((metrics.exported(), metrics.failed()), (1, 0));
    let (head, request) = collector.next();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("host: {}\r\n", collector.address)),
        "{head}"
    );
    let [resource] = &request.resource_spans[..] else {
        panic!("{request:?}")
    };
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    assert!(attributes.contains(&text("service.name", "fairway")));
    assert!(attributes.contains(&text("k8s.node.name", "node-1")));
    let [span] = &resource.scope_spans[0].spans[..] else {
        panic!("{request:?}")
    };
    assert_eq!(span.trace_id, (1..=16).collect::<Vec<u8>>());
    assert_eq!(
        (span.span_id.len(), &span.parent_span_id[..]),
        (8, &[9; 8][..])
    );
    assert_eq!(
        (span.name.as_str(), span.kind()),
        ("GET /cart", message::SpanKind::Server)
    );
    assert_eq!(
        span.end_time_unix_nano - span.start_time_unix_nano,
        250_000_000
    );
    let status = span.status.as_ref().unwrap();
    assert_eq!(
        (status.code(), &*status.message),
        (message::StatusCode::Error, "connect_failed")
    );
    for expected in [
        text("http.request.method", "GET"),
        text("url.scheme", "https"),
        text("url.path", "/cart/1"),
        text("server.address", "shop.example"),
        text("network.protocol.version", "2"),
        text("client.address", "192.0.2.1"),
        text("user_agent.original", "curl"),
        key_value("http.response.status_code", Value::Number(502)),
        text("http.route", "/cart"),
        text("k8s.namespace.name", "shop"),
        text("k8s.ingress.name", "front"),
        text("k8s.service.name", "web"),
        text("network.peer.address", "10.0.0.1"),
        key_value("network.peer.port", Value::Number(8080)),
        text("fairway.request_id", "id-1"),
        text("error.type", "connect_failed"),
    ] {
        assert!(
            span.attributes.contains(&expected),
            "{expected:?} in {span:?}"
        );
    }
    let keys: std::collections::BTreeSet<_> = span.attributes.iter().map(|it| &it.key).collect();
    assert_eq!(keys.len(), span.attributes.len(), "no key twice");
}

#[test]
fn many_spans_go_in_few_requests() {
    let collector = Receiver::answering(Vec::new());
    let metrics = export(collector.address, vec![span(200); BATCH + 1]);
    assert_eq!(metrics.exported(), BATCH as u64 + 1);
    let counts = [(); 2].map(|()| {
        collector.next().1.resource_spans[0].scope_spans[0]
            .spans
            .len()
    });
    assert_eq!(counts, [BATCH, 1]);
}

#[test]
fn a_collector_that_cannot_now_is_asked_again() {
    let collector = Receiver::answering(vec![
        ("503 Service Unavailable", Vec::new()),
        ("429 Too Many Requests\r\nRetry-After: 0", Vec::new()),
    ]);
    let metrics = export(collector.address, vec![span(200)]);
    assert_eq!((metrics.exported(), metrics.failed()), (1, 0));
    let requests = [(); 3].map(|()| collector.next().1);
    assert!(requests.iter().all(|request| *request == requests[0]));
}

#[test]
fn what_a_collector_does_not_want_is_counted() {
    let collector = Receiver::answering(vec![("400 Bad Request", b"no".to_vec())]);
    let metrics = export(collector.address, vec![span(200); 3]);
    assert_eq!((metrics.exported(), metrics.failed()), (0, 3));
    collector.next();
    assert!(collector.requests.try_recv().is_err(), "asked once");

    let partial = message::ExportResponse {
        partial_success: Some(PartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    };
    let collector = Receiver::answering(vec![("200 OK", partial.encode_to_vec())]);
    let metrics = export(collector.address, vec![span(200); 3]);
    assert_eq!((metrics.exported(), metrics.failed()), (1, 2));
}

#[test]
fn a_collector_that_is_away_costs_spans_only() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let metrics = export(address, vec![span(200); 3]);
    assert_eq!((metrics.exported(), metrics.failed()), (0, 3));
}

#[test]
fn nonsense_for_an_answer_is_an_acceptance() {
    let collector = Receiver::answering(vec![("200 OK", vec![0xff; 100])]);
    assert_eq!(export(collector.address, vec![span(200)]).exported(), 1);
    // Too long to be one: it has arrived, and is not sent twice.
    let collector = Receiver::answering(vec![("200 OK", vec![0; 100_000])]);
    assert_eq!(export(collector.address, vec![span(200)]).failed(), 1);
}

#[test]
fn a_span_without_a_route_has_a_short_name() {
    let bare = Span {
        route: None,
        method: None,
        parent_id: None,
        endpoint: None,
        ..span(404)
    };
    let span = translate(bare);
    assert_eq!(
        (span.name.as_str(), span.status, span.flags),
        ("HTTP", None, 0x101)
    );
    assert!(span.parent_span_id.is_empty());
    assert!(!span.attributes.iter().any(|it| it.key == "error.type"));
}

/// What the crate opentelemetry-proto 0.31 makes of the same request.
#[test]
fn the_bytes_are_those_of_the_protocol() {
    let hex = include_str!("golden.txt").trim();
    let golden: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let request = ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Attributes {
                attributes: vec![text("service.name", "fairway")],
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "fairway".to_owned(),
                    version: "1".to_owned(),
                }),
                spans: vec![message::Span {
                    trace_id: (1..=16).collect(),
                    span_id: (1..=8).collect(),
                    parent_span_id: vec![9; 8],
                    name: "GET /cart".to_owned(),
                    kind: message::SpanKind::Server.into(),
                    start_time_unix_nano: 1_700_000_000_000_000_000,
                    end_time_unix_nano: 1_700_000_000_250_000_000,
                    attributes: vec![
                        text("http.route", "/cart"),
                        KeyValue {
                            key: "http.response.status_code".to_owned(),
                            value: Some(AnyValue {
                                value: Some(Value::Number(502)),
                            }),
                        },
                    ],
                    status: Some(message::Status {
                        message: "connect_failed".to_owned(),
                        code: message::StatusCode::Error.into(),
                    }),
                    flags: 0x301,
                }],
            }],
        }],
    };
    assert_eq!(request.encode_to_vec(), golden);
}
