//! Whom a request came by, as X-Forwarded-For tells it.

use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderMap, HeaderValue};

use super::{Sender, X_FORWARDED_FOR};

/// Sets X-Forwarded-For; returns the client that a trusted peer forwards for.
pub(super) fn append(
    headers: &mut HeaderMap,
    sender: &Sender,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<HeaderValue> {
    if !sender.trusted || !headers.contains_key(X_FORWARDED_FOR) {
        headers.insert(X_FORWARDED_FOR, sender.peer.clone());
        return None;
    }
    let client = client_told(headers, is_trusted);
    let mut chain = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(sender.peer.as_bytes());
    let value = HeaderValue::from_maybe_shared(chain).unwrap_or_else(|_| sender.peer.clone());
    headers.insert(X_FORWARDED_FOR, value);
    client
}

/// The client's address, as far as it is known, before the head is rewritten.
pub(crate) fn client(
    headers: &HeaderMap,
    sender: &Sender,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> HeaderValue {
    let told = sender.trusted.then(|| client_told(headers, is_trusted));
    told.flatten().unwrap_or_else(|| sender.peer.clone())
}

/// The client that X-Forwarded-For tells: from the right, the first hop that is no proxy of ours. What
/// stands left of it is hearsay, also where that hop is hidden.
fn client_told(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<HeaderValue> {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
    for hop in hops {
        let address = address(hop)?;
        if !is_trusted(address) {
            return HeaderValue::try_from(address.to_string()).ok();
        }
    }
    None
}

/// The address of a hop; None for `unknown` and the like. Some proxies add the port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let bare = bracketed.unwrap_or(text).parse::<IpAddr>().ok();
    let address = bare.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}
