//! The request head on its way to the upstream.
//!
//! One pass over the names finds what is there; only that is touched. What a client may not say is
//! removed before ours is added, so that `Connection: X-Forwarded-For` cannot strip what we set.

mod hops;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::hop_by_hop;
pub(crate) use hops::client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-scheme");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not identifiers but attempts to fill logs.
const LONGEST_REQUEST_ID: usize = 128;

/// Who sent a request, as far as it can be known.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The peer's address as it goes into headers.
    pub(crate) peer: HeaderValue,
    /// Whether the peer's own forwarding headers are believed.
    pub(crate) trusted: bool,
    /// The port that the client connected to, where a load balancer told it.
    pub(crate) port: Option<HeaderValue>,
    /// Whether the peer speaks TLS with us.
    pub(crate) secure: bool,
}

impl Sender {
    /// Whether the client speaks TLS, if not with us then with a proxy that we trust.
    pub(crate) fn is_https(&self, headers: &HeaderMap) -> bool {
        let told = self.scheme_told(headers);
        self.secure || told.map_or_else(|| is_https(&self.scheme()), is_https)
    }

    /// The client's scheme in the words of a proxy that we trust.
    fn scheme_told<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let told = self.trusted.then(|| headers.get(X_FORWARDED_PROTO));
        told.flatten()
    }

    /// The client's scheme where nobody tells.
    fn scheme(&self) -> HeaderValue {
        // By the PROXY protocol, which has nothing else to say about it.
        let by_port = || self.port.as_ref().is_some_and(|port| port == "443");
        match self.secure || by_port() {
            true => HeaderValue::from_static("https"),
            false => HeaderValue::from_static("http"),
        }
    }
}

fn is_https(scheme: &HeaderValue) -> bool {
    scheme.as_bytes().eq_ignore_ascii_case(b"https")
}

/// What the rewrite found out.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) request_id: HeaderValue,
    /// The client behind trusted proxies, where it differs from the peer.
    pub(crate) client: Option<HeaderValue>,
    /// Headers dropped because of an underscore in their name.
    pub(crate) underscores: u32,
}

/// Rewrites a request head in place. `is_trusted` tells which hops of a believed X-Forwarded-For are
/// proxies; `new_id` makes a request ID where the client sent none that can be used.
pub(crate) fn rewrite(
    headers: &mut HeaderMap,
    sender: &Sender,
    is_trusted: impl Fn(IpAddr) -> bool,
    new_id: impl FnOnce() -> HeaderValue,
) -> Rewritten {
    let found = remove_untrustworthy(headers, sender.trusted);
    headers.reserve(10);
    if found.trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }

    let client = hops::append(headers, sender, is_trusted);
    let real = client.clone().unwrap_or_else(|| sender.peer.clone());
    headers.insert(X_REAL_IP, real);
    let host = headers.get(header::HOST).cloned();
    let scheme = match sender.scheme_told(headers) {
        Some(told) => told.clone(),
        None => {
            let scheme = sender.scheme();
            headers.insert(X_FORWARDED_PROTO, scheme.clone());
            scheme
        }
    };
    let told = sender.port.clone().or_else(|| public_port(host.as_ref()));
    let port = told.unwrap_or_else(|| port(if is_https(&scheme) { 443 } else { 80 }));
    set(headers, X_FORWARDED_PORT, port, sender.trusted);
    if let Some(host) = host {
        set(headers, X_FORWARDED_HOST, host, sender.trusted);
    }
    headers.insert(X_FORWARDED_SCHEME, scheme.clone());
    headers.insert(X_SCHEME, scheme);

    let told = found.request_id.then(|| headers.get(X_REQUEST_ID));
    let request_id = match told.flatten() {
        Some(id) if is_request_id(id.as_bytes()) => id.clone(),
        _ => {
            let id = new_id();
            headers.insert(X_REQUEST_ID, id.clone());
            id
        }
    };
    Rewritten {
        request_id,
        client,
        underscores: found.underscores,
    }
}

/// What the pass over the names came across.
struct Found {
    /// The client understands trailers.
    trailers: bool,
    request_id: bool,
    underscores: u32,
}

/// Removes what belongs to the client's connection and what clients may not say about themselves.
fn remove_untrustworthy(headers: &mut HeaderMap, trusted: bool) -> Found {
    let mut connection = false;
    let mut te = false;
    let mut upgrade = false;
    let mut request_id = false;
    let mut expect = false;
    let mut forwarded = false;
    let mut names: Vec<HeaderName> = Vec::new();
    let mut underscores = 0;
    for name in headers.keys() {
        match *name {
            header::CONNECTION => connection = true,
            // Transfer-Encoding stays: the body is written as it says, and the gate let only `chunked` pass.
            header::TRANSFER_ENCODING => {}
            header::TE => te = true,
            header::UPGRADE => upgrade = true,
            // We answer it ourselves once the upstream takes the body; it might answer 417.
            header::EXPECT => expect = true,
            header::FORWARDED => forwarded = !trusted,
            _ => match drop_by_name(name.as_str(), trusted) {
                Verdict::Keep => request_id |= *name == X_REQUEST_ID,
                Verdict::Drop => names.push(name.clone()),
                Verdict::Underscore => {
                    underscores += 1;
                    names.push(name.clone());
                }
            },
        }
    }
    let trailers = te && hop_by_hop::accepts_trailers(headers);
    if connection {
        hop_by_hop::remove_listed(headers);
        headers.remove(header::CONNECTION);
    }
    if te {
        headers.remove(header::TE);
    }
    if upgrade {
        headers.remove(header::UPGRADE);
    }
    if expect {
        headers.remove(header::EXPECT);
    }
    if forwarded {
        headers.remove(header::FORWARDED);
    }
    for name in names {
        headers.remove(name);
    }
    Found {
        trailers,
        request_id,
        underscores,
    }
}

/// Whether a client's header of this name is no part of the request that the upstream gets.
pub(crate) fn is_dropped(name: &str, trusted: bool) -> bool {
    match name {
        "forwarded" => !trusted,
        // Overwritten, whoever sent them.
        "x-real-ip" | "x-scheme" | "x-forwarded-scheme" => true,
        _ => !matches!(drop_by_name(name, trusted), Verdict::Keep),
    }
}

enum Verdict {
    Keep,
    Drop,
    Underscore,
}

fn drop_by_name(name: &str, trusted: bool) -> Verdict {
    let bytes = name.as_bytes();
    // CGI-like backends cannot tell `x_real_ip` from `x-real-ip`.
    if memchr::memchr(b'_', bytes).is_some() {
        return Verdict::Underscore;
    }
    let drop = match bytes.first().copied().unwrap_or_default() {
        b'k' => name == "keep-alive",
        // `Proxy` becomes HTTP_PROXY in CGI-like backends (httpoxy).
        b'p' => matches!(name, "proxy" | "proxy-connection"),
        b's' => name.starts_with("ssl-client-"),
        b'x' => {
            name.starts_with("x-auth-request-") || (!trusted && name.starts_with("x-forwarded-"))
        }
        _ => false,
    };
    if drop { Verdict::Drop } else { Verdict::Keep }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue, keep: bool) {
    if !(keep && headers.contains_key(&name)) {
        headers.insert(name, value);
    }
}

/// The port that the client used. Load balancers and node ports translate the one we listen on, so the
/// Host header knows better than the socket.
fn public_port(host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let host = host?.as_bytes();
    let port = host.rsplit(|byte| *byte == b':').next()?;
    let is_port =
        port.len() < host.len() && !port.is_empty() && port.iter().all(u8::is_ascii_digit);
    is_port.then(|| HeaderValue::from_bytes(port).ok())?
}

/// A port as a header has it.
pub(crate) fn port(port: u16) -> HeaderValue {
    match port {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        port => HeaderValue::from(port),
    }
}

fn is_request_id(value: &[u8]) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte))
}
