use super::*;
use crate::{HashedBy, MaglevTable, TableSize};

/// The IPv4 elements of one map, by slot.
fn slots(bench: &Bench, map: SetName) -> Vec<Bytes> {
    let mut ruleset = bench.planner.ruleset(Family::Ip4);
    let mut slots: Vec<_> = ruleset.sets.remove(&map).into_iter().flatten().collect();
    let slot = |key: &Bytes| u32::from_ne_bytes(*key.0.last_chunk().unwrap());
    slots.sort_by_key(|(key, _)| slot(key));
    slots.into_iter().map(|(_, endpoint)| endpoint).collect()
}

fn weighted(hosts: &[u8], weights: &[(u8, u8)]) -> Service {
    let weight = |(host, weight): &(u8, u8)| Weight {
        of: Weighted::Network(std::net::IpAddr::from([10, 244, 1, *host]).into()),
        weight: *weight,
    };
    Service {
        weights: Weights(weights.iter().map(weight).collect()),
        ..service("a", 0, 1, hosts)
    }
}

#[test]
fn an_endpoint_has_as_many_slots_as_its_weight() {
    let mut bench = Bench::new();
    bench.add(weighted(&[1, 2, 3], &[(1, 4), (2, 2), (3, 0)]));
    assert_eq!(slots(&bench, map(3)), [1, 1, 2].map(value));
    // A weight that changes moves what it must.
    let transaction = bench.add(weighted(&[1, 2, 3], &[(1, 1), (2, 2), (3, 0)]));
    let replaced = element(map(3), key(1).slot(1), value(2));
    assert_eq!(transaction.make, [Change::Replace(replaced)]);
    assert_eq!(transaction.release, []);
    bench.add(weighted(&[1, 2, 3], &[(1, 0), (2, 0), (3, 0)]));
    assert_eq!(slots(&bench, map(3)).len(), 3);
}

fn of_clients(shares: usize) -> SetName {
    let (by, size) = (HashedBy::Client, TableSize::of(shares));
    SetName::MaglevEndpoints(MaglevTable { by, size })
}

fn maglev(hosts: &[u8]) -> Service {
    Service {
        balance: Balance::Maglev,
        ..service("a", 0, 1, hosts)
    }
}

#[test]
fn a_maglev_table_depends_on_endpoints_and_not_on_the_past() {
    let table = of_clients(3);
    let mut bench = Bench::new();
    bench.add(maglev(&[1, 2, 3]));
    let before = slots(&bench, table);
    assert_eq!(before.len(), 509);
    let transaction = bench.add(maglev(&[3, 1]));
    assert_eq!(transaction.release, []);
    let is_data = |change: &Change| matches!(change, Change::Replace(_));
    assert!(transaction.make.iter().all(is_data), "{transaction:?}");
    bench.add(maglev(&[4, 3, 1]));
    bench.add(maglev(&[3, 2, 1]));
    assert_eq!(slots(&bench, table), before);
}

#[test]
fn weights_are_turns_in_a_maglev_table() {
    let mut bench = Bench::new();
    bench.add(Service {
        balance: Balance::Maglev,
        ..weighted(&[1, 2, 3], &[(1, 3), (3, 0)])
    });
    let table = slots(&bench, of_clients(4));
    let share = |host| table.iter().filter(|slot| **slot == value(host)).count();
    assert_eq!([1, 2, 3].map(share), [382, 127, 0]);
}

#[test]
fn clients_and_connections_are_hashed_into_the_same_table_by_rules_of_their_own() {
    let mut bench = Bench::new();
    bench.add(maglev(&[1, 2, 3]));
    let by_client = slots(&bench, of_clients(3));
    let change = bench.add(Service {
        balance: Balance::MaglevConnection,
        ..maglev(&[1, 2, 3])
    });
    let (by, size) = (HashedBy::Connection, TableSize::of(3));
    let map = SetName::MaglevEndpoints(MaglevTable { by, size });
    assert_eq!(map.to_string(), "maglev-connection-endpoints-509");
    assert_eq!(map.to_string().parse(), Ok(map));
    assert_eq!(slots(&bench, map), by_client);
    // The new map is full before the rule of the old one goes.
    assert_eq!(change.make.first(), Some(&Change::CreateSet(map)));
    let gone = Change::DestroySet(of_clients(3).to_string());
    assert_eq!(change.release.last(), Some(&gone));
}
