//! A model of a cluster, as small as a test needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::{
    Action, Backend, BackendPort, Changes, Conditions, Endpoint, Filter, Hints, HostPattern,
    HostRoutes, Node, ObjectName, ObjectRef, PathMatch, Port, Protocol, RequestMatch,
    RequestPolicy, Rule, RuleId, Service, ServicePort, Snapshot, UpstreamPolicy, WildcardSpan,
};
use fairway_router::{Builder, Index};

/// Services and routes of namespace `shop`, Ingress `front`.
#[derive(Default)]
pub(crate) struct Cluster {
    builder: Builder,
    services: BTreeMap<String, Vec<SocketAddr>>,
    rules: BTreeMap<HostPattern, Vec<Rule>>,
    pub(crate) policy: UpstreamPolicy,
    pub(crate) requests: RequestPolicy,
    /// Endpoints that topology hints mean for clients elsewhere.
    pub(crate) far: BTreeSet<SocketAddr>,
    pub(crate) filters: Vec<Filter>,
}

impl Cluster {
    /// Adds or replaces a Service with one port, 80, called `http`.
    pub(crate) fn service(&mut self, name: &str, endpoints: &[SocketAddr]) {
        let mut endpoints = endpoints.to_vec();
        endpoints.sort_unstable();
        self.services.insert(name.to_owned(), endpoints);
    }

    /// Routes a host (`*.suffix` is a wildcard, None is every host) and path prefix to port 80 of a Service.
    pub(crate) fn route(&mut self, host: Option<&str>, path: &str, service: &str) {
        let path = PathMatch::Prefix(path.into());
        self.rule(host, path, &[(service, 1)]);
    }

    /// As [`Cluster::route`], with any path match and several backends by weight.
    pub(crate) fn rule(&mut self, host: Option<&str>, path: PathMatch, backends: &[(&str, u32)]) {
        let backends = backends.iter().map(|(service, weight)| Backend {
            service: ObjectName::new("shop", *service),
            port: BackendPort::Number(port(80)),
            weight: *weight,
        });
        self.action(host, path, Action::Forward(backends.collect()));
    }

    /// As [`Cluster::route`], with any action.
    pub(crate) fn action(&mut self, host: Option<&str>, path: PathMatch, action: Action) {
        let rules = self.rules.entry(pattern(host)).or_default();
        rules.push(Rule {
            id: RuleId {
                object: ObjectRef {
                    kind: "Ingress",
                    name: ObjectName::new("shop", "front"),
                },
                field: format!("spec.rules[0].http.paths[{}]", rules.len()).into(),
            },
            matches: RequestMatch::path(path),
            filters: self.filters.clone(),
            action,
            policy: Arc::new(self.policy.clone()),
            requests: Arc::new(self.requests.clone()),
        });
    }

    /// Narrows the rule added last for a host.
    pub(crate) fn narrow(&mut self, host: Option<&str>, change: impl FnOnce(&mut RequestMatch)) {
        let rules = self
            .rules
            .get_mut(&pattern(host))
            .expect("the host has a rule");
        change(&mut rules.last_mut().expect("a host has rules").matches);
    }

    /// What the workers route by. Endpoint changes reach an index that is in use at once.
    pub(crate) fn index(&mut self) -> Arc<Index> {
        let mut snapshot = Snapshot {
            node: Arc::new(Node {
                zone: Some("here".into()),
                ..Node::default()
            }),
            ..Snapshot::default()
        };
        for (name, endpoints) in &self.services {
            let service = service(name, endpoints, &self.far);
            snapshot
                .services
                .insert_mut(service.name.clone(), Arc::new(service));
        }
        for (host, rules) in &self.rules {
            let routes = HostRoutes {
                rules: rules.clone(),
                default: None,
                tls: None,
            };
            snapshot
                .routes
                .hosts
                .insert_mut(host.clone(), Arc::new(routes));
        }
        let changes = Changes::everything(&snapshot);
        self.builder.apply(&snapshot, &changes)
    }
}

fn pattern(host: Option<&str>) -> HostPattern {
    match host {
        None => HostPattern::Any,
        Some(host) => match host.strip_prefix("*.") {
            Some(suffix) => HostPattern::Wildcard {
                suffix: suffix.into(),
                span: WildcardSpan::OneLabel,
            },
            None => HostPattern::Exact(host.into()),
        },
    }
}

fn service(name: &str, endpoints: &[SocketAddr], far: &BTreeSet<SocketAddr>) -> Service {
    let endpoints = endpoints.iter().map(|address| Endpoint {
        address: address.ip(),
        port: port(address.port()),
        conditions: Conditions::READY,
        node: None,
        zone: None,
        hints: Some(Box::new(Hints {
            zones: vec![
                if far.contains(address) {
                    "there"
                } else {
                    "here"
                }
                .into(),
            ],
            nodes: Vec::new(),
        })),
    });
    Service {
        ports: vec![ServicePort {
            name: "http".into(),
            endpoints: endpoints.collect(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("shop", name))
    }
}

fn port(number: u16) -> Port {
    Port::new(number).expect("ports are not 0")
}
