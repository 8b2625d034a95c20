use fairway_model::{Conditions, Hints, Protocol, ServiceKind, Weight, Weighted};

use super::*;
use crate::fixture::{name, port, service, service_port};

const READY: Conditions = Conditions::READY;
const UNREADY: Conditions = Conditions {
    ready: false,
    serving: false,
    terminating: false,
};
const LEAVING: Conditions = Conditions {
    ready: false,
    serving: true,
    terminating: true,
};
const GONE: Conditions = Conditions {
    ready: false,
    serving: false,
    terminating: true,
};
/// Serves, is not leaving, and was still not declared ready.
const WARMING: Conditions = Conditions {
    ready: false,
    serving: true,
    terminating: false,
};

fn number(number: u16) -> BackendPort {
    BackendPort::Number(port(number))
}

fn endpoints(service: Option<&Service>, port: &BackendPort) -> Endpoints {
    Endpoints::of(service, port, &Node::default(), &Aliases::default())
}

fn usable(addresses: &[&str]) -> Endpoints {
    let addresses = addresses
        .iter()
        .map(|address| UsableEndpoint::new(address.parse().unwrap()));
    Endpoints::Usable(addresses.collect())
}

#[test]
fn ready_endpoints_of_both_families_are_used() {
    let service = service(
        "web",
        [
            ("10.0.0.1:8080", READY),
            ("10.0.0.2:8080", LEAVING),
            ("10.0.0.3:9090", READY),
            ("10.0.0.4:8080", UNREADY),
            ("[2001:db8::1]:8080", READY),
        ],
    );
    let expected = usable(&["10.0.0.1:8080", "10.0.0.3:9090", "[2001:db8::1]:8080"]);
    assert_eq!(endpoints(Some(&service), &number(80)), expected);
    assert_eq!(
        endpoints(Some(&service), &BackendPort::Name("http".into())),
        expected
    );
}

#[test]
fn without_ready_ones_those_that_leave_still_serve() {
    let service = service(
        "web",
        [
            ("10.0.0.1:8080", LEAVING),
            ("10.0.0.2:8080", GONE),
            ("10.0.0.3:8080", WARMING),
            ("10.0.0.4:8080", UNREADY),
        ],
    );
    assert_eq!(
        endpoints(Some(&service), &number(80)),
        usable(&["10.0.0.1:8080"])
    );
}

#[test]
fn says_why_nothing_is_usable() {
    let web = service(
        "web",
        [("10.0.0.1:8080", UNREADY), ("10.0.0.2:8080", WARMING)],
    );
    assert_eq!(endpoints(Some(&web), &number(80)), Endpoints::None);
    assert_eq!(endpoints(None, &number(80)), Endpoints::NoService);
    // The pods' port, not the Service's.
    assert_eq!(endpoints(Some(&web), &number(8080)), Endpoints::NoPort);
    assert_eq!(
        endpoints(Some(&web), &BackendPort::Name("https".into())),
        Endpoints::NoPort
    );

    let mut alias = service("web", [("10.0.0.1:8080", READY)]);
    alias.kind = ServiceKind::ExternalName("example.com".into());
    assert_eq!(endpoints(Some(&alias), &number(80)), Endpoints::Unresolved);
}

#[test]
fn only_tcp_ports_count() {
    let mut dns = service("dns", []);
    dns.ports = vec![
        service_port("dns", 53, Protocol::Udp, [("10.0.0.1:53", READY)]),
        service_port("dns-tcp", 53, Protocol::Tcp, [("10.0.0.2:53", READY)]),
    ];
    assert_eq!(endpoints(Some(&dns), &number(53)), usable(&["10.0.0.2:53"]));
    assert_eq!(
        endpoints(Some(&dns), &BackendPort::Name("dns".into())),
        Endpoints::NoPort
    );
}

#[test]
fn an_update_without_a_change_keeps_the_value_in_place() {
    let web = service("web", [("10.0.0.1:8080", READY)]);
    let key = UpstreamKey {
        service: name("web"),
        port: number(80),
    };
    let upstream = Upstream::new(key, Some(&web), &Node::default(), &Aliases::default());
    let before = upstream.endpoints().clone();
    upstream.update(Some(&web), &Node::default(), &Aliases::default());
    assert!(Arc::ptr_eq(&before, &upstream.endpoints()));
    upstream.update(None, &Node::default(), &Aliases::default());
    assert_eq!(**upstream.endpoints(), Endpoints::NoService);
}

#[test]
fn the_app_protocol_is_that_of_the_port() {
    let mut web = service("web", [("10.0.0.1:8080", READY)]);
    let key = UpstreamKey {
        service: name("web"),
        port: number(80),
    };
    let upstream = Upstream::new(key, Some(&web), &Node::default(), &Aliases::default());
    for (name, protocol) in [
        ("kubernetes.io/h2c", Some(UpstreamProtocol::Http2)),
        ("https", Some(UpstreamProtocol::Https)),
        ("grpcs", Some(UpstreamProtocol::Http2Tls)),
        ("kubernetes.io/ws", Some(UpstreamProtocol::Http1)),
        ("example.com/unknown", None),
    ] {
        web.ports[0].app_protocol = Some(name.into());
        upstream.update(Some(&web), &Node::default(), &Aliases::default());
        assert_eq!(upstream.protocol(), protocol, "{name}");
    }
    upstream.update(None, &Node::default(), &Aliases::default());
    assert_eq!(upstream.protocol(), None);
}

#[test]
fn hints_for_this_node_or_zone_come_first_and_the_others_stay() {
    let mut web = service("web", [("10.0.0.1:80", READY), ("10.0.0.2:80", READY)]);
    let hints = |zone: &str| {
        Some(Box::new(Hints {
            zones: vec![zone.into()],
            nodes: Vec::new(),
        }))
    };
    let listed: &mut [Endpoint] = Arc::get_mut(&mut web.ports[0].endpoints).unwrap();
    listed[0].hints = hints("b");
    listed[1].hints = hints("a");
    let here = Node {
        zone: Some("a".into()),
        ..Node::default()
    };
    let [first, second] = ["10.0.0.1:80", "10.0.0.2:80"].map(|it| it.parse().unwrap());
    let remote = UsableEndpoint {
        is_remote: true,
        ..UsableEndpoint::new(first)
    };
    assert_eq!(
        Endpoints::of(Some(&web), &number(80), &here, &Aliases::default()),
        Endpoints::Usable([UsableEndpoint::new(second), remote].into())
    );
    // Nobody is meant for this zone, or it is not known: all are alike.
    assert_eq!(
        endpoints(Some(&web), &number(80)),
        usable(&["10.0.0.1:80", "10.0.0.2:80"])
    );
}

#[test]
fn weights_of_the_service_are_kept_and_zero_gets_nothing() {
    let listed = [
        ("10.0.0.1:80", READY),
        ("10.0.0.2:80", READY),
        ("10.0.0.3:80", READY),
    ];
    let mut web = service("web", listed);
    let weigh = |network: &str, weight| Weight {
        of: Weighted::Network(network.parse().unwrap()),
        weight,
    };
    web.weights = Weights(vec![weigh("10.0.0.1/32", 0), weigh("10.0.0.2/32", 7)]);
    let [heavy, light] =
        [("10.0.0.2:80", 7), ("10.0.0.3:80", 1)].map(|(address, weight)| UsableEndpoint {
            weight,
            ..UsableEndpoint::new(address.parse().unwrap())
        });
    assert_eq!(
        endpoints(Some(&web), &number(80)),
        Endpoints::Usable([heavy, light].into())
    );
    web.weights = Weights(vec![weigh("10.0.0.0/24", 0)]);
    assert_eq!(
        endpoints(Some(&web), &number(80)),
        usable(&listed.map(|(address, _)| address))
    );
}

#[test]
fn an_alias_is_where_its_host_is() {
    let alias = |ports: Vec<ServicePort>| Service {
        kind: ServiceKind::ExternalName("db.example".into()),
        ports,
        ..Service::new(ObjectName::new("default", "db"))
    };
    let mut elsewhere = ServicePort::new(Protocol::Tcp, port(80));
    elsewhere.name = "http".into();
    elsewhere.external_port = Some(port(8080));
    let mut hosts = Aliases::default();
    let of = |service: &Service, port: BackendPort, hosts: &Aliases| {
        Endpoints::of(Some(service), &port, &Node::default(), hosts)
    };
    let (bare, named) = (alias(Vec::new()), alias(vec![elsewhere]));
    let name = || BackendPort::Name("http".into());
    hosts.note(&bare.name, Some(&bare));
    assert_eq!(of(&bare, number(80), &hosts), Endpoints::Unresolved);
    let addresses = ["2001:db8::1", "192.0.2.1"].map(|it| it.parse().unwrap());
    let aliases = hosts.locate("db.example", addresses.to_vec());
    assert_eq!(aliases, std::slice::from_ref(&bare.name));
    assert_eq!(
        of(&bare, number(5432), &hosts),
        usable(&["192.0.2.1:5432", "[2001:db8::1]:5432"])
    );
    assert_eq!(of(&bare, name(), &hosts), Endpoints::NoPort);
    let both = usable(&["192.0.2.1:8080", "[2001:db8::1]:8080"]);
    assert_eq!(of(&named, number(80), &hosts), both);
    assert_eq!(of(&named, name(), &hosts), both);
    assert_eq!(of(&named, number(8080), &hosts), Endpoints::NoPort);

    // Another Service of the name is no alias, and the host is nobody's any more.
    hosts.note(&bare.name, None);
    hosts.prune();
    assert_eq!(hosts.hosts().count(), 0);
    assert_eq!(hosts.locate("db.example", addresses.to_vec()), []);
}
