//! For fuzz targets: what has no other way in than a socket.

use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};

pub use crate::downstream::proxy_protocol::proxy_header;
pub use crate::upstream::http1::whole::response;

/// What the first bytes of a connection from a trusted proxy are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A whole PROXY protocol header.
    Header {
        /// In bytes.
        length: usize,
        /// Client and destination; None when the sender speaks for itself.
        addresses: Option<(SocketAddr, SocketAddr)>,
    },
    /// A header, but no valid one, or one too long.
    Refused,
    /// May become a header.
    Incomplete,
    /// No header.
    Other,
}

/// What a client makes of an endpoint's bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Of the final response.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// Without the marks of chunks.
    pub body: Vec<u8>,
    /// Those that may be any.
    pub trailers: HeaderMap,
}
