//! The request path must not allocate, however many hosts there are.

use std::sync::Arc;

use fairway_model::{
    Action, Backend, BackendPort, Changes, HostPattern, HostRoutes, ObjectName, ObjectRef,
    PathMatch, Port, RequestMatch, Rule, RuleId, Snapshot, WildcardSpan,
};
use fairway_router::{Builder, Host, Path, Request};

fn rule(service: &str, path: PathMatch) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: ObjectName::new("default", service),
        },
        field: "spec.rules[0].http.paths[0]".into(),
    };
    Rule::new(
        id,
        RequestMatch::path(path),
        Action::Forward(vec![Backend {
            service: ObjectName::new("default", service),
            port: BackendPort::Number(Port::MIN),
            weight: 1,
        }]),
    )
}

/// 10,000 exact hosts, wildcards of both spans, and an entry for all the others.
fn snapshot() -> Snapshot {
    let exact = (0..10_000).map(|n| HostPattern::Exact(format!("app-{n}.example.com").into()));
    let wildcards =
        [WildcardSpan::OneLabel, WildcardSpan::OneOrMoreLabels].map(|span| HostPattern::Wildcard {
            suffix: "wild.example.com".into(),
            span,
        });
    let mut snapshot = Snapshot::default();
    for host in exact.chain(wildcards).chain([HostPattern::Any]) {
        let rules = vec![
            rule("exact", PathMatch::Exact("/exact".into())),
            rule("api", PathMatch::Prefix("/api".into())),
            rule("root", PathMatch::Prefix("/".into())),
        ];
        let routes = HostRoutes {
            rules,
            ..HostRoutes::default()
        };
        snapshot.routes.hosts.insert_mut(host, Arc::new(routes));
    }
    snapshot
}

#[test]
fn finding_a_route_allocates_nothing() {
    let snapshot = snapshot();
    let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
    for (host, path, service) in [
        ("app-0.example.com", "/", "root"),
        ("APP-9999.example.com.:8443", "/api/users/1", "api"),
        ("app-5000.example.com", "/exact", "exact"),
        ("a.wild.example.com", "/x/y/z", "root"),
        ("a.b.wild.example.com", "/x", "root"),
        ("unknown.example.com", "/api", "api"),
        ("10.0.0.1:8080", "/", "root"),
    ] {
        let mut found = None;
        let counted = allocation_counter::measure(|| {
            let host = Host::parse(host.as_bytes()).expect("the host is valid");
            let path = Path::parse(path).expect("the path is valid");
            let request = Request {
                host: &host,
                path: &path,
                method: "GET",
            };
            found = index.find(request);
        });
        let route = found.expect("every host and path has a route");
        assert_eq!(&*route.id.object.name.name, service, "{host} {path}");
        assert_eq!(counted.count_total, 0, "{host} {path}");
    }
}
