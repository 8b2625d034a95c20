//! As many services as the largest clusters have.

use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Bytes, Change, Family, Ruleset, SetName};

use crate::namespace::{in_namespace, in_namespace_without_privileges};
use crate::sample::{address, class, create, element, endpoint, make, observed, ruleset, service};

const FAMILY: Family = Family::Ip4;

/// 100,000 services with 2 endpoints each; and read back.
#[test]
fn a_hundred_thousand_services() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let ruleset = large(100_000);
        let transaction = create(&ruleset);
        let report = netlink.commit(&transaction).unwrap();
        assert_eq!(report.writes, transaction.make.len());
        let read = netlink.read(FAMILY).unwrap();
        assert!(read == observed(&ruleset), "not what was written");
    });
}

/// Without privileges on the host, socket buffers are too small for one batch of this.
#[test]
fn many_services_in_several_batches() {
    in_namespace_without_privileges(|| {
        let mut netlink = Netlink::open().unwrap();
        let ruleset = large(80_000);
        let transaction = create(&ruleset);
        let report = netlink.commit(&transaction).unwrap();
        assert_eq!(report.writes, transaction.make.len());

        let map = SetName::Endpoints(class(2));
        let elements = ruleset.sets[&map].keys();
        let gone = elements.map(|key| element(map, key.clone(), Bytes::new()));
        let report = netlink
            .commit(&make(FAMILY, gone.map(Change::Delete)))
            .unwrap();
        assert_eq!(report.writes, 160_000);
        let left = netlink.read(FAMILY).unwrap();
        assert!(
            left.sets
                .iter()
                .any(|set| set.ours == Some(map) && set.elements.is_empty())
        );
    });
}

fn large(services: u32) -> Ruleset {
    let mut ruleset = ruleset(FAMILY);
    let ip = |n| (Bytes::new().address(address(FAMILY, n)), Bytes::new());
    let slot = |n, slot| (service(FAMILY, n).slot(slot), endpoint(FAMILY, n));
    let ips = (0..services).map(ip);
    let endpoints = (0..services).flat_map(|n| [slot(n, 0), slot(n, 1)]);
    ruleset.sets.insert(SetName::ClusterIps, ips.collect());
    ruleset
        .sets
        .insert(SetName::Endpoints(class(2)), endpoints.collect());
    ruleset
}
