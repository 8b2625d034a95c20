use std::sync::Arc;

use super::{TlsSettings, UpstreamSettings};
use crate::{BackendPort, Filter, NameMatch, PathRewrite, Redirect, RequestMatch, RequestPolicy};

/// What can be set for a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSettings {
    /// How its upstream is spoken to.
    pub upstream: UpstreamSettings,
    /// Who answers, in place of the route's own backend.
    pub backends: Option<Vec<BackendShare>>,
    /// A redirect in place of an answer.
    pub redirect: Option<Redirect>,
    /// Changes to headers; those of all policies apply, one after the other.
    pub headers: Vec<Filter>,
    /// Another path for the upstream.
    pub rewrite: Option<PathRewrite>,
    /// What requests may be.
    pub requests: RequestSettings,
    /// TLS with clients; of whole hosts, so without a path and without conditions.
    pub tls: TlsSettings,
}

/// Conditions on a request besides its host and path; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConditions {
    /// The method, upper-case.
    pub method: Option<Arc<str>>,
    /// Request headers, names lower-case.
    pub headers: Vec<NameMatch>,
    /// Query parameters.
    pub query: Vec<NameMatch>,
}

/// A share of the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendShare {
    /// A Service of the route's namespace; absent is the route's own.
    pub service: Option<Arc<str>>,
    /// Its port; absent is that of the route's own backend.
    pub port: Option<BackendPort>,
    /// Relative to the others; 0 gets nothing.
    pub weight: u32,
}

/// What can be set of requests; see [`RequestPolicy`] for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSettings {
    /// Whether clear-text requests are sent to https.
    pub https: Option<bool>,
    /// Most bytes of a body.
    pub max_body: Option<u64>,
    /// Protocols that a client may switch to, lower-case.
    pub upgrades: Option<Arc<[Arc<str>]>>,
}

impl RouteConditions {
    /// Whether every request fulfils them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn narrow(&self, matches: &mut RequestMatch) {
        let Self {
            method,
            headers,
            query,
        } = self;
        matches.method = method.clone().or_else(|| matches.method.take());
        matches.headers.extend(headers.iter().cloned());
        matches.query.extend(query.iter().cloned());
    }
}

impl RequestSettings {
    pub(super) fn apply(&self, policy: &mut RequestPolicy) {
        let Self {
            https,
            max_body,
            upgrades,
        } = self;
        policy.https = https.or(policy.https);
        policy.max_body = max_body.unwrap_or(policy.max_body);
        if let Some(upgrades) = upgrades {
            policy.upgrades = upgrades.clone();
        }
    }
}
