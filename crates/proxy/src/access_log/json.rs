use std::fmt::Display;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::LONG;
use super::format::{JSON_HOST, JSON_REFERER, JSON_USER_AGENT};
use super::line::Line;
use super::time::Clock;

/// A line as one JSON object. The query is left out: it is where secrets are.
pub(super) fn format(line: &Line<'_>, time: &Clock, out: &mut Vec<u8>) {
    let header = |at: usize| Some(line.request_headers.get(at)?.as_ref()?.as_bytes());
    let mut object = Object::begin(out);
    object.time("time", time);
    object.text("client", line.client);
    if let Some(request) = &line.request {
        object.text("method", request.method.as_str().as_bytes());
    }
    object.optional("host", header(JSON_HOST).or(line.name));
    if let Some(request) = &line.request {
        object.text("path", request.uri.path().as_bytes());
        object.text("protocol", request.protocol().as_bytes());
    }
    object.number("status", u64::from(line.status));
    object.number("bytes", line.sent);
    object.seconds("duration", line.duration);
    if let Some(route) = line.route {
        object.text("namespace", route.id.object.name.namespace.as_bytes());
        object.text("route", route.id.object.name.name.as_bytes());
        object.text("rule", route.id.field.as_bytes());
        let service = route.upstream.map(|upstream| &upstream.service.name);
        object.optional("service", service.map(|name| name.as_bytes()));
    }
    if let Some(last) = line.attempts.last() {
        object.address("endpoint", last.endpoint);
        object.number("tries", line.attempts.len() as u64);
        if let (Some(_), Some(ended)) = (last.answered, last.ended) {
            object.seconds("upstream_duration", ended.saturating_sub(last.began));
        }
    }
    object.optional("request_id", line.request_id);
    object.optional("trace_id", line.trace_id);
    object.optional("referer", header(JSON_REFERER));
    object.optional("user_agent", header(JSON_USER_AGENT));
    object.optional("reason", line.reason.map(str::as_bytes));
    object.end();
}

/// Writes a flat JSON object on one line. Texts may be any bytes: what is not UTF-8 becomes U+FFFD, and
/// control characters (C1 as well, which terminals obey) are escaped.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// The beginning of a value that somebody else chose.
    fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        escape(&value[..value.len().min(LONG)], self.out);
        self.out.push(b'"');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        number(self.out, value);
    }

    fn seconds(&mut self, name: &str, value: Duration) {
        self.name(name);
        number(self.out, value.as_secs());
        self.out.push(b'.');
        digits::<6>(self.out, value.subsec_micros());
    }

    fn address(&mut self, name: &str, value: SocketAddr) {
        self.name(name);
        self.out.push(b'"');
        address(self.out, value);
        self.out.push(b'"');
    }

    fn time(&mut self, name: &str, value: &Clock) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.iso());
        self.out.push(b'.');
        digits::<3>(self.out, value.now().subsec_millis());
        self.out.extend_from_slice(b"Z\"");
    }

    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// In decimal. `format!` and its kin take several times as long, and a line has a dozen numbers.
fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// In decimal, with zeros in front: the last `N` digits.
fn digits<const N: usize>(out: &mut Vec<u8>, mut value: u32) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit += u8::try_from(value % 10).expect("a digit");
        value /= 10;
    }
    out.extend_from_slice(&text);
}

fn address(out: &mut Vec<u8>, value: SocketAddr) {
    match value.ip() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                number(out, octet);
            }
        }
        IpAddr::V6(ip) => print(out, format_args!("[{ip}]")),
    }
    out.push(b':');
    number(out, value.port());
}

fn print(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("writing to memory cannot fail");
}

/// Bytes as the inside of a JSON string.
pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
    // Without a way out before the end, so that the compiler looks at many bytes at once.
    if bytes.iter().fold(true, |all, byte| all & plain(byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
                    print(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
