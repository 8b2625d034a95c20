//! Which slot each endpoint has.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::SlotClass;

/// Gives every address one of the slots 0 to n-1. Whoever keeps being used keeps the slot it had as
/// far as there is one, so that a change of one endpoint moves one or two elements.
pub(crate) fn assign(previous: &[SocketAddr], wanted: &[SocketAddr]) -> Box<[SocketAddr]> {
    let count = wanted.len().min(SlotClass::LARGEST as usize);
    let wanted = &wanted[..count];
    if previous.is_empty() || previous == wanted {
        return wanted.into();
    }
    let mut unplaced: HashSet<SocketAddr> = wanted.iter().copied().collect();
    let mut slots: Vec<Option<SocketAddr>> = (0..count)
        .map(|slot| {
            previous
                .get(slot)
                .filter(|address| unplaced.remove(address))
                .copied()
        })
        .collect();
    let mut rest = wanted.iter().filter(|address| unplaced.contains(address));
    for slot in &mut slots {
        *slot = slot.or_else(|| rest.next().copied());
    }
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
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
