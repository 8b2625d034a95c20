//! Small clusters for tests. A route is told by the field of its rule's id, which tests choose.

use std::sync::Arc;

use fairway_model::{
    Action, Backend, BackendPort, Changes, Conditions, Endpoint, HostPattern, HostRoutes,
    ObjectName, ObjectRef, PathMatch, Port, Protocol, RequestMatch, Rule, RuleId, Service,
    ServicePort, Snapshot, WildcardSpan,
};

use crate::{Builder, Host, Index, Path, Request, Route};

pub(crate) fn exact_host(host: &str) -> HostPattern {
    HostPattern::Exact(host.into())
}

pub(crate) fn wildcard(suffix: &str, span: WildcardSpan) -> HostPattern {
    HostPattern::Wildcard {
        suffix: suffix.into(),
        span,
    }
}

pub(crate) fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.into())
}

pub(crate) fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.into())
}

pub(crate) fn regex(pattern: &str) -> PathMatch {
    PathMatch::Regex(pattern.into())
}

pub(crate) fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(crate) fn backend(service: &str, number: u16) -> Backend {
    Backend {
        service: name(service),
        port: BackendPort::Number(port(number)),
        weight: 1,
    }
}

/// A rule that forwards to port 80 of the Service named `label`.
pub(crate) fn rule(path: PathMatch, label: &str) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: name("web"),
        },
        field: label.into(),
    };
    Rule::new(
        id,
        RequestMatch::path(path),
        Action::Forward(vec![backend(label, 80)]),
    )
}

pub(crate) fn routes(rules: impl IntoIterator<Item = Rule>) -> HostRoutes {
    HostRoutes {
        rules: rules.into_iter().collect(),
        default: None,
        tls: None,
    }
}

pub(crate) fn snapshot(hosts: impl IntoIterator<Item = (HostPattern, HostRoutes)>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (host, routes) in hosts {
        snapshot.routes.hosts.insert_mut(host, Arc::new(routes));
    }
    snapshot
}

pub(crate) fn build(hosts: impl IntoIterator<Item = (HostPattern, HostRoutes)>) -> Arc<Index> {
    let snapshot = snapshot(hosts);
    Builder::new().apply(&snapshot, &Changes::everything(&snapshot))
}

/// An index with one host-less entry.
pub(crate) fn build_paths(rules: impl IntoIterator<Item = Rule>) -> Arc<Index> {
    build([(HostPattern::Any, routes(rules))])
}

pub(crate) fn label(route: &Route) -> &str {
    &route.id.field
}

/// The label of the route for a request; `host` and `path` as a client sends them.
pub(crate) fn find<'a>(index: &'a Index, method: &str, host: &str, path: &str) -> Option<&'a str> {
    let request = Request {
        host: &Host::parse(host.as_bytes()).unwrap(),
        path: &Path::parse(path).unwrap(),
        method,
    };
    index.find(request).map(label)
}

pub(crate) fn get<'a>(index: &'a Index, host: &str, path: &str) -> Option<&'a str> {
    find(index, "GET", host, path)
}

/// A Service with one TCP port 80 called `http`.
pub(crate) fn service(
    service: &str,
    endpoints: impl IntoIterator<Item = (&'static str, Conditions)>,
) -> Service {
    Service {
        ports: vec![service_port("http", 80, Protocol::Tcp, endpoints)],
        ..Service::new(name(service))
    }
}

pub(crate) fn service_port(
    name: &str,
    number: u16,
    protocol: Protocol,
    endpoints: impl IntoIterator<Item = (&'static str, Conditions)>,
) -> ServicePort {
    let endpoints = endpoints.into_iter().map(|(address, conditions)| {
        let address: std::net::SocketAddr = address.parse().unwrap();
        Endpoint {
            address: address.ip(),
            port: port(address.port()),
            conditions,
            node: None,
            zone: None,
            hints: None,
        }
    });
    ServicePort {
        name: name.into(),
        endpoints: endpoints.collect(),
        ..ServicePort::new(protocol, port(number))
    }
}
