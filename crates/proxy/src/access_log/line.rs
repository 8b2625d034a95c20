use std::time::Duration;

use fairway_model::{HostPattern, RuleId};
use fairway_router::UpstreamKey;
use http::{HeaderValue, Method, Uri, Version};

use crate::record::Attempt;
use crate::tls::Cipher;

/// What a line tells.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: &'a [u8],
    /// None where none could be made out.
    pub(crate) request: Option<Request<'a>>,
    /// The name of a connection that is passed through.
    pub(crate) name: Option<&'a [u8]>,
    /// Those that the format wants, in its order.
    pub(crate) request_headers: &'a [Option<HeaderValue>],
    pub(crate) response_headers: &'a [Option<HeaderValue>],
    /// Of the connection; None in clear text.
    pub(crate) cipher: Option<Cipher>,
    pub(crate) secure: bool,
    pub(crate) status: u16,
    /// Of the request's head, where the format wants it.
    pub(crate) request_head: u64,
    /// Of the request's body.
    pub(crate) received: u64,
    /// Of the response's head, where the format wants it.
    pub(crate) response_head: u64,
    /// Of the response's body.
    pub(crate) sent: u64,
    pub(crate) duration: Duration,
    pub(crate) route: Option<Route<'a>>,
    pub(crate) attempts: &'a [Attempt],
    pub(crate) request_id: Option<&'a [u8]>,
    /// As hexadecimal digits.
    pub(crate) trace_id: Option<&'a [u8]>,
    pub(crate) span_id: Option<&'a [u8]>,
    pub(crate) reason: Option<&'static str>,
}

/// The request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
}

/// Where a request went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) id: &'a RuleId,
    pub(crate) host: &'a HostPattern,
    pub(crate) path: &'a str,
    pub(crate) upstream: Option<&'a UpstreamKey>,
    /// The same as part of a JSON line, from [`json_route`](super::json_route).
    pub(crate) json: &'a [u8],
}

impl Request<'_> {
    /// Path and query, as sent.
    pub(super) fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("", |target| target.as_str())
    }

    pub(super) fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_09 => "HTTP/0.9",
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }
}
