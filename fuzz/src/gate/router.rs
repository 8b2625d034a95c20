//! The router under test: its own listener, one worker, and one route to one endpoint.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fairway_model::{
    Action, Backend, BackendPort, Changes, Conditions, Endpoint, HostPattern, HostRoutes,
    ObjectName, ObjectRef, PathMatch, Port, Protocol, RequestMatch, Rule, RuleId, Service,
    ServicePort, Snapshot,
};
use fairway_proxy::{AccessLog, Config, Handle, Metrics, TlsSettings, TlsTable, bind, self_signed};
use fairway_router::Builder;

pub(super) struct Router {
    pub(super) address: SocketAddr,
    _handle: Handle,
}

impl Router {
    pub(super) fn start(endpoint: SocketAddr) -> Self {
        let snapshot = snapshot(endpoint);
        let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
        let bound = bind(Config {
            http: vec![([127, 0, 0, 1], 0).into()],
            workers: 1,
            access_log: AccessLog::Off,
            ..Config::default()
        });
        let bound = bound.expect("a port");
        let address = bound.local_addresses()[0];
        let certificate = Arc::new(self_signed().expect("a certificate"));
        let tls = TlsTable::new(&TlsSettings::default(), certificate).expect("a table");
        let routes = Arc::new(ArcSwap::from(index));
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        let handle = bound.serve(routes, tls, Metrics::default());
        Self {
            address,
            _handle: handle.expect("threads"),
        }
    }
}

/// Everything goes to the endpoint.
fn snapshot(endpoint: SocketAddr) -> Snapshot {
    let port = |number| Port::new(number).expect("not 0");
    let name = ObjectName::new("default", "web");
    let endpoint = Endpoint {
        address: endpoint.ip(),
        port: port(endpoint.port()),
        conditions: Conditions::READY,
        node: None,
        zone: None,
        hints: None,
    };
    let service = Service {
        ports: vec![ServicePort {
            endpoints: [endpoint].into(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(name.clone())
    };
    let backend = Backend {
        service: name.clone(),
        port: BackendPort::Number(port(80)),
        weight: 1,
    };
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: name.clone(),
        },
        field: "spec.rules[0].http.paths[0]".into(),
    };
    let all = RequestMatch::path(PathMatch::Prefix("/".into()));
    let rule = Rule::new(id, all, Action::Forward(vec![backend]));
    let routes = HostRoutes {
        rules: vec![rule],
        ..HostRoutes::default()
    };
    let mut snapshot = Snapshot::default();
    snapshot.services.insert_mut(name, Arc::new(service));
    let hosts = &mut snapshot.routes.hosts;
    hosts.insert_mut(HostPattern::Any, Arc::new(routes));
    snapshot
}
