use fairway_model::{Conditions, Protocol, ServiceKind};

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

fn usable(addresses: &[&str]) -> Endpoints {
    let addresses = addresses.iter().map(|address| address.parse().unwrap());
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
    assert_eq!(Endpoints::of(Some(&service), &number(80)), expected);
    assert_eq!(
        Endpoints::of(Some(&service), &BackendPort::Name("http".into())),
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
        Endpoints::of(Some(&service), &number(80)),
        usable(&["10.0.0.1:8080"])
    );
}

#[test]
fn says_why_nothing_is_usable() {
    let web = service(
        "web",
        [("10.0.0.1:8080", UNREADY), ("10.0.0.2:8080", WARMING)],
    );
    assert_eq!(Endpoints::of(Some(&web), &number(80)), Endpoints::None);
    assert_eq!(Endpoints::of(None, &number(80)), Endpoints::NoService);
    // The pods' port, not the Service's.
    assert_eq!(Endpoints::of(Some(&web), &number(8080)), Endpoints::NoPort);
    assert_eq!(
        Endpoints::of(Some(&web), &BackendPort::Name("https".into())),
        Endpoints::NoPort
    );

    let mut alias = service("web", [("10.0.0.1:8080", READY)]);
    alias.kind = ServiceKind::ExternalName("example.com".into());
    assert_eq!(
        Endpoints::of(Some(&alias), &number(80)),
        Endpoints::Unsupported
    );
}

#[test]
fn only_tcp_ports_count() {
    let mut dns = service("dns", []);
    dns.ports = vec![
        service_port("dns", 53, Protocol::Udp, [("10.0.0.1:53", READY)]),
        service_port("dns-tcp", 53, Protocol::Tcp, [("10.0.0.2:53", READY)]),
    ];
    assert_eq!(
        Endpoints::of(Some(&dns), &number(53)),
        usable(&["10.0.0.2:53"])
    );
    assert_eq!(
        Endpoints::of(Some(&dns), &BackendPort::Name("dns".into())),
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
    let upstream = Upstream::new(key, Some(&web));
    let before = upstream.endpoints().clone();
    upstream.update(Some(&web));
    assert!(Arc::ptr_eq(&before, &upstream.endpoints()));
    upstream.update(None);
    assert_eq!(**upstream.endpoints(), Endpoints::NoService);
}

#[test]
fn the_app_protocol_is_that_of_the_port() {
    let mut web = service("web", [("10.0.0.1:8080", READY)]);
    let key = UpstreamKey {
        service: name("web"),
        port: number(80),
    };
    let upstream = Upstream::new(key, Some(&web));
    for (name, protocol) in [
        ("kubernetes.io/h2c", Some(UpstreamProtocol::Http2)),
        ("https", Some(UpstreamProtocol::Https)),
        ("grpcs", Some(UpstreamProtocol::Http2Tls)),
        ("kubernetes.io/ws", Some(UpstreamProtocol::Http1)),
        ("example.com/unknown", None),
    ] {
        web.ports[0].app_protocol = Some(name.into());
        upstream.update(Some(&web));
        assert_eq!(upstream.protocol(), protocol, "{name}");
    }
    upstream.update(None);
    assert_eq!(upstream.protocol(), None);
}
