//! Which slot each endpoint has.

use std::collections::HashMap;
use std::net::SocketAddr;

use fairway_model::{Endpoint, Weights};

use crate::SlotClass;

/// Gives every address one of the slots 0 to n-1, or as many as it is wanted. Whoever keeps being
/// used keeps the slots it had as far as there are any, so that a change of one endpoint moves one or
/// two elements.
pub(crate) fn assign(previous: &[SocketAddr], wanted: &[SocketAddr]) -> Box<[SocketAddr]> {
    let count = wanted.len().min(SlotClass::LARGEST as usize);
    let wanted = &wanted[..count];
    if previous.is_empty() || previous == wanted {
        return wanted.into();
    }
    let mut unplaced: HashMap<SocketAddr, usize> = HashMap::with_capacity(count);
    for address in wanted {
        *unplaced.entry(*address).or_default() += 1;
    }
    let mut place = |address: &&SocketAddr| match unplaced.get_mut(*address) {
        Some(left @ 1..) => {
            *left -= 1;
            true
        }
        _ => false,
    };
    let mut slots: Vec<Option<SocketAddr>> = (0..count)
        .map(|slot| previous.get(slot).filter(&mut place).copied())
        .collect();
    let mut rest = wanted.iter().filter(place);
    for slot in &mut slots {
        *slot = slot.or_else(|| rest.next().copied());
    }
    slots.into_iter().flatten().collect()
}

/// The addresses of endpoints, each as often as its weight says. Where all have the weight 0 they
/// count alike: a Service does not go because somebody wanted to spare its endpoints.
pub(crate) fn shares(endpoints: &[&Endpoint], weights: &Weights) -> Vec<SocketAddr> {
    let addresses = endpoints.iter().map(|endpoint| endpoint.socket_address());
    let of = |endpoint: &&Endpoint| usize::from(weights.of(endpoint));
    let divisor = endpoints.iter().map(of).fold(0, greatest_common_divisor);
    if weights.0.is_empty() || divisor == 0 {
        return addresses.collect();
    }
    let total: usize = endpoints.iter().map(of).sum::<usize>() / divisor;
    // Beyond the largest class weights lose their finer steps, but nobody loses its place.
    let scale = total.div_ceil(SlotClass::LARGEST as usize / 2).max(1);
    let shares = endpoints
        .iter()
        .map(|endpoint| (of(endpoint) / divisor).div_ceil(scale));
    let repeated = addresses.zip(shares);
    repeated
        .flat_map(|(address, share)| std::iter::repeat_n(address, share))
        .collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        b => greatest_common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use fairway_model::{Port, Weight, Weighted};
    use proptest::prelude::*;

    use super::*;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 80))
    }

    #[test]
    fn a_removed_endpoint_is_replaced_by_the_last() {
        let before: Vec<_> = (1..=20).map(address).collect();
        let mut wanted = before.clone();
        wanted.remove(0);
        let after = assign(&before, &wanted);
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new);
        assert_eq!(moved.count(), 1);
        assert_eq!(after[0], address(20));
    }

    fn weights(entries: &[(u8, u8)]) -> Weights {
        let entry = |(host, weight): &(u8, u8)| Weight {
            of: Weighted::Network(address(*host).ip().into()),
            weight: *weight,
        };
        Weights(entries.iter().map(entry).collect())
    }

    fn hosts(shares: &[SocketAddr]) -> Vec<u8> {
        let host = |address: &SocketAddr| match address.ip() {
            std::net::IpAddr::V4(address) => address.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        shares.iter().map(host).collect()
    }

    #[test]
    fn slots_are_in_proportion_to_weights() {
        let port = Port::new(80).unwrap();
        let endpoints = [1, 2, 3].map(|host| Endpoint::ready(address(host).ip(), port));
        let endpoints: Vec<&Endpoint> = endpoints.iter().collect();
        let of = |entries| hosts(&shares(&endpoints, &weights(entries)));
        assert_eq!(of(&[]), [1, 2, 3]);
        assert_eq!(of(&[(1, 3)]), [1, 1, 1, 2, 3]);
        assert_eq!(of(&[(1, 40), (2, 20), (3, 60)]), [1, 1, 2, 3, 3, 3]);
        assert_eq!(of(&[(2, 0)]), [1, 3]);
        assert_eq!(of(&[(1, 0), (2, 0), (3, 0)]), [1, 2, 3]);
    }

    #[test]
    fn no_number_of_endpoints_is_too_many_for_their_weights() {
        let port = Port::new(80).unwrap();
        let host = |host: u32| std::net::Ipv4Addr::from_bits((10 << 24) + host).into();
        let endpoints: Vec<_> = (0..5_000).map(|n| Endpoint::ready(host(n), port)).collect();
        let endpoints: Vec<&Endpoint> = endpoints.iter().collect();
        let most = Weights(vec![Weight {
            of: Weighted::Network("10.0.0.0/20".parse().unwrap()),
            weight: Weight::LARGEST,
        }]);
        let shares = shares(&endpoints, &most);
        assert!(shares.len() <= SlotClass::LARGEST as usize);
        let places: std::collections::BTreeSet<_> = shares.iter().collect();
        assert_eq!(places.len(), endpoints.len());
    }

    proptest! {
        #[test]
        fn shares_stay_where_they_can(
            before in proptest::collection::vec(1u8..12, 0..40),
            wanted in proptest::collection::vec(1u8..12, 0..40),
        ) {
            let [before, wanted] = [before, wanted].map(|hosts| -> Vec<_> {
                hosts.into_iter().map(address).collect()
            });
            let after = assign(&before, &wanted);
            let sorted = |addresses: &[SocketAddr]| {
                let mut sorted = addresses.to_vec();
                sorted.sort();
                sorted
            };
            prop_assert_eq!(sorted(&after), sorted(&wanted));
            prop_assert_eq!(assign(&after, &wanted), after);
        }
    }

    proptest! {
        #[test]
        fn slots_are_a_permutation_and_stay_where_they_can(
            before in proptest::collection::hash_set(1u8..60, 0..40),
            wanted in proptest::collection::btree_set(1u8..60, 0..40),
        ) {
            let before: Vec<_> = before.into_iter().map(address).collect();
            let wanted: Vec<_> = wanted.into_iter().map(address).collect();
            let after = assign(&before, &wanted);
            let mut sorted = after.to_vec();
            sorted.sort();
            prop_assert_eq!(&sorted, &wanted);
            for (slot, address) in before.iter().enumerate().take(wanted.len()) {
                if wanted.contains(address) {
                    prop_assert_eq!(after[slot], *address);
                }
            }
            prop_assert_eq!(assign(&after, &wanted), after);
        }
    }
}
