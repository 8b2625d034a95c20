use std::sync::Arc;

/// How the endpoint of a request is chosen. Weights of endpoints count in every way of choosing, and
/// endpoints that topology hints prefer are asked before all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadBalancing {
    /// In turn, as nginx does: even where requests cost the same.
    #[default]
    RoundRobin,
    /// The one with fewer requests under way, of two that are drawn.
    LeastRequests,
    /// The one that would answer sooner, of two that are drawn: by the time its answers took, the worst
    /// of late counting most, and by its requests under way (peak EWMA).
    PeakEwma,
    /// The one that belongs to a property of the request. Requests without the property go in turn.
    ConsistentHash(HashKey),
}

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The value of a header, its name in lower case.
    Header(Arc<str>),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The client's address, as far as it is known.
    SourceAddress,
    /// Path and query.
    Uri,
}
