//! Policies into the routes of one host.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{BackendShare, RoutePolicies, RoutePolicy, TlsSettings};
use crate::{
    Action, Backend, Filter, HostPattern, HostRoutes, PathMatch, RequestPolicy, Rule, SecretRef,
    UpstreamPolicy,
};

type Authorities<'a> = &'a mut dyn FnMut(&SecretRef) -> Option<Arc<str>>;

pub(super) fn apply(
    policies: &RoutePolicies,
    host: &HostPattern,
    routes: &mut HostRoutes,
    authorities: Authorities<'_>,
) {
    tls_settings(policies, host, routes).apply(&mut routes.tls);
    let mut rules = Vec::with_capacity(routes.rules.len());
    for rule in std::mem::take(&mut routes.rules) {
        govern(policies, host, rule, authorities, &mut rules);
    }
    if let Some(default) = routes.default.take() {
        let mut governed = Vec::new();
        govern(policies, host, default, authorities, &mut governed);
        routes.default = governed.pop();
        // It is asked last, so its variants count only where no rule takes every path.
        let takes_all =
            |rule: &Rule| matches!(&rule.matches.path, PathMatch::Prefix(path) if **path == *"/");
        if !rules.iter().any(takes_all) {
            rules.append(&mut governed);
        }
    }
    routes.rules = rules;
}

/// What is set of a host's TLS, for the host or for any of its Ingresses.
fn tls_settings(policies: &RoutePolicies, host: &HostPattern, routes: &HostRoutes) -> TlsSettings {
    let rules = routes.rules.iter().chain(&routes.default);
    let own = rules
        .filter(|rule| rule.id.object.kind == "Ingress")
        .filter_map(|rule| policies.0.by_ingress.get(&rule.id.object.name));
    let selected: BTreeSet<usize> = own
        .chain([&policies.0.general])
        .flatten()
        .copied()
        .collect();
    let mut settings = TlsSettings::default();
    for at in selected {
        let policy = &policies.0.policies[at];
        if policy.selector.selects_host(host) {
            settings.overlay(&policy.settings.tls);
        }
    }
    settings
}

/// Adds the variants of a rule and, last, the rule. Among equally narrow variants the more specific
/// policy's, and then the later one's, is asked first.
fn govern(
    policies: &RoutePolicies,
    host: &HostPattern,
    rule: Rule,
    authorities: Authorities<'_>,
    governed: &mut Vec<Rule>,
) {
    let selected = policies.of(host, &rule).into_iter();
    let (base, variants): (Vec<_>, Vec<_>) =
        selected.partition(|policy| policy.conditions.is_empty());
    for variant in variants.into_iter().rev() {
        let mut rule = rule.clone();
        variant.conditions.narrow(&mut rule.matches);
        let all: Vec<_> = base.iter().copied().chain([variant]).collect();
        set(&mut rule, &all, authorities);
        governed.push(rule);
    }
    let mut rule = rule;
    set(&mut rule, &base, authorities);
    governed.push(rule);
}

/// Sets what the policies say, each over the ones before it.
fn set(rule: &mut Rule, policies: &[&RoutePolicy], authorities: Authorities<'_>) {
    let mut upstream = UpstreamPolicy::clone(&rule.policy);
    let mut requests = RequestPolicy::clone(&rule.requests);
    let (mut backends, mut redirect, mut rewrite) = (None, None, None);
    for RoutePolicy { settings, .. } in policies {
        settings.upstream.apply(&mut upstream, authorities);
        settings.requests.apply(&mut requests);
        rule.filters.extend(settings.headers.iter().cloned());
        backends = settings.backends.as_ref().or(backends);
        redirect = settings.redirect.as_ref().or(redirect);
        rewrite = settings.rewrite.as_ref().or(rewrite);
    }
    // What nobody changes stays shared.
    if upstream != *rule.policy {
        rule.policy = Arc::new(upstream);
    }
    if requests != *rule.requests {
        rule.requests = Arc::new(requests);
    }
    let rewrite = rewrite.cloned().map(Filter::RewritePath);
    rule.filters.extend(rewrite);
    if let Some(redirect) = redirect {
        rule.action = Action::Redirect(redirect.clone());
    } else if let Some(shares) = backends {
        share(rule, shares);
    }
}

/// Shares the requests of a rule. One that forwards to nobody has no backend that could have a share,
/// and no port that others could follow.
fn share(rule: &mut Rule, shares: &[BackendShare]) {
    let Action::Forward(backends) = &mut rule.action else {
        return;
    };
    let Some(own) = backends.first().cloned() else {
        return;
    };
    *backends = shares
        .iter()
        .map(|share| {
            let mut backend = Backend {
                weight: share.weight,
                ..own.clone()
            };
            if let Some(service) = &share.service {
                backend.service.name = service.clone();
            }
            if let Some(port) = &share.port {
                backend.port = port.clone();
            }
            backend
        })
        .collect();
}
