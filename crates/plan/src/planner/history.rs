//! Random histories against a naive reading of what the transactions do.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{Bench, service};
use super::*;
use crate::{Bytes, Change, ObservedChain, ObservedSet, SetName, SlotClass};

type Sets = BTreeMap<SetName, BTreeMap<Bytes, Bytes>>;

/// The kernel's reading of a batch, as strict as the kernel is.
fn apply(sets: &mut Sets, changes: &[Change]) {
    for change in changes {
        match change {
            Change::CreateSet(set) => assert!(sets.insert(*set, BTreeMap::new()).is_none()),
            Change::DestroySet(set) => {
                let set = set.parse().unwrap();
                assert!(sets.remove(&set).is_some());
            }
            Change::Add(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                let before = set.insert(element.key.clone(), element.value.clone());
                assert_eq!(before, None, "{element:?} is there already");
            }
            Change::Replace(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                let before = set.insert(element.key.clone(), element.value.clone());
                assert!(before.is_some(), "{element:?} is not there");
            }
            Change::Delete(element) => {
                let set = sets.get_mut(&element.set).expect("the set is there");
                assert!(
                    set.remove(&element.key).is_some(),
                    "{element:?} is not there"
                );
            }
            _ => {}
        }
    }
}

/// Whether a packet to the frontend is sure to find an endpoint, whatever it draws, if the maps are
/// looked up in order and a commit between two look-ups turns `before` into `after`.
fn always_finds(before: &Sets, after: &Sets, frontend: &Bytes) -> bool {
    let maps: BTreeSet<SetName> = before.keys().chain(after.keys()).copied().collect();
    let maps: Vec<_> = maps
        .into_iter()
        .filter_map(|map| match map {
            SetName::Endpoints(class) => Some((map, class)),
            _ => None,
        })
        .collect();
    (0..=maps.len()).all(|commit| {
        maps.iter().enumerate().any(|(position, (map, class))| {
            let sets = if position < commit { before } else { after };
            let must_be_taken = match class.is_exact() {
                true => class.slots(),
                false => class.slots() / 2,
            };
            sets.get(map).is_some_and(|elements| match class.slots() {
                1 => elements.contains_key(frontend),
                _ => (0..must_be_taken)
                    .all(|slot| elements.contains_key(&frontend.clone().slot(slot))),
            })
        })
    })
}

/// The frontends that lead somewhere.
fn served(sets: &Sets) -> BTreeSet<Bytes> {
    let maps = sets.iter().filter_map(|(name, elements)| match name {
        SetName::Endpoints(class) => Some((class, elements)),
        _ => None,
    });
    maps.flat_map(|(class, elements)| {
        elements.keys().map(|key| match class.slots() {
            1 => key.clone(),
            _ => Bytes(key.0[..key.0.len() - 4].into()),
        })
    })
    .collect()
}

fn observe(ruleset: &Ruleset) -> Observed {
    Observed {
        table: true,
        chains: ruleset
            .chains
            .iter()
            .map(|chain| ObservedChain {
                name: chain.name.into(),
                hook: chain.hook,
                rules: chain
                    .rules
                    .iter()
                    .map(|rule| Some(rule.fingerprint()))
                    .collect(),
            })
            .collect(),
        sets: ruleset
            .sets
            .iter()
            .map(|(name, elements)| ObservedSet {
                name: name.to_string(),
                ours: Some(*name),
                elements: elements
                    .iter()
                    .map(|(key, value)| Element {
                        set: *name,
                        key: key.clone(),
                        value: value.clone(),
                    })
                    .collect(),
            })
            .collect(),
    }
}

/// One update: for some of four Services either removal or age, address and endpoints.
type Step = Vec<(usize, Option<(i64, u8, Vec<u8>)>)>;

fn step() -> impl Strategy<Value = Step> {
    let hosts = proptest::collection::btree_set(1u8..40, 0..24);
    let service = (0i64..3, 1u8..4, hosts)
        .prop_map(|(created, ip, hosts)| (created, ip, hosts.into_iter().collect()));
    proptest::collection::vec((0usize..4, proptest::option::of(service)), 1..4)
}

proptest! {
    #[test]
    fn transactions_lead_to_the_plan_and_leave_no_gap(
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let mut bench = Bench::new();
        let mut kernel = bench.planner.ruleset(Family::Ip4).sets;
        for step in steps {
            let names = ["a", "b", "c", "d"];
            let services: BTreeMap<&str, _> = step
                .into_iter()
                .map(|(index, wanted)| {
                    let name = names[index];
                    let wanted = wanted
                        .map(|(created, ip, hosts)| service(name, created, ip, &hosts));
                    (name, wanted)
                })
                .collect();
            let before = kernel.clone();
            let transaction = bench.update(&services.into_iter().collect::<Vec<_>>());

            apply(&mut kernel, &transaction.make);
            let made = kernel.clone();
            apply(&mut kernel, &transaction.release);
            prop_assert_eq!(&kernel, &bench.planner.ruleset(Family::Ip4).sets);

            let (old, new) = (served(&before), served(&kernel));
            for frontend in old.intersection(&new) {
                prop_assert!(always_finds(&before, &made, frontend));
                prop_assert!(always_finds(&made, &kernel, frontend));
            }
        }

        // A restart finds nothing to do, whatever the history.
        let ruleset = bench.planner.ruleset(Family::Ip4);
        let observed = observe(&ruleset);
        let nothing = Observed::default();
        let (_, [restart, _]) =
            Planner::start(Options::default(), &bench.snapshot, [&observed, &nothing]);
        prop_assert!(restart.is_empty(), "{:?}", restart);
    }

    #[test]
    fn any_half_right_table_is_repaired(
        left_out in proptest::collection::btree_set(0usize..40, 0..20),
        hosts in proptest::collection::btree_set(1u8..40, 1..24),
    ) {
        let mut bench = Bench::new();
        bench.add(service("a", 0, 1, &hosts.into_iter().collect::<Vec<_>>()));
        let ruleset = bench.planner.ruleset(Family::Ip4);
        let mut observed = observe(&ruleset);
        observed.sets[0].elements.push(Element {
            set: SetName::ClusterIps,
            key: Bytes::new().address([192, 0, 2, 1].into()),
            value: Bytes::new(),
        });
        let mut index = 0;
        for set in &mut observed.sets {
            set.elements.retain(|_| {
                index += 1;
                !left_out.contains(&index)
            });
        }
        let mut kernel: Sets = observed
            .sets
            .iter()
            .map(|set| {
                let elements = set.elements.iter();
                let pairs = elements.map(|element| (element.key.clone(), element.value.clone()));
                (set.ours.unwrap(), pairs.collect())
            })
            .collect();
        let repair = bench.planner.repair(Family::Ip4, &observed);
        apply(&mut kernel, &repair.make);
        apply(&mut kernel, &repair.release);
        prop_assert_eq!(kernel, ruleset.sets);
    }
}

#[test]
fn every_count_has_a_class_that_leaves_no_draw_without_an_answer() {
    for count in 1..3_000 {
        let class = SlotClass::of(count).unwrap();
        let sure = match class.is_exact() {
            true => class.slots(),
            false => class.slots() / 2,
        };
        assert!(sure as usize <= count && count <= class.slots() as usize);
    }
}
