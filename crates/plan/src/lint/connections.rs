//! Invariants of what is counted.

use std::collections::BTreeSet;

use crate::{Bytes, Ruleset, SetName};

/// Where connections are counted, all are: each frontend with each of its endpoints.
pub(super) fn connections(ruleset: &Ruleset, faults: &mut Vec<String>) {
    if !ruleset.sets.keys().any(|set| set.counts()) {
        return;
    }
    check(ruleset, SetName::Connections, is_of_address, faults);
    check(
        ruleset,
        SetName::NodePortConnections,
        is_of_node_port,
        faults,
    );
}

fn check(ruleset: &Ruleset, name: SetName, is_in: fn(SetName) -> bool, faults: &mut Vec<String>) {
    let counted = ruleset.sets.get(&name).into_iter();
    let counted: BTreeSet<Bytes> = counted.flat_map(|set| set.keys().cloned()).collect();
    let mut drawn = BTreeSet::new();
    for (map, elements) in ruleset.sets.iter().filter(|(map, _)| is_in(**map)) {
        let slot = match map.slots() {
            Some(2..) => 4,
            _ => 0,
        };
        drawn.extend(elements.iter().map(|(key, value)| {
            let frontend = &key.0[..key.0.len().saturating_sub(slot)];
            Bytes([frontend, &value.0].concat().into())
        }));
    }
    for key in drawn.symmetric_difference(&counted) {
        faults.push(format!("{name}: {key:?} is there without use, or missing"));
    }
}

fn is_of_address(set: SetName) -> bool {
    matches!(
        set,
        SetName::Endpoints(_)
            | SetName::LocalEndpoints(_)
            | SetName::MaglevEndpoints(_)
            | SetName::LocalMaglevEndpoints(_)
    )
}

fn is_of_node_port(set: SetName) -> bool {
    matches!(
        set,
        SetName::NodePortEndpoints(_)
            | SetName::LocalNodePortEndpoints(_)
            | SetName::MaglevNodePortEndpoints(_)
            | SetName::LocalMaglevNodePortEndpoints(_)
    )
}
