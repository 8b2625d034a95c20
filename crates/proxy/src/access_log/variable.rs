//! nginx's variables, as far as there is something to tell.

use http::header::{HOST, HeaderName};

use super::format::{AUTHORIZATION, Wanted};

/// A variable, parsed once. Headers are numbered among the [`Wanted`] ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    RemoteAddr,
    RemoteUser(usize),
    TimeLocal,
    TimeIso8601,
    Msec,
    Request,
    RequestMethod,
    RequestUri,
    Uri,
    Args,
    Arg(Box<str>),
    Scheme,
    Https,
    Http2,
    ServerProtocol,
    Host(usize),
    ServerName,
    RequestHeader(usize),
    ResponseHeader(usize),
    Cookie(usize, Box<str>),
    Status,
    BodyBytesSent,
    BytesSent,
    RequestLength,
    RequestTime,
    RequestId,
    TraceId,
    SpanId,
    UpstreamAddr,
    UpstreamStatus,
    UpstreamConnectTime,
    UpstreamHeaderTime,
    UpstreamResponseTime,
    UpstreamResponseLength,
    ProxyUpstreamName,
    /// Always empty: which of several backends it was, the name says.
    ProxyAlternativeUpstreamName,
    Namespace,
    IngressName,
    ServiceName,
    ServicePort,
    LocationPath,
    SslProtocol,
    SslCipher,
    Pid,
    Reason,
}

impl Variable {
    pub(super) fn of_name(name: &str, wanted: &mut Wanted) -> Option<Self> {
        Some(match name {
            // `$the_real_ip` is what ingress-nginx once called it.
            "remote_addr" | "the_real_ip" | "realip_remote_addr" => Self::RemoteAddr,
            "remote_user" => Self::RemoteUser(wanted.request_header(AUTHORIZATION)),
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::TimeIso8601,
            "msec" => Self::Msec,
            "request" => Self::Request,
            "request_method" => Self::RequestMethod,
            "request_uri" => Self::RequestUri,
            "uri" | "document_uri" => Self::Uri,
            "args" | "query_string" => Self::Args,
            "scheme" => Self::Scheme,
            "https" => Self::Https,
            "http2" => Self::Http2,
            "server_protocol" => Self::ServerProtocol,
            "host" | "best_http_host" => Self::Host(wanted.request_header(HOST)),
            "server_name" => Self::ServerName,
            "status" => Self::Status,
            "body_bytes_sent" => Self::BodyBytesSent,
            "bytes_sent" => {
                wanted.lengths = true;
                Self::BytesSent
            }
            "request_length" => {
                wanted.lengths = true;
                Self::RequestLength
            }
            "request_time" => Self::RequestTime,
            "request_id" | "req_id" => Self::RequestId,
            "trace_id" | "opentelemetry_trace_id" | "otel_trace_id" => Self::TraceId,
            "span_id" | "opentelemetry_span_id" | "otel_span_id" => Self::SpanId,
            "upstream_addr" => Self::UpstreamAddr,
            "upstream_status" => Self::UpstreamStatus,
            "upstream_connect_time" => Self::UpstreamConnectTime,
            "upstream_header_time" => Self::UpstreamHeaderTime,
            "upstream_response_time" => Self::UpstreamResponseTime,
            "upstream_response_length" => Self::UpstreamResponseLength,
            "proxy_upstream_name" => Self::ProxyUpstreamName,
            "proxy_alternative_upstream_name" => Self::ProxyAlternativeUpstreamName,
            "namespace" => Self::Namespace,
            "ingress_name" => Self::IngressName,
            "service_name" => Self::ServiceName,
            "service_port" => Self::ServicePort,
            "location_path" => Self::LocationPath,
            "ssl_protocol" => Self::SslProtocol,
            "ssl_cipher" => Self::SslCipher,
            "pid" => Self::Pid,
            "fairway_reason" => Self::Reason,
            _ => return Self::of_prefix(name, wanted),
        })
    }

    /// Variables that end in a name of the client's choice.
    fn of_prefix(name: &str, wanted: &mut Wanted) -> Option<Self> {
        let header = |name: &str| name.replace('_', "-").parse::<HeaderName>().ok();
        if let Some(name) = name.strip_prefix("sent_http_") {
            return Some(Self::ResponseHeader(wanted.response_header(header(name)?)));
        }
        if let Some(name) = name.strip_prefix("http_") {
            return Some(Self::RequestHeader(wanted.request_header(header(name)?)));
        }
        if let Some(name) = name.strip_prefix("cookie_").filter(|it| !it.is_empty()) {
            let cookies = wanted.request_header(http::header::COOKIE);
            return Some(Self::Cookie(cookies, name.into()));
        }
        let name = name.strip_prefix("arg_").filter(|it| !it.is_empty())?;
        Some(Self::Arg(name.into()))
    }
}

/// The name at the start of a text, in braces or not, and what follows it.
pub(super) fn parse_name(text: &str) -> Option<(&str, &str)> {
    let (name, after) = match text.strip_prefix('{') {
        Some(text) => text.split_once('}')?,
        None => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
        }
    };
    (!name.is_empty()).then_some((name, after))
}
