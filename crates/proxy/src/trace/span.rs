use std::net::SocketAddr;
use std::time::SystemTime;

/// A request that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of the trace.
    pub trace_id: [u8; 16],
    /// Of this span.
    pub span_id: [u8; 8],
    /// Of the client's span, where it told one.
    pub parent_id: Option<[u8; 8]>,
    /// When the head of the request was there.
    pub start: SystemTime,
    /// When the last byte of the response was handed over.
    pub end: SystemTime,
    /// None where no request could be made out.
    pub method: Option<String>,
    /// Whether the client speaks TLS with us.
    pub secure: bool,
    /// As sent.
    pub host: Option<String>,
    /// Without the query.
    pub path: Option<String>,
    /// 10, 11 or 20.
    pub protocol: Option<&'static str>,
    /// The client's address.
    pub client: String,
    /// As the client calls itself.
    pub user_agent: Option<String>,
    /// What the access log calls the request.
    pub request_id: Option<String>,
    /// That was sent.
    pub status: u16,
    /// Why it was not an endpoint's answer, as in the access log.
    pub reason: Option<&'static str>,
    /// Where the request went.
    pub route: Option<SpanRoute>,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the response's body.
    pub sent: u64,
    /// The endpoint that was asked last.
    pub endpoint: Option<SocketAddr>,
    /// Endpoints that were asked.
    pub tries: u8,
}

/// The route of a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRoute {
    /// The path of the rule, as declared.
    pub path: String,
    /// Of the Ingress.
    pub namespace: String,
    /// Of the Ingress.
    pub ingress: String,
    /// Of the backend; None where a rule answers by itself.
    pub service: Option<String>,
}
