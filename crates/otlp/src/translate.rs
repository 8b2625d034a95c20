//! Our spans in the words of OpenTelemetry's semantic conventions for HTTP servers (stable, 1.23).

use std::time::{SystemTime, UNIX_EPOCH};

use fairway_proxy::Span;

use crate::message::{self, AnyValue, KeyValue, SpanKind, StatusCode, Value};

/// `sampled` of the W3C flags; the next bits say whether it is known that the parent is remote.
const SAMPLED: u32 = 1;
const IS_REMOTE_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

pub(crate) fn translate(span: Span) -> message::Span {
    let failed = span.status >= 500;
    let status = failed.then(|| message::Status {
        message: span.reason.unwrap_or_default().to_owned(),
        code: StatusCode::Error.into(),
    });
    message::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        parent_span_id: span.parent_id.map(Vec::from).unwrap_or_default(),
        name: name(&span),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        status,
        flags: SAMPLED | IS_REMOTE_KNOWN | span.parent_id.map_or(0, |_| IS_REMOTE),
        attributes: attributes(span),
    }
}

/// Of low cardinality: the path of the rule, never the one that was asked for.
fn name(span: &Span) -> String {
    let method = span.method.as_deref().unwrap_or("HTTP");
    match &span.route {
        Some(route) => format!("{method} {}", route.path),
        None => method.to_owned(),
    }
}

fn attributes(span: Span) -> Vec<KeyValue> {
    let failed = span.status >= 500;
    let mut list = Attributes(Vec::with_capacity(20));
    list.optional("http.request.method", span.method);
    list.text("url.scheme", if span.secure { "https" } else { "http" });
    list.optional("url.path", span.path);
    list.optional("server.address", span.host);
    list.optional("network.protocol.version", span.protocol.map(str::to_owned));
    list.text("client.address", span.client);
    list.optional("user_agent.original", span.user_agent);
    list.number("http.response.status_code", span.status.into());
    list.number("http.request.body.size", span.received);
    list.number("http.response.body.size", span.sent);
    if let Some(route) = span.route {
        list.text("http.route", route.path);
        list.text("k8s.namespace.name", route.namespace);
        list.text("k8s.ingress.name", route.ingress);
        list.optional("k8s.service.name", route.service);
    }
    if let Some(endpoint) = span.endpoint {
        list.text("network.peer.address", endpoint.ip().to_string());
        list.number("network.peer.port", endpoint.port().into());
        list.number("fairway.tries", span.tries.into());
    }
    list.optional("fairway.request_id", span.request_id);
    list.optional("fairway.reason", span.reason.map(str::to_owned));
    if failed {
        let status = span.status.to_string();
        let kind = span.reason.map_or(status, str::to_owned);
        list.text("error.type", kind);
    }
    list.0
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(key_value(key, Value::Text(value.into())));
    }

    fn optional(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.push(key_value(key, Value::Number(value)));
    }
}

pub(crate) fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
