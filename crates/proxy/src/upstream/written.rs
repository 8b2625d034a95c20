//! The head of a request as it was written, so that it can be written again.
//!
//! Nearly no request is. A copy of a header map takes two allocations and 1,600 instructions; the bytes are there.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

/// Memory that a connection keeps for its next request, in bytes.
const KEPT: usize = 2048;

/// What a connection has written of its current request, where somebody wants to know.
#[derive(Debug, Default)]
pub(crate) struct Written {
    wanted: Cell<bool>,
    bytes: RefCell<Vec<u8>>,
}

/// A request head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Written {
    /// The next request begins.
    pub(super) fn begin(&self, wanted: bool) {
        self.wanted.set(wanted);
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        bytes.shrink_to(KEPT);
    }

    /// So many bytes of what was offered were taken.
    pub(super) fn add(&self, offered: &[IoSlice<'_>], mut length: usize) {
        if !self.wanted.get() {
            return;
        }
        let mut bytes = self.bytes.borrow_mut();
        for part in offered {
            let taken = length.min(part.len());
            bytes.extend_from_slice(&part[..taken]);
            length -= taken;
        }
    }

    /// What was written, if that is a whole head.
    pub(crate) fn head(&self) -> Option<Head> {
        let bytes = self.bytes.borrow();
        let lines = memchr::memchr_iter(b'\n', &bytes).count();
        let mut fields = vec![httparse::EMPTY_HEADER; lines];
        let mut head = httparse::Request::new(&mut fields);
        if !head.parse(&bytes).ok()?.is_complete() {
            return None;
        }
        let method = Method::from_bytes(head.method?.as_bytes()).ok()?;
        let uri = head.path?.parse().ok()?;
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        for field in head.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        Some(Head {
            method,
            uri,
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_its_bytes_say() {
        let written = Written::default();
        written.begin(true);
        let first = b"GET /cart?item=17 HTTP/1.1\r\nhost: shop.exa";
        let second = b"mple\r\nx-a: 1\r\nx-a: \xe4\r\nempty: \r\n\r\n";
        written.add(&[IoSlice::new(first), IoSlice::new(&second[..7])], 50);
        assert!(written.head().is_none());
        written.add(&[IoSlice::new(&second[7..])], second.len() - 7);
        let head = written.head().unwrap();
        assert_eq!(head.method, Method::GET);
        assert_eq!(head.uri, "/cart?item=17");
        let headers: Vec<_> = head.headers.iter().collect();
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        assert_eq!(headers.len(), 4);
        assert_eq!(head.headers["host"], "shop.example");
        let values: Vec<_> = head.headers.get_all("x-a").iter().cloned().collect();
        assert_eq!(values, [value(b"1"), value(b"\xe4")]);
        assert_eq!(head.headers["empty"], "");
    }

    #[test]
    fn what_nobody_wants_is_not_kept_and_large_heads_are_let_go() {
        let written = Written::default();
        written.begin(false);
        written.add(&[IoSlice::new(b"GET / HTTP/1.1\r\n\r\n")], 18);
        assert!(written.head().is_none());
        written.begin(true);
        written.add(&[IoSlice::new(&[b'x'; 64 * 1024])], 64 * 1024);
        written.begin(true);
        assert!(written.bytes.borrow().capacity() <= KEPT);
        assert!(written.head().is_none());
    }
}
