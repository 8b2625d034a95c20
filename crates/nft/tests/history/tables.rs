//! What two tables have in common that were planned along different ways.

use std::collections::BTreeMap;

use fairway_model::Snapshot;
use fairway_plan::{Bytes, Chain, Family, Observed, Planner, Ruleset, SetName};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::cluster::options;

/// The tables of a node that has just joined.
pub(crate) fn from_nothing(snapshot: &Snapshot) -> [Ruleset; 2] {
    let nothing = Observed::default();
    let (planner, _) = Planner::start(options(), snapshot, [&nothing, &nothing]);
    Family::ALL.map(|family| planner.ruleset(family))
}

/// Endpoints keep their slots while others come and go, so only a history decides who has which.
/// All else must agree to the byte.
pub(crate) fn same_but_for_slots(one: &Ruleset, other: &Ruleset) -> TestCaseResult {
    prop_assert_eq!(by_name(&one.chains), by_name(&other.chains));
    let names = |ruleset: &Ruleset| ruleset.sets.keys().copied().collect::<Vec<_>>();
    prop_assert_eq!(names(one), names(other));
    for (name, elements) in &one.sets {
        let theirs = &other.sets[name];
        if name.class().is_some_and(|class| class.slots() > 1) {
            let ours = endpoints(*name, elements)?;
            prop_assert_eq!(ours, endpoints(*name, theirs)?, "{}", name);
        } else {
            prop_assert_eq!(elements, theirs, "{}", name);
        }
    }
    Ok(())
}

fn by_name(chains: &[Chain]) -> BTreeMap<&str, &Chain> {
    chains.iter().map(|chain| (chain.name, chain)).collect()
}

/// The endpoints of each frontend, sorted. Their slots are the first ones, each taken once.
fn endpoints(
    map: SetName,
    elements: &BTreeMap<Bytes, Bytes>,
) -> Result<BTreeMap<&[u8], Vec<&Bytes>>, TestCaseError> {
    let mut by_frontend: BTreeMap<&[u8], (Vec<u32>, Vec<&Bytes>)> = BTreeMap::new();
    for (key, endpoint) in elements {
        let (frontend, slot) = key.0.split_last_chunk::<4>().expect("a slot is four bytes");
        let (slots, endpoints) = by_frontend.entry(frontend).or_default();
        slots.push(u32::from_ne_bytes(*slot));
        endpoints.push(endpoint);
    }
    let sorted = by_frontend
        .into_iter()
        .map(|(frontend, (mut slots, mut endpoints))| {
            slots.sort_unstable();
            prop_assert!(
                slots.iter().copied().eq(0..slots.len() as u32),
                "{} {:?}",
                map,
                slots
            );
            endpoints.sort_unstable();
            Ok((frontend, endpoints))
        });
    sorted.collect()
}
