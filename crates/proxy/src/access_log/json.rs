use std::fmt::Display;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fairway_model::RuleId;
use fairway_router::UpstreamKey;

use super::LONG;
use super::format::{JSON_HOST, JSON_REFERER, JSON_USER_AGENT};
use super::line::Line;
use super::time::Clock;

/// A name with what stands around it, so that both are written at once.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

/// A line as one JSON object. The query is left out: it is where secrets are.
pub(super) fn format(line: &Line<'_>, time: &Clock, out: &mut Vec<u8>) {
    let header = |at: usize| Some(line.request_headers.get(at)?.as_ref()?.as_bytes());
    let mut object = Object::begin(out, time);
    object.text(key!("client"), line.client);
    if let Some(request) = &line.request {
        object.text(key!("method"), request.method.as_str().as_bytes());
    }
    object.optional(key!("host"), header(JSON_HOST).or(line.name));
    if let Some(request) = &line.request {
        object.text(key!("path"), request.uri.path().as_bytes());
        object.token(key!("protocol"), request.protocol().as_bytes());
    }
    object.number(key!("status"), u64::from(line.status));
    object.number(key!("bytes"), line.sent);
    object.seconds(key!("duration"), line.duration);
    if let Some(route) = line.route {
        object.out.extend_from_slice(route.json);
    }
    if let Some(last) = line.attempts.last() {
        object.address(key!("endpoint"), last.endpoint);
        object.number(key!("tries"), line.attempts.len() as u64);
        if let (Some(_), Some(ended)) = (last.answered, last.ended) {
            object.seconds(key!("upstream_duration"), ended.saturating_sub(last.began));
        }
    }
    if let Some(id) = line.request_id {
        object.token(key!("request_id"), id);
    }
    if let Some(id) = line.trace_id {
        object.token(key!("trace_id"), id);
    }
    object.optional(key!("referer"), header(JSON_REFERER));
    object.optional(key!("user_agent"), header(JSON_USER_AGENT));
    object.optional(key!("reason"), line.reason.map(str::as_bytes));
    object.end();
}

/// What lines tell of a route, which is the same for each of its requests.
pub(crate) fn route(id: &RuleId, upstream: Option<&UpstreamKey>) -> Box<[u8]> {
    let mut out = Vec::new();
    let mut object = Object { out: &mut out };
    object.text(key!("namespace"), id.object.name.namespace.as_bytes());
    object.text(key!("route"), id.object.name.name.as_bytes());
    object.text(key!("rule"), id.field.as_bytes());
    let service = upstream.map(|upstream| &upstream.service.name);
    object.optional(key!("service"), service.map(|name| name.as_bytes()));
    out.into()
}

/// Writes a flat JSON object on one line. Texts may be any bytes: what is not UTF-8 becomes U+FFFD, and
/// control characters (C1 as well, which terminals obey) are escaped.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Has the time first.
    fn begin(out: &'a mut Vec<u8>, time: &Clock) -> Self {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(time.iso());
        out.push(b'.');
        digits::<3>(out, time.now().subsec_millis());
        out.extend_from_slice(b"Z\"");
        Self { out }
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn optional(&mut self, key: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// The beginning of a value that somebody else chose.
    fn text(&mut self, key: &[u8], value: &[u8]) {
        self.out.extend_from_slice(key);
        self.out.push(b'"');
        escape(&value[..value.len().min(LONG)], self.out);
        self.out.push(b'"');
    }

    /// What was found to be short, and to have nothing in it that JSON writes in another way.
    fn token(&mut self, key: &[u8], value: &[u8]) {
        self.out.extend_from_slice(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value);
        self.out.push(b'"');
    }

    fn number(&mut self, key: &[u8], value: u64) {
        self.out.extend_from_slice(key);
        number(self.out, value);
    }

    fn seconds(&mut self, key: &[u8], value: Duration) {
        self.out.extend_from_slice(key);
        number(self.out, value.as_secs());
        self.out.push(b'.');
        digits::<6>(self.out, value.subsec_micros());
    }

    fn address(&mut self, key: &[u8], value: SocketAddr) {
        self.out.extend_from_slice(key);
        self.out.push(b'"');
        address(self.out, value);
        self.out.push(b'"');
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
