use std::collections::HashMap;

use fairway_model::{Action, HostPattern, HostRoutes, PathMatch, Rule, Snapshot};
use serde::Serialize;

use super::RouteTraffic;
use super::overview::TrafficItem;
use super::query::Query;

/// A rule of a host.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    host: String,
    path: String,
    matches: &'static str,
    /// What else a request has to have.
    conditions: usize,
    object: String,
    field: String,
    /// Where requests go.
    to: Vec<String>,
    tls: bool,
    /// None where there were no requests.
    traffic: Option<TrafficItem>,
}

/// A rule, where it stands.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    host: &'a HostPattern,
    routes: &'a HostRoutes,
    rule: &'a Rule,
    is_default: bool,
}

/// Requests, by what rules have in common with them.
pub(super) struct Traffic(HashMap<String, RouteTraffic>);

impl Traffic {
    /// Adds up what went to the backends of each.
    pub(super) fn new(traffic: &[RouteTraffic]) -> Self {
        let mut routes: HashMap<_, RouteTraffic> = HashMap::new();
        for route in traffic {
            let ingress = &route.ingress;
            let key = key(&route.host, &route.path, &ingress.namespace, &ingress.name);
            routes.entry(key).or_default().add(route);
        }
        Self(routes)
    }

    fn of(&self, host: &str, rule: &Rule) -> Option<&RouteTraffic> {
        let name = &rule.id.object.name;
        let path = rule.matches.path.as_str();
        self.0.get(&key(host, path, &name.namespace, &name.name))
    }
}

/// None of the parts has spaces, except a path, which stands last.
fn key(host: &str, path: &str, namespace: &str, name: &str) -> String {
    format!("{host} {namespace} {name} {path}")
}

pub(super) fn found<'a>(
    snapshot: &'a Snapshot,
    query: &'a Query,
) -> impl Iterator<Item = Found<'a>> {
    let rules = snapshot.routes.hosts.iter().flat_map(|(host, routes)| {
        let rules = routes.rules.iter().map(|rule| (rule, false));
        let default = routes.default.iter().map(|rule| (rule, true));
        rules.chain(default).map(|(rule, is_default)| Found {
            host,
            routes,
            rule,
            is_default,
        })
    });
    rules.filter(|found| found.matches(query))
}

impl Found<'_> {
    fn matches(&self, query: &Query) -> bool {
        let name = &self.rule.id.object.name;
        let host = match self.host {
            HostPattern::Exact(host) => host,
            HostPattern::Wildcard { suffix, .. } => suffix,
            HostPattern::Any => "*",
        };
        query.finds([
            host,
            self.rule.matches.path.as_str(),
            &name.namespace,
            &name.name,
        ]) || self.backends(query)
    }

    fn backends(&self, query: &Query) -> bool {
        match &self.rule.action {
            Action::Forward(backends) => {
                query.finds(backends.iter().map(|backend| &*backend.service.name))
            }
            Action::Redirect(_) | Action::Respond(_) => false,
        }
    }
}

impl Item {
    pub(super) fn new(found: Found<'_>, traffic: &Traffic) -> Self {
        let rule = found.rule;
        let host = found.host.to_string();
        let traffic = traffic.of(&host, rule);
        Self {
            path: rule.matches.path.as_str().to_string(),
            matches: match &rule.matches.path {
                _ if found.is_default => "whatever else",
                PathMatch::Exact(_) => "exactly",
                PathMatch::Prefix(_) => "prefix",
                PathMatch::Regex(_) => "expression",
            },
            conditions: rule.matches.headers.len()
                + rule.matches.query.len()
                + usize::from(rule.matches.method.is_some()),
            object: rule.id.object.to_string(),
            field: rule.id.field.to_string(),
            to: targets(&rule.action),
            tls: found.routes.tls.is_some(),
            traffic: traffic.map(TrafficItem::new),
            host,
        }
    }
}

fn targets(action: &Action) -> Vec<String> {
    match action {
        Action::Forward(backends) => {
            let share = backends.len() > 1;
            let backends = backends.iter().map(|backend| {
                let weight = match share {
                    true => format!(", weight {}", backend.weight),
                    false => String::new(),
                };
                format!("{}:{}{weight}", backend.service, backend.port)
            });
            backends.collect()
        }
        Action::Redirect(redirect) => vec![format!("redirect {}", redirect.status)],
        Action::Respond(status) => vec![format!("answer {status}")],
    }
}
