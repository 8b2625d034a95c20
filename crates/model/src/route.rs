use std::fmt;
use std::sync::Arc;

use crate::ObjectRef;

mod action;
mod balancing;
mod filter;
mod matches;
mod requests;
mod resilience;
mod tls;
mod upstream;

pub use action::{Action, Backend, BackendPort, Redirect};
pub use balancing::{HashKey, LoadBalancing};
pub use filter::{Filter, PathRewrite};
pub use matches::{MatchedPaths, NameMatch, PathMatch, RequestMatch, TextMatch};
pub use requests::RequestPolicy;
pub use resilience::{EjectionPolicy, RetryBudget, RetryPolicy, UpstreamLimits};
pub use tls::{CertificateChoice, ClientAuthPolicy, SecretRef, TlsHandling, TlsPolicy};
pub use upstream::{UpstreamPolicy, UpstreamProtocol, UpstreamTls};

/// All routes of the ingress listeners: Ingress today, the HTTP part of Gateway API on the same types.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// Routes by host. A request uses exactly one entry: exact before wildcard before any.
    pub hosts: rpds::RedBlackTreeMapSync<HostPattern, Arc<HostRoutes>>,
}

/// Which hosts an entry is for. The order is by specificity and then by text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this host: lower-case, without a trailing dot or port.
    Exact(Arc<str>),
    /// `*.` before this suffix (stored without `*.`).
    Wildcard {
        /// What follows the wildcard's dot.
        suffix: Arc<str>,
        /// How much the wildcard stands for.
        span: WildcardSpan,
    },
    /// Every host that nothing more specific matches.
    Any,
}

impl HostPattern {
    /// Whether every host of the other entry is one of this one, and not the other way round.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, other) => *other != Self::Any,
            (Self::Wildcard { suffix, span }, Self::Exact(host)) => {
                let labels = host.strip_suffix(&**suffix);
                let labels = labels.and_then(|labels| labels.strip_suffix('.'));
                labels.is_some_and(|labels| match span {
                    WildcardSpan::OneLabel => !labels.is_empty() && !labels.contains('.'),
                    WildcardSpan::OneOrMoreLabels => !labels.is_empty(),
                })
            }
            _ => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard { suffix, .. } => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// How many labels a `*` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WildcardSpan {
    /// One, as in Ingress.
    OneLabel,
    /// One or more, as in Gateway API.
    OneOrMoreLabels,
}

/// The routes of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRoutes {
    /// In the order in which equals win: oldest object first, then name, then position.
    pub rules: Vec<Rule>,
    /// Answers what no rule matches; without it the router answers 404.
    pub default: Option<Rule>,
    /// How TLS is served for the host; absent where no object asks for TLS.
    pub tls: Option<Arc<TlsPolicy>>,
}

/// One match and what to do with the requests it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it was declared.
    pub id: RuleId,
    /// Which requests it is for.
    pub matches: RequestMatch,
    /// Applied in order before the action.
    pub filters: Vec<Filter>,
    /// What answers the request.
    pub action: Action,
    /// How the upstream is spoken to.
    pub policy: Arc<UpstreamPolicy>,
    /// What requests may be.
    pub requests: Arc<RequestPolicy>,
}

impl Rule {
    /// A rule without filters and with the default policies.
    pub fn new(id: RuleId, matches: RequestMatch, action: Action) -> Self {
        Self {
            id,
            matches,
            filters: Vec::new(),
            action,
            policy: Arc::default(),
            requests: Arc::default(),
        }
    }
}

/// Names a rule for people, logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The object that declares it.
    pub object: ObjectRef,
    /// The field, for example `spec.rules[0].http.paths[1]`.
    pub field: Arc<str>,
}
