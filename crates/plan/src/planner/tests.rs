use std::sync::Arc;

use fairway_model::*;

use super::*;
use crate::{Bytes, Change, SetName, SlotClass, lint};

mod balance;
mod connections;
mod cost;
mod policies;

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(crate) fn service(name: &str, created: i64, ip: u8, hosts: &[u8]) -> Service {
    let endpoint = |host: &u8| Endpoint {
        node: Some("node-1".into()),
        ..Endpoint::ready([10, 244, 1, *host].into(), port(8080))
    };
    Service {
        created,
        cluster_ips: vec![[10, 96, 0, ip].into()],
        ports: vec![ServicePort {
            endpoints: hosts.iter().map(endpoint).collect(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", name))
    }
}

/// A planner beside the snapshot it has seen.
pub(super) struct Bench {
    pub(super) planner: Planner,
    pub(super) snapshot: Snapshot,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let snapshot = Snapshot {
            node: Arc::new(Node {
                name: "node-2".into(),
                ..Node::default()
            }),
            ..Snapshot::default()
        };
        let nothing = Observed::default();
        let (planner, _) = Planner::start(options, &snapshot, [&nothing, &nothing]);
        Self { planner, snapshot }
    }

    /// Applies Services (None removes) in one update; returns the IPv4 transaction.
    pub(super) fn update(&mut self, services: &[(&str, Option<Service>)]) -> Transaction {
        let mut changes = Changes::default();
        for (name, service) in services {
            let name = ObjectName::new("default", *name);
            match service {
                Some(service) => self
                    .snapshot
                    .services
                    .insert_mut(name.clone(), Arc::new(service.clone())),
                None => {
                    self.snapshot.services.remove_mut(&name);
                }
            }
            changes.services.insert(name);
        }
        let [ip4, _] = self.planner.update(&self.snapshot, &changes);
        assert_eq!(
            lint(&self.planner.ruleset(Family::Ip4)),
            Vec::<String>::new()
        );
        ip4
    }

    /// Changes what is known of the node; returns the IPv4 transaction.
    pub(super) fn change_node(&mut self, change: impl FnOnce(&mut Node)) -> Transaction {
        change(Arc::make_mut(&mut self.snapshot.node));
        let changes = Changes {
            node: true,
            ..Changes::default()
        };
        let [ip4, _] = self.planner.update(&self.snapshot, &changes);
        assert_eq!(
            lint(&self.planner.ruleset(Family::Ip4)),
            Vec::<String>::new()
        );
        ip4
    }

    pub(super) fn add(&mut self, service: Service) -> Transaction {
        let name = service.name.name.clone();
        self.update(&[(&name, Some(service))])
    }
}

fn key(ip: u8) -> Bytes {
    Bytes::new()
        .address([10, 96, 0, ip].into())
        .protocol(Protocol::Tcp)
        .port(port(80))
}

fn value(host: u8) -> Bytes {
    Bytes::new()
        .address([10, 244, 1, host].into())
        .port(port(8080))
}

fn map(endpoints: usize) -> SetName {
    SetName::Endpoints(SlotClass::of(endpoints).unwrap())
}

fn element(set: SetName, key: Bytes, value: Bytes) -> Element {
    Element { set, key, value }
}

#[test]
fn a_service_is_elements_only() {
    let transaction = Bench::new().add(service("a", 0, 1, &[1]));
    let cluster_ip = Bytes::new().address([10, 96, 0, 1].into());
    assert_eq!(
        transaction.make,
        [
            Change::Add(element(SetName::ClusterIps, cluster_ip, Bytes::new())),
            Change::Add(element(map(1), key(1), value(1))),
        ]
    );
    assert_eq!(transaction.release, []);
}

#[test]
fn an_unchanged_service_is_nothing() {
    let mut bench = Bench::new();
    bench.add(service("a", 0, 1, &[1, 2]));
    assert!(bench.add(service("a", 0, 1, &[1, 2])).is_empty());
}

#[test]
fn the_new_class_is_complete_before_the_old_one_goes() {
    let mut bench = Bench::new();
    bench.add(service("a", 0, 1, &[1, 2]));
    let transaction = bench.add(service("a", 0, 1, &[1, 2, 3]));
    let added = |slot, host| Change::Add(element(map(3), key(1).slot(slot), value(host)));
    let deleted = |slot, host| Change::Delete(element(map(2), key(1).slot(slot), value(host)));
    assert_eq!(transaction.make, [added(0, 1), added(1, 2), added(2, 3)]);
    assert_eq!(transaction.release, [deleted(0, 1), deleted(1, 2)]);
}

#[test]
fn without_endpoints_it_is_refused_before_they_go_and_until_they_have_come() {
    let mut bench = Bench::new();
    bench.add(service("a", 0, 1, &[1]));
    let refused = element(SetName::Refused, key(1), Bytes::new());
    let transaction = bench.add(service("a", 0, 1, &[]));
    assert_eq!(transaction.make, [Change::Add(refused.clone())]);
    let transaction = bench.add(service("a", 0, 1, &[2]));
    assert_eq!(transaction.release, [Change::Delete(refused)]);
}

#[test]
fn a_large_service_changes_by_an_element_and_its_class_comes_and_goes() {
    let mut bench = Bench::new();
    let nine: Vec<u8> = (1..=9).collect();
    let transaction = bench.add(service("a", 0, 1, &nine));
    assert_eq!(transaction.make[0], Change::CreateSet(map(9)));
    assert!(matches!(&transaction.make[1], Change::SetRules(chain) if chain.name == "endpoints"));

    let ten: Vec<u8> = (1..=10).collect();
    let transaction = bench.add(service("a", 0, 1, &ten));
    let tenth = element(map(10), key(1).slot(9), value(10));
    assert_eq!(transaction.make, [Change::Add(tenth.clone())]);

    let without_first: Vec<u8> = (2..=10).collect();
    let transaction = bench.add(service("a", 0, 1, &without_first));
    let moved = element(map(10), key(1).slot(0), value(10));
    assert_eq!(transaction.make, [Change::Replace(moved)]);
    assert_eq!(transaction.release, [Change::Delete(tenth)]);

    let transaction = bench.update(&[("a", None)]);
    let last = transaction.release.last();
    assert_eq!(last, Some(&Change::DestroySet("endpoints-16".into())));
}

#[test]
fn an_address_moves_between_services_in_one_step() {
    let mut bench = Bench::new();
    bench.add(service("a", 0, 1, &[1]));
    let transaction = bench.update(&[("a", None), ("b", Some(service("b", 1, 1, &[2])))]);
    let moved = element(map(1), key(1), value(2));
    assert_eq!(transaction.make, [Change::Replace(moved)]);
    assert_eq!(transaction.release, []);
}

#[test]
fn the_oldest_keeps_a_contested_address_and_the_next_inherits_it() {
    let mut bench = Bench::new();
    bench.add(service("b", 1, 1, &[2]));
    let transaction = bench.add(service("a", 2, 1, &[1]));
    assert!(transaction.is_empty(), "{transaction:?}");
    let conflicts = bench.planner.conflicts();
    let conflicts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        conflicts,
        [
            "Service default/a spec.clusterIPs: 10.96.0.1:80/tcp belongs to Service default/b; \
          it is not served for this one"
        ]
    );
    let transaction = bench.update(&[("b", None)]);
    let moved = element(map(1), key(1), value(1));
    assert_eq!(transaction.make, [Change::Replace(moved)]);
    assert!(bench.planner.conflicts().is_empty());
}

#[test]
fn services_that_are_not_ours_are_not_planned() {
    let mut bench = Bench::new();
    let elsewhere = Service {
        proxied_elsewhere: true,
        ..service("a", 0, 1, &[1])
    };
    let headless = Service {
        cluster_ips: vec![],
        ..service("b", 0, 2, &[1])
    };
    let alias = Service {
        kind: ServiceKind::ExternalName("example.com".into()),
        ..service("c", 0, 3, &[1])
    };
    for service in [elsewhere, headless, alias] {
        assert!(bench.add(service).is_empty());
    }
}

#[test]
fn serving_while_terminating_is_the_last_resort() {
    let mut bench = Bench::new();
    let mut with = |first: Conditions, second: Conditions| {
        let mut service = service("a", 0, 1, &[1, 2]);
        let mut endpoints = service.ports[0].endpoints.to_vec();
        endpoints[0].conditions = first;
        endpoints[1].conditions = second;
        service.ports[0].endpoints = endpoints.into();
        bench.add(service);
        let ruleset = bench.planner.ruleset(Family::Ip4);
        ruleset.sets[&map(1)].get(&key(1)).cloned()
    };
    let draining = Conditions {
        ready: false,
        serving: true,
        terminating: true,
    };
    let unready = Conditions {
        ready: false,
        serving: false,
        terminating: false,
    };
    assert_eq!(with(draining, Conditions::READY), Some(value(2)));
    assert_eq!(with(draining, unready), Some(value(1)));
    assert_eq!(with(unready, unready), None);
}
