use std::sync::Arc;

use fairway_model::{Port, ServiceKind, ServicePort};

use super::*;

fn service(name: &str, created: i64, node_ports: &[(Protocol, u16)]) -> Service {
    let port = |(protocol, node_port): &(Protocol, u16)| ServicePort {
        node_port: Port::new(*node_port),
        ..ServicePort::new(*protocol, Port::new(80).unwrap())
    };
    Service {
        created,
        kind: ServiceKind::NodePort,
        cluster_ips: vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ports: node_ports.iter().map(port).collect(),
        ..Service::new(ObjectName::new("default", name))
    }
}

fn wanted_by(services: &[Service]) -> Vec<String> {
    let services = services.iter();
    let services = services.map(|it| (it.name.clone(), (it.created, relays(it))));
    let wanted = wanted(&services.collect());
    let lines = wanted
        .iter()
        .map(|(listening, upstream)| format!("{listening} -> {upstream}"));
    lines.collect()
}

#[test]
fn each_node_port_has_a_relay_for_each_family_and_transport() {
    use Protocol::{Sctp, Tcp, Udp};
    let web = service(
        "web",
        0,
        &[(Tcp, 30080), (Udp, 30080), (Sctp, 30080), (Tcp, 0)],
    );
    let expected = [
        "TCP 127.0.0.1:30080 -> 10.96.0.1:80",
        "TCP [::1]:30080 -> [fd00::1]:80",
        "UDP 127.0.0.1:30080 -> 10.96.0.1:80",
        "UDP [::1]:30080 -> [fd00::1]:80",
    ];
    assert_eq!(wanted_by(std::slice::from_ref(&web)), expected);
    let elsewhere = Service {
        proxied_elsewhere: true,
        ..web
    };
    assert_eq!(wanted_by(&[elsewhere]), [""; 0]);
}

#[test]
fn the_oldest_service_has_a_contested_port() {
    let mut old = service("old", 1, &[(Protocol::Tcp, 30080)]);
    old.cluster_ips = vec!["10.96.0.2".parse().unwrap()];
    let new = service("new", 2, &[(Protocol::Tcp, 30080)]);
    let expected = [
        "TCP 127.0.0.1:30080 -> 10.96.0.2:80",
        "TCP [::1]:30080 -> [fd00::1]:80",
    ];
    assert_eq!(wanted_by(&[new, old]), expected);
}

#[test]
fn only_a_change_of_ports_and_addresses_moves_relays() {
    let relays = Relays::start().unwrap();
    let mut changes = relays.0.subscribe();
    let mut loopback = Loopback::new(relays.clone());
    let mut apply = |service| apply(&mut loopback, service);
    // Ports that the tests' machine need not have: nothing here connects.
    let web = service("web", 0, &[(Protocol::Sctp, 30080)]);
    apply(Some(web));
    assert!(!changes.has_changed().unwrap());
    let mut web = service("web", 0, &[(Protocol::Udp, 30080)]);
    apply(Some(web.clone()));
    assert_eq!(changes.borrow_and_update().len(), 2);
    web.ports[0].endpoints = Arc::from([fairway_model::Endpoint::ready(
        [10, 244, 0, 1].into(),
        Port::new(80).unwrap(),
    )]);
    apply(Some(web));
    assert!(!changes.has_changed().unwrap());
    apply(None);
    assert!(changes.borrow_and_update().is_empty());
}

#[test]
fn relays_stay_until_the_next_configuration_knows_what_there_should_be() {
    let relays = Relays::start().unwrap();
    let mut changes = relays.0.subscribe();
    let web = service("web", 0, &[(Protocol::Udp, 30080)]);
    let mut before = Loopback::new(relays.clone());
    apply(&mut before, Some(web.clone()));
    drop(before);
    assert_eq!(changes.borrow_and_update().len(), 2);
    let mut next = Loopback::new(relays.clone());
    apply(&mut next, Some(web));
    assert!(!changes.has_changed().unwrap(), "the same relays");
    let mut last = Loopback::new(relays.clone());
    apply(&mut last, None);
    assert!(changes.borrow_and_update().is_empty(), "nobody wants them");
}

/// The state of a cluster with this Service or none.
fn apply(loopback: &mut Loopback, service: Option<Service>) {
    let mut snapshot = Snapshot::default();
    let mut changes = fairway_model::Changes::default();
    changes.services.insert(ObjectName::new("default", "web"));
    if let Some(service) = service {
        let service = Arc::new(service);
        snapshot.services.insert_mut(service.name.clone(), service);
    }
    loopback.apply(&Update {
        snapshot: Arc::new(snapshot),
        changes,
    });
}
