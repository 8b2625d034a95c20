//! What an operator sets for routes, over what the objects that declare them ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{HostPattern, HostRoutes, ObjectName, PathMatch, Rule, SecretRef};

mod apply;
mod resilience;
mod settings;
mod tls;
mod upstream;

pub use resilience::{EjectionSettings, LimitSettings, RetrySettings};
pub use settings::{BackendShare, RequestSettings, RouteConditions, RouteSettings};
pub use tls::TlsSettings;
pub use upstream::{UpstreamAuthorities, UpstreamSettings};

/// One piece of what is set, and for which routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePolicy {
    /// The routes.
    pub selector: RouteSelector,
    /// Only for some requests. A policy with conditions adds a variant of each of its routes, which gets
    /// everything that is set for the route, too.
    pub conditions: RouteConditions,
    /// What is set for them. What is left open stays as a less specific policy has it.
    pub settings: RouteSettings,
}

/// Which routes; what is absent selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSelector {
    /// Those of one Ingress.
    pub ingress: Option<ObjectName>,
    /// Those of one host, or of all hosts that a wildcard covers and the wildcard itself.
    pub host: Option<HostPattern>,
    /// Those whose path begins with these elements; a regular expression is selected by its text.
    pub path: Option<Arc<str>>,
}

/// All policies. A clone is a reference count.
#[derive(Clone, Debug, Default)]
pub struct RoutePolicies(Arc<Ordered>);

/// In the order in which they take effect: the later one wins, field by field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ordered {
    policies: Vec<RoutePolicy>,
    /// Those that name no Ingress.
    general: Vec<usize>,
    by_ingress: BTreeMap<ObjectName, Vec<usize>>,
}

impl RoutePolicies {
    /// Of two that set the same the more specific one wins, and of equals the later one.
    pub fn new(mut policies: Vec<RoutePolicy>) -> Self {
        policies.sort_by_key(|policy| policy.selector.specificity());
        let mut ordered = Ordered::default();
        for (at, policy) in policies.iter().enumerate() {
            match &policy.selector.ingress {
                None => ordered.general.push(at),
                Some(name) => ordered.by_ingress.entry(name.clone()).or_default().push(at),
            }
        }
        ordered.policies = policies;
        Self(Arc::new(ordered))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.policies.is_empty()
    }

    /// The policies for a rule of a host, in the order in which they take effect.
    fn of(&self, host: &HostPattern, rule: &Rule) -> Vec<&RoutePolicy> {
        let own = self.0.by_ingress.get(&rule.id.object.name);
        let own = own.filter(|_| rule.id.object.kind == "Ingress");
        let all = (self.0.general.iter()).chain(own.into_iter().flatten());
        all.map(|at| &self.0.policies[*at])
            .filter(|policy| policy.selector.selects(host, &rule.matches.path))
            .collect()
    }

    /// Sets what the policies say for the routes of a host, and for its TLS. `authorities` gives the
    /// certificates (PEM) of a Secret; where it has none, upstreams that are to be verified by them are
    /// not spoken to.
    pub fn apply(
        &self,
        host: &HostPattern,
        routes: &mut HostRoutes,
        authorities: &mut dyn FnMut(&SecretRef) -> Option<Arc<str>>,
    ) {
        if !self.is_empty() {
            apply::apply(self, host, routes, authorities);
        }
    }
}

impl PartialEq for RoutePolicies {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for RoutePolicies {}

impl RouteSelector {
    /// An Ingress says more than a host, a host more than a path, and the longer path more.
    fn specificity(&self) -> (bool, u8, usize) {
        let host = match self.host {
            None | Some(HostPattern::Any) => 0,
            Some(HostPattern::Wildcard { .. }) => 1,
            Some(HostPattern::Exact(_)) => 2,
        };
        let path = self.path.as_deref().map_or(0, str::len);
        (self.ingress.is_some(), host, path)
    }

    /// Whether it selects a route of its Ingress.
    fn selects(&self, host: &HostPattern, path: &PathMatch) -> bool {
        self.selects_host(host) && self.selects_path(path)
    }

    fn selects_host(&self, host: &HostPattern) -> bool {
        let wanted = self.host.as_ref();
        wanted.is_none_or(|wanted| wanted == host || wanted.covers(host))
    }

    fn selects_path(&self, path: &PathMatch) -> bool {
        let Some(wanted) = self.path.as_deref() else {
            return true;
        };
        let wanted = wanted.trim_end_matches('/');
        match path {
            PathMatch::Exact(path) | PathMatch::Prefix(path) => path
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PathMatch::Regex(pattern) => wanted.is_empty() || **pattern == *wanted,
        }
    }
}

#[cfg(test)]
mod tests;
