//! The routing model: what the cluster asks for, in pure types.
//!
//! ```text
//! Service + EndpointSlice -> Service -> ServicePort -> Endpoint      what nf_tables is programmed from
//! Ingress + IngressClass  -> RouteTable -> HostRoutes -> Rule        what requests are routed by
//! Node                    -> Node                                    what is "local"
//!                            \________ Snapshot ________/
//! ```
//!
//! Nothing here does I/O or knows Kubernetes' wire types. Values are parsed once, at the edge, and
//! are valid from then on: a port is never 0, a host never upper-case.

mod claim;
mod endpoint;
mod name;
mod node;
mod policy;
mod route;
mod service;
mod snapshot;
mod stable_hash;
mod topology;
mod weights;

pub use claim::{ClassStanding, IngressClaim};
pub use endpoint::{Conditions, Endpoint, Hints};
pub use name::{ObjectName, ObjectRef};
pub use node::Node;
pub use policy::{
    BackendShare, EjectionSettings, LimitSettings, RequestSettings, RetrySettings, RouteConditions,
    RoutePolicies, RoutePolicy, RouteSelector, RouteSettings, TlsSettings, UpstreamAuthorities,
    UpstreamSettings,
};
pub use route::{
    Action, Backend, BackendPort, CertificateChoice, ClientAuthPolicy, EjectionPolicy, Filter,
    HashKey, HostPattern, HostRoutes, LoadBalancing, MatchedPaths, NameMatch, PathMatch,
    PathRewrite, Redirect, RequestMatch, RequestPolicy, RetryBudget, RetryPolicy, RouteTable, Rule,
    RuleId, SecretRef, TextMatch, TlsHandling, TlsPolicy, UpstreamLimits, UpstreamPolicy,
    UpstreamProtocol, UpstreamTls, WildcardSpan,
};
pub use service::{
    Affinity, Balance, Port, Protocol, Service, ServiceKind, ServicePort, TrafficPolicy,
};
pub use snapshot::{Changes, ServiceMap, Snapshot, Trigger, Update};
pub use stable_hash::stable_hash;
pub use topology::preferred;
pub use weights::{Weight, Weighted, Weights};
