use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a request was not answered by an upstream, as data: whose fault it is and what may be done
/// about it are fields, so status, log and metrics follow from it.
#[derive(Debug)]
pub(crate) struct ProxyError {
    pub(crate) kind: Kind,
    pub(crate) side: Side,
    pub(crate) retry: Retry,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

/// Who would have to change something for the request to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Client,
    /// The endpoint or the network to it.
    Upstream,
    /// Whoever writes the cluster's objects.
    Configuration,
}

/// Whether another attempt is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Never.
    No,
    /// Nothing of the request has left: any method, on another endpoint.
    OtherEndpoint,
    /// The connection broke and nothing had come back: for replayable requests.
    Broken,
    /// Nothing came back in time: for replayable requests whose route asks for that.
    IfAsked,
    /// The endpoint says that it has done nothing with the request: any method.
    Unprocessed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The request did not pass the gate.
    Rejected(Rejection),
    /// No route.
    NoRoute,
    /// The route's Service does not exist.
    NoService,
    /// The Service has no such port.
    NoPort,
    /// The Service has no usable endpoint.
    NoEndpoints,
    /// The Service is an alias of a host without an address that may be asked.
    UnresolvedHost,
    /// The route's TLS policy towards its upstream cannot be used.
    InvalidTls,
    /// There are too many requests under way.
    Overloaded,
    /// So much memory is in use that no more work is taken on.
    OutOfMemory,
    /// The upstream has as many requests under way as it may, and nothing changed about that in time.
    UpstreamFull,
    /// No connection: refused, unreachable.
    ConnectFailed,
    /// No connection in time.
    ConnectTimeout,
    /// The connection broke before an answer.
    UpstreamClosed,
    /// The answer is not HTTP, or could be read in two ways.
    InvalidResponse,
    /// The upstream was silent for too long.
    ReadTimeout,
    /// The upstream accepted nothing for too long.
    WriteTimeout,
    /// The client stopped sending its body.
    BodyTimeout,
    /// The client's body was cut off or malformed.
    InvalidBody,
    /// The client's body is larger than the route allows.
    BodyTooLarge,
}

/// Why the gate refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rejection {
    Syntax,
    HeadTooLarge,
    HeadTimeout,
    TargetTooLong,
    Target,
    Path,
    Method,
    MethodNotAllowed,
    MissingHost,
    RepeatedHost,
    InvalidHost,
    HostMismatch,
    ContentLength,
    TransferEncoding,
    LengthAndEncoding,
    UpgradeWithBody,
    EarlyBytes,
    Misdirected,
}

impl Rejection {
    pub(crate) const ALL: [Self; 18] = [
        Self::Syntax,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::TargetTooLong,
        Self::Target,
        Self::Path,
        Self::Method,
        Self::MethodNotAllowed,
        Self::MissingHost,
        Self::RepeatedHost,
        Self::InvalidHost,
        Self::HostMismatch,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::LengthAndEncoding,
        Self::UpgradeWithBody,
        Self::EarlyBytes,
        Self::Misdirected,
    ];

    /// Its name in the access log and in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::TargetTooLong => "target_too_long",
            Self::Target => "target",
            Self::Path => "path",
            Self::Method => "method",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MissingHost => "missing_host",
            Self::RepeatedHost => "repeated_host",
            Self::InvalidHost => "invalid_host",
            Self::HostMismatch => "host_mismatch",
            Self::ContentLength => "content_length",
            Self::TransferEncoding => "transfer_encoding",
            Self::LengthAndEncoding => "length_and_encoding",
            Self::UpgradeWithBody => "upgrade_with_body",
            Self::EarlyBytes => "early_bytes",
            Self::Misdirected => "misdirected",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl ProxyError {
    pub(crate) fn new(kind: Kind) -> Self {
        let (side, retry) = match kind {
            Kind::Rejected(_)
            | Kind::NoRoute
            | Kind::Overloaded
            | Kind::OutOfMemory
            | Kind::BodyTimeout
            | Kind::InvalidBody
            | Kind::BodyTooLarge => (Side::Client, Retry::No),
            Kind::NoService | Kind::NoPort | Kind::UnresolvedHost | Kind::InvalidTls => {
                (Side::Configuration, Retry::No)
            }
            Kind::ConnectFailed | Kind::ConnectTimeout => (Side::Upstream, Retry::OtherEndpoint),
            Kind::UpstreamClosed => (Side::Upstream, Retry::Broken),
            Kind::ReadTimeout => (Side::Upstream, Retry::IfAsked),
            Kind::NoEndpoints | Kind::UpstreamFull | Kind::InvalidResponse | Kind::WriteTimeout => {
                (Side::Upstream, Retry::No)
            }
        };
        Self {
            kind,
            side,
            retry,
            source: None,
        }
    }

    pub(crate) fn because(kind: Kind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(kind)
        }
    }

    /// The same, when it is known that another attempt is not safe.
    pub(crate) fn final_(mut self) -> Self {
        self.retry = Retry::No;
        self
    }
}

impl Kind {
    /// Its name in the access log.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.label(),
            Self::NoRoute => "no_route",
            Self::NoService => "no_service",
            Self::NoPort => "no_service_port",
            Self::NoEndpoints => "no_endpoints",
            Self::UnresolvedHost => "unresolved_host",
            Self::InvalidTls => "invalid_upstream_tls",
            Self::Overloaded => "overloaded",
            Self::OutOfMemory => "out_of_memory",
            Self::UpstreamFull => "upstream_full",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::UpstreamClosed => "upstream_closed",
            Self::InvalidResponse => "invalid_response",
            Self::ReadTimeout => "read_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::InvalidBody => "invalid_body",
            Self::BodyTooLarge => "body_too_large",
        }
    }
}

impl From<Rejection> for ProxyError {
    fn from(rejection: Rejection) -> Self {
        Self::new(Kind::Rejected(rejection))
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.label())
    }
}

impl Error for ProxyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
