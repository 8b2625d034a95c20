//! Headers that belong to one connection and not to the message.

use http::header::{self, HeaderMap, HeaderName};

/// Removes every header that a Connection header names.
pub(crate) fn remove_listed(headers: &mut HeaderMap) {
    let trivial = headers.get_all(header::CONNECTION).iter().all(|value| {
        matches!(
            value.as_bytes(),
            b"keep-alive" | b"close" | b"Keep-Alive" | b"Close"
        )
    });
    if trivial {
        return;
    }
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

/// Headers without which a message means something else; nobody may declare them hop-by-hop.
fn is_end_to_end(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
            | header::CONTENT_TYPE
    )
}

/// Whether the sender of a request understands trailers.
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

/// Removes what concerns the upstream connection from a response.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    let mut connection = false;
    let mut other = false;
    for name in headers.keys() {
        match *name {
            header::CONNECTION => connection = true,
            header::TE | header::TRANSFER_ENCODING | header::UPGRADE => other = true,
            _ => other |= matches!(name.as_str(), "keep-alive" | "proxy-connection"),
        }
    }
    if connection {
        remove_listed(headers);
        headers.remove(header::CONNECTION);
    }
    if other {
        headers.remove(header::TE);
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::UPGRADE);
        headers.remove("keep-alive");
        headers.remove("proxy-connection");
    }
}
