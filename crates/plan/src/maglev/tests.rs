use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn address(host: u16) -> SocketAddr {
    let [high, low] = host.to_be_bytes();
    SocketAddr::from(([10, 244, high, low], 8080))
}

fn of(hosts: impl IntoIterator<Item = u16>) -> Box<[SocketAddr]> {
    table(hosts.into_iter().map(address).collect())
}

/// The number of slots that were one endpoint's and are another's, though the first is still there.
fn moved(before: &[SocketAddr], after: &[SocketAddr]) -> usize {
    let there: BTreeSet<_> = after.iter().collect();
    let slots = before.iter().zip(after);
    slots
        .filter(|(old, new)| old != new && there.contains(old))
        .count()
}

#[test]
fn one_endpoint_needs_no_table() {
    assert_eq!(*of([]), []);
    assert_eq!(*of([1]), [address(1)]);
    assert_eq!(*of([1, 1, 1]), [address(1)]);
}

/// Nodes of different versions must agree: this is not to change.
#[test]
fn the_table_is_the_same_in_all_versions() {
    let table = of([1, 2, 3]);
    let hosts = table[..16].iter().map(|endpoint| match endpoint.ip() {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => 0,
    });
    let first = [1, 2, 3, 2, 3, 2, 1, 3, 3, 1, 1, 3, 2, 1, 2, 1];
    assert_eq!(hosts.collect::<Vec<_>>(), first);
}

#[test]
fn sizes_are_prime_and_names_lead_back_to_them() {
    for size in TableSize::ALL {
        let factor = (2..size)
            .take_while(|n| n * n <= size)
            .find(|n| size.is_multiple_of(*n));
        assert_eq!(factor, None, "{size}");
        assert_eq!(TableSize::exactly(size).map(TableSize::slots), Some(size));
    }
    assert_eq!(TableSize::exactly(510), None);
    let sizes = [0, 10, 11, 40, 41, 1_000_000].map(|shares| TableSize::of(shares).slots());
    assert_eq!(sizes, [509, 509, 2_039, 2_039, 8_191, 65_521]);
}

proptest! {
    /// On average over the endpoints that may go; 1 to 4 percent as a rule, more where few endpoints share a step.
    #[test]
    fn few_clients_move_that_need_not(
        hosts in prop_oneof![
            proptest::collection::btree_set(any::<u16>(), 3..=10),
            proptest::collection::btree_set(any::<u16>(), 12..=16),
        ],
    ) {
        let before = of(hosts.iter().copied());
        let moved = hosts.iter().map(|gone| {
            moved(&before, &of(hosts.iter().copied().filter(|host| host != gone)))
        });
        let average = moved.sum::<usize>() / hosts.len();
        prop_assert!(average * 4 <= before.len(), "{average} of {}", before.len());
    }

    #[test]
    fn every_endpoint_has_its_share(
        shares in proptest::collection::btree_map(any::<u16>(), 1usize..6, 2..40),
    ) {
        let hosts = shares.iter().flat_map(|(host, share)| std::iter::repeat_n(*host, *share));
        let table = of(hosts);
        let total: usize = shares.values().sum();
        prop_assert_eq!(table.len(), TableSize::of(total).slots() as usize);
        let mut found: BTreeMap<SocketAddr, usize> = BTreeMap::new();
        for endpoint in &table {
            *found.entry(*endpoint).or_default() += 1;
        }
        let rounds = table.len() / total;
        for (host, share) in shares {
            let slots = found[&address(host)];
            prop_assert!((rounds * share..=(rounds + 1) * share).contains(&slots));
        }
    }

    #[test]
    fn nothing_but_the_addresses_counts(
        hosts in proptest::collection::btree_set(any::<u16>(), 2..40),
        order in any::<prop::sample::Index>(),
    ) {
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        let before = of(hosts.clone());
        let middle = order.index(hosts.len());
        hosts.rotate_left(middle);
        prop_assert_eq!(&of(hosts.clone()), &before);
        let other_port = |host| SocketAddr::new(address(host).ip(), 9090 + host % 7);
        let other = table(hosts.into_iter().map(other_port).collect());
        let addresses = |table: &[SocketAddr]| -> Vec<_> { table.iter().map(SocketAddr::ip).collect() };
        prop_assert_eq!(addresses(&other), addresses(&before));
    }
}
