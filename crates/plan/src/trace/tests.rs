use std::net::IpAddr;

use fairway_model::{Node, Snapshot};

use super::*;
use crate::planner::tests::{port, service};

fn scene(services: Vec<Service>, address: [u8; 4], number: u16) -> Scene {
    let mut snapshot = Snapshot {
        node: Arc::new(Node {
            name: "node-2".into(),
            addresses: vec![[192, 0, 2, 2].into()],
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
            ..Node::default()
        }),
        ..Snapshot::default()
    };
    for service in services {
        snapshot
            .services
            .insert_mut(service.name.clone(), Arc::new(service));
    }
    let destination = (IpAddr::from(address), Protocol::Tcp, port(number));
    Scene::new(&Options::default(), &snapshot, destination)
}

fn from(sender: Sender) -> Packet {
    Packet {
        sender,
        source: None,
        to_node: false,
    }
}

#[test]
fn a_packet_for_a_service_ends_at_its_endpoints() {
    let scene = scene(vec![service("web", 0, 1, &[1, 2])], [10, 96, 0, 1], 80);
    let walk = scene.walk(&from(Sender::Outside));
    let Outcome::Translated {
        endpoints,
        masquerade,
        remembered,
    } = walk.outcome
    else {
        panic!("{walk:?}");
    };
    assert_eq!(endpoints.len(), 2);
    assert!(!masquerade && !remembered);
    let expected = ["nat-prerouting", "services", "cluster-ip", "endpoints"];
    assert_eq!(walk.chains, expected);
}

#[test]
fn the_oldest_has_what_several_ask_for() {
    let older = service("older", 1, 1, &[1]);
    let newer = service("newer", 2, 1, &[2]);
    let scene = scene(vec![newer, older], [10, 96, 0, 1], 80);
    let names = scene.candidates().iter();
    let names: Vec<_> = names.map(|it| (&*it.service.name.name, it.owns)).collect();
    assert_eq!(names, [("older", true), ("newer", false)]);
}

#[test]
fn each_refusal_has_its_cause() {
    let of = |services, number: u16, host: u8| {
        let scene = scene(services, [10, 96, 0, host], number);
        scene.walk(&from(Sender::Outside)).outcome
    };
    let web = |endpoints: &[u8]| vec![service("web", 0, 1, endpoints)];
    assert_eq!(
        of(web(&[]), 80, 1),
        Outcome::Refused(Some(Cause::NoEndpoints))
    );
    assert_eq!(
        of(web(&[1]), 81, 1),
        Outcome::Refused(Some(Cause::NoSuchPort))
    );
    assert_eq!(
        of(web(&[1]), 80, 9),
        Outcome::Dropped(Some(Cause::NoSuchService))
    );
}

#[test]
fn what_the_kernel_lacks_is_seen() {
    let scene = scene(vec![service("web", 0, 1, &[1, 2])], [10, 96, 0, 1], 80);
    let complete = scene.over(scene.elements());
    let packet = from(Sender::Pod);
    assert_eq!(complete.walk(&packet), scene.walk(&packet));
    let outcome = scene.over([]).walk(&packet).outcome;
    assert_eq!(outcome, Outcome::Dropped(Some(Cause::NoSuchService)));
}
