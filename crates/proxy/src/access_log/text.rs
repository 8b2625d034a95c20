//! Lines as nginx writes them.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use data_encoding::BASE64;
use fairway_model::HostPattern;
use http::{HeaderValue, Version};

use super::format::{Escape, Part};
use super::line::Line;
use super::time::Clock;
use super::variable::Variable;
use super::{LONG, json};
use crate::record::Attempt;
use crate::tls::Cipher;

pub(super) fn format(
    line: &Line<'_>,
    time: &Clock,
    parts: &[Part],
    escape: Escape,
    out: &mut Vec<u8>,
) {
    let mut text = Text { escape, out };
    for part in parts {
        match part {
            Part::Literal(literal) => text.out.extend_from_slice(literal.as_bytes()),
            Part::Variable(variable) => text.variable(variable, line, time),
        }
    }
    text.out.push(b'\n');
}

struct Text<'a> {
    escape: Escape,
    out: &'a mut Vec<u8>,
}

impl Text<'_> {
    fn variable(&mut self, variable: &Variable, line: &Line<'_>, time: &Clock) {
        let request = line.request;
        let upstream = line.route.and_then(|route| route.upstream);
        match variable {
            Variable::RemoteAddr => self.bytes(line.client),
            Variable::RemoteUser(at) => {
                let user = header(line.request_headers, *at).and_then(user);
                self.optional(user.as_deref());
            }
            Variable::TimeLocal => self.plain(time.local()),
            Variable::TimeIso8601 => {
                self.plain(time.iso());
                self.plain(b"+00:00");
            }
            Variable::Msec => self.milliseconds(time.now()),
            // As nginx, nothing where not even a line came.
            Variable::Request => {
                if let Some(request) = request {
                    self.bytes(request.method.as_str().as_bytes());
                    self.plain(b" ");
                    self.bytes(request.target().as_bytes());
                    self.plain(b" ");
                    self.plain(request.protocol().as_bytes());
                }
            }
            Variable::RequestMethod => self.optional(request.map(|it| it.method.as_str())),
            Variable::RequestUri => self.optional(request.as_ref().map(|it| it.target())),
            Variable::Uri => self.optional(request.map(|it| decoded(it.uri.path()))),
            Variable::Args => self.optional(request.and_then(|it| it.uri.query())),
            Variable::Arg(name) => {
                let query = request.and_then(|it| it.uri.query());
                self.optional(query.and_then(|query| argument(query, name)));
            }
            Variable::Scheme => self.plain(if line.secure { b"https" } else { b"http" }),
            Variable::Https => self.plain(if line.secure { b"on" } else { b"" }),
            Variable::Http2 => {
                let is_http2 = request.is_some_and(|it| it.version == Version::HTTP_2);
                self.plain(match (is_http2, line.secure) {
                    (false, _) => b"",
                    (true, true) => b"h2",
                    (true, false) => b"h2c",
                });
            }
            Variable::ServerProtocol => self.optional(request.as_ref().map(|it| it.protocol())),
            Variable::Host(at) => {
                let host = header(line.request_headers, *at).or(line.name);
                self.optional(host.map(without_port));
            }
            Variable::ServerName => match line.route.map(|route| route.host) {
                None | Some(HostPattern::Any) => self.plain(b"_"),
                Some(host) => self.display(host),
            },
            Variable::RequestHeader(at) => self.optional(header(line.request_headers, *at)),
            Variable::ResponseHeader(at) => self.optional(header(line.response_headers, *at)),
            Variable::Cookie(at, name) => {
                let cookies = header(line.request_headers, *at);
                self.optional(cookies.and_then(|cookies| cookie(cookies, name)));
            }
            Variable::Status => self.display(format_args!("{:03}", line.status)),
            Variable::BodyBytesSent => self.display(line.sent),
            Variable::BytesSent => self.display(line.response_head + line.sent),
            Variable::RequestLength => self.display(line.request_head + line.received),
            Variable::RequestTime => self.milliseconds(line.duration),
            Variable::RequestId => self.optional(line.request_id),
            Variable::TraceId => self.optional(line.trace_id),
            Variable::SpanId => self.optional(line.span_id),
            Variable::UpstreamAddr => self.attempts(line, |text, it| text.display(it.endpoint)),
            Variable::UpstreamStatus => self.attempts(line, |text, it| match it.status {
                Some(status) => text.display(status),
                None => text.plain(b"-"),
            }),
            Variable::UpstreamConnectTime => self.attempts(line, |text, it| {
                text.since(it, it.connected);
            }),
            Variable::UpstreamHeaderTime => self.attempts(line, |text, it| {
                text.since(it, it.answered);
            }),
            Variable::UpstreamResponseTime => self.attempts(line, |text, it| {
                text.since(it, it.ended);
            }),
            Variable::UpstreamResponseLength => self.attempts(line, |text, it| {
                text.display(if it.answered.is_some() { line.sent } else { 0 });
            }),
            Variable::ProxyUpstreamName => match upstream {
                Some(key) => {
                    let service = &key.service;
                    self.display(format_args!(
                        "{}-{}-{}",
                        service.namespace, service.name, key.port
                    ));
                }
                None => self.plain(b"-"),
            },
            Variable::ProxyAlternativeUpstreamName => {}
            Variable::Namespace => {
                self.optional(line.route.map(|it| &*it.id.object.name.namespace));
            }
            Variable::IngressName => self.optional(line.route.map(|it| &*it.id.object.name.name)),
            Variable::ServiceName => self.optional(upstream.map(|key| &*key.service.name)),
            Variable::ServicePort => match upstream {
                Some(key) => self.display(&key.port),
                None => self.absent(),
            },
            Variable::LocationPath => self.optional(line.route.map(|it| it.path)),
            Variable::SslProtocol => self.optional(line.cipher.map(|it| it.protocol())),
            Variable::SslCipher => self.optional(line.cipher.map(Cipher::suite)),
            Variable::Pid => self.display(std::process::id()),
            Variable::Reason => self.optional(line.reason),
        }
    }

    /// What each endpoint came to, in nginx's way to list them.
    fn attempts(&mut self, line: &Line<'_>, mut each: impl FnMut(&mut Self, &Attempt)) {
        if line.attempts.is_empty() {
            return self.absent();
        }
        for (number, attempt) in line.attempts.iter().enumerate() {
            if number > 0 {
                self.plain(b", ");
            }
            each(self, attempt);
        }
    }

    /// From the start of an attempt to one of its marks.
    fn since(&mut self, attempt: &Attempt, mark: Option<Duration>) {
        match mark {
            Some(mark) => self.milliseconds(mark.saturating_sub(attempt.began)),
            // A kept connection takes no time to get.
            None if attempt.answered.is_some() => self.plain(b"0.000"),
            None => self.plain(b"-"),
        }
    }

    fn optional(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.bytes(value.as_ref()),
            None => self.absent(),
        }
    }

    fn absent(&mut self) {
        if self.escape == Escape::Default {
            self.out.push(b'-');
        }
    }

    /// Bytes of the client's or an endpoint's choice.
    fn bytes(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(LONG)];
        match self.escape {
            Escape::Default => escape(bytes, self.out),
            Escape::Json => json::escape(bytes, self.out),
        }
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// For values that need no escaping.
    fn display(&mut self, value: impl Display) {
        write!(self.out, "{value}").expect("writing to memory cannot fail");
    }

    fn milliseconds(&mut self, value: Duration) {
        self.display(format_args!(
            "{}.{:03}",
            value.as_secs(),
            value.subsec_millis()
        ));
    }
}

/// nginx's `escape=default`.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| !plain(byte)) {
        out.extend_from_slice(&rest[..at]);
        let byte = usize::from(rest[at]);
        out.extend_from_slice(&[b'\\', b'x', DIGITS[byte >> 4], DIGITS[byte & 15]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn header(headers: &[Option<HeaderValue>], at: usize) -> Option<&[u8]> {
    Some(headers.get(at)?.as_ref()?.as_bytes())
}

/// The name in credentials of HTTP Basic (RFC 7617).
fn user(credentials: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = credentials.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = BASE64.decode(encoded.trim_ascii()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    user.truncate(colon);
    (!user.is_empty()).then_some(user)
}

/// A Host header as nginx's `$host`: in lower case, without the port.
fn without_port(host: &[u8]) -> Vec<u8> {
    let end = match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !host[colon..].contains(&b']') => colon,
        _ => host.len(),
    };
    host[..end].to_ascii_lowercase()
}

/// A path with its percent-encoding undone.
fn decoded(path: &str) -> Vec<u8> {
    let mut rest = path.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high << 4 | low).unwrap_or_default());
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

/// The value of a cookie in a Cookie header.
fn cookie<'a>(cookies: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cookies.split(|byte| *byte == b';').find_map(|cookie| {
        let (key, value) = cookie.trim_ascii().split_at_checked(name.len())?;
        let value = value.strip_prefix(b"=")?;
        key.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    })
}

/// The value of a parameter in a query, as sent.
fn argument<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}
