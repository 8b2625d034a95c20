//! As many services as the largest clusters have.

use std::collections::BTreeMap;

use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Bytes, Change, Family, SetName};

use crate::namespace::{in_namespace, in_namespace_without_privileges};
use crate::sample::{address, class, create, element, endpoint, make, observed, ruleset, service};

/// 100,000 services with 2 endpoints each, in one batch; and read back.
#[test]
fn a_hundred_thousand_services() {
    in_namespace(|| program(100_000));
}

/// Without privileges on the host, socket buffers are too small for one batch of this.
#[test]
fn a_hundred_thousand_services_in_several_batches() {
    in_namespace_without_privileges(|| program(100_000));
}

fn program(services: u32) {
    let family = Family::Ip4;
    let mut netlink = Netlink::open().unwrap();
    let mut ruleset = ruleset(family);
    let map = SetName::Endpoints(class(2));
    let services = 0..services;
    let ips = services
        .clone()
        .map(|n| (Bytes::new().address(address(family, n)), Bytes::new()));
    let endpoints = services
        .clone()
        .flat_map(|n| [0, 1].map(|slot| (service(family, n).slot(slot), endpoint(family, n))));
    ruleset
        .sets
        .insert(SetName::ClusterIps, ips.collect::<BTreeMap<_, _>>());
    ruleset
        .sets
        .insert(map, endpoints.collect::<BTreeMap<_, _>>());

    let transaction = create(&ruleset);
    let report = netlink.commit(&transaction).unwrap();
    assert_eq!(report.writes, transaction.make.len());
    let read = netlink.read(family).unwrap();
    assert!(read == observed(&ruleset), "not what was written");

    let changed = element(map, service(family, 7).slot(1), endpoint(family, 99));
    netlink
        .commit(&make(family, [Change::Replace(changed)]))
        .unwrap();
    let gone = services
        .flat_map(|n| [0, 1].map(|slot| element(map, service(family, n).slot(slot), Bytes::new())));
    let report = netlink
        .commit(&make(family, gone.map(Change::Delete)))
        .unwrap();
    assert_eq!(report.writes, 200_000);
}
