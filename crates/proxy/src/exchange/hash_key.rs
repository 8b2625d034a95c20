//! What of a request decides which endpoint it goes to.

use fairway_model::{HashKey, LoadBalancing, stable_hash};
use http::Uri;
use http::header::{COOKIE, HeaderMap};

use crate::downstream::connection::Client;
use crate::forwarding;

/// The hash of the request's key; None if it has none, or none is wanted. `path` is the one forwarded.
pub(super) fn of(
    balancing: &LoadBalancing,
    client: &Client,
    headers: &HeaderMap,
    uri: &Uri,
    path: &str,
) -> Option<u64> {
    let LoadBalancing::ConsistentHash(key) = balancing else {
        return None;
    };
    match key {
        HashKey::Header(name) if forwarding::is_dropped(name, client.sender.trusted) => None,
        HashKey::Header(name) => Some(stable_hash(headers.get(&**name)?.as_bytes())),
        HashKey::Cookie(name) => Some(stable_hash(cookie(headers, name)?)),
        HashKey::SourceAddress => {
            let trusts = |address| client.worker.config.trusts(address);
            let client = forwarding::client(headers, &client.sender, trusts);
            Some(stable_hash(client.as_bytes()))
        }
        HashKey::Uri => {
            let query = stable_hash(uri.query().unwrap_or_default().as_bytes());
            Some(stable_hash(path.as_bytes()) ^ query.rotate_left(1))
        }
    }
}

/// The value of a cookie, as it stands (RFC 6265 section 4.2).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("aa=1; a-b=2;; ;x"));
        headers.append(COOKIE, HeaderValue::from_bytes(b"a=\xff=3; b=").unwrap());
        assert_eq!(cookie(&headers, "a"), Some(&b"\xff=3"[..]));
        assert_eq!(cookie(&headers, "aa"), Some(&b"1"[..]));
        assert_eq!(cookie(&headers, "b"), Some(&b""[..]));
        assert_eq!(cookie(&headers, "x"), None);
        assert_eq!(cookie(&headers, "A"), None);
    }
}
