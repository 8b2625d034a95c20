//! Invariants of session affinity.

use std::collections::BTreeSet;

use crate::{Bytes, Ruleset, SetName, layout};

/// Clients may stay only with endpoints that are drawn for their frontend, in one memory each, and
/// maps that packets fill come and go with what they are checked against.
pub(super) fn affinity(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let maps: BTreeSet<SetName> = ruleset.sets.keys().copied().collect();
    let wanted: BTreeSet<SetName> = maps.iter().copied().filter_map(layout::companion).collect();
    let there: BTreeSet<SetName> = maps
        .iter()
        .copied()
        .filter(|set| set.is_filled_by_packets())
        .collect();
    for map in wanted.symmetric_difference(&there) {
        faults.push(format!("{map}: without endpoints to stay with, or missing"));
    }
    let kinds: [(Option<SetName>, Is, Is); 4] = [
        (
            Some(SetName::Affinity),
            |set| matches!(set, SetName::AffinityEndpoints(_)),
            |set| matches!(set, SetName::Endpoints(_) | SetName::MaglevEndpoints(_)),
        ),
        (
            Some(SetName::AffinityNodePorts),
            |set| matches!(set, SetName::AffinityNodePortEndpoints(_)),
            |set| {
                matches!(
                    set,
                    SetName::NodePortEndpoints(_) | SetName::MaglevNodePortEndpoints(_)
                )
            },
        ),
        (
            None,
            |set| matches!(set, SetName::LocalAffinityEndpoints(_)),
            |set| {
                matches!(
                    set,
                    SetName::LocalEndpoints(_) | SetName::LocalMaglevEndpoints(_)
                )
            },
        ),
        (
            None,
            |set| matches!(set, SetName::LocalAffinityNodePortEndpoints(_)),
            |set| {
                matches!(
                    set,
                    SetName::LocalNodePortEndpoints(_) | SetName::LocalMaglevNodePortEndpoints(_)
                )
            },
        ),
    ];
    for (guard, members, endpoints) in kinds {
        check(ruleset, guard, members, endpoints, faults);
    }
}

type Is = fn(SetName) -> bool;

fn check(
    ruleset: &Ruleset,
    guard: Option<SetName>,
    members: Is,
    endpoints: Is,
    faults: &mut Vec<String>,
) {
    let value_length = ruleset.family.address_length() + 4;
    let of = |wanted: Is| ruleset.sets.iter().filter(move |(name, _)| wanted(**name));
    let mut drawn = BTreeSet::new();
    for (name, elements) in of(endpoints) {
        let slotted = name.slots().is_some_and(|slots| slots > 1);
        drawn.extend(elements.iter().map(|(key, value)| {
            let end = key.0.len() - if slotted { 4 } else { 0 };
            Bytes([&key.0[..end], &value.0].concat().into())
        }));
    }
    let mut frontends = BTreeSet::new();
    for (name, elements) in of(members) {
        let mut of_timeout = BTreeSet::new();
        for member in elements.keys() {
            if !drawn.contains(member) {
                faults.push(format!("{name}: {member:?} is not drawn"));
            }
            let end = member.0.len().saturating_sub(value_length);
            of_timeout.insert(Bytes(member.0[..end].into()));
        }
        for frontend in of_timeout.intersection(&frontends) {
            faults.push(format!("{name}: {frontend:?} has another timeout as well"));
        }
        frontends.extend(of_timeout);
    }
    if let Some(guard) = guard {
        let guarded: BTreeSet<Bytes> = ruleset
            .sets
            .get(&guard)
            .into_iter()
            .flat_map(|guarded| guarded.keys().cloned())
            .collect();
        for frontend in guarded.symmetric_difference(&frontends) {
            faults.push(format!(
                "{guard}: {frontend:?} is there without endpoints, or missing"
            ));
        }
    }
}
