//! Invariants of a planned table. What breaks one is a fault of fairway's, never of the cluster's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Bytes, Ruleset, Selector, SetName, SlotClass, Statement};

/// Lists every broken invariant in a line for people; empty for a sound table.
pub fn lint(ruleset: &Ruleset) -> Vec<String> {
    let mut faults = Vec::new();
    lengths(ruleset, &mut faults);
    let addresses = slots(ruleset, endpoints_class, &mut faults);
    let node_ports = slots(ruleset, node_port_class, &mut faults);
    frontends(ruleset, &addresses, &node_ports, &mut faults);
    rules(ruleset, &mut faults);
    faults
}

/// Every key and value has the length of its set's fields.
fn lengths(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let length = |fields: &[Selector]| -> usize {
        let lengths = fields
            .iter()
            .map(|field| field.padded_length(ruleset.family));
        lengths.sum()
    };
    for (name, elements) in &ruleset.sets {
        let shape = name.shape();
        let (key_length, value_length) = (length(&shape.key), length(&shape.value));
        for (key, value) in elements {
            if key.0.len() != key_length || value.0.len() != value_length {
                faults.push(format!("{name}: {key:?} or its value has a wrong length"));
            }
        }
    }
}

/// Every frontend is in one class, has all slots from 0 on, and as many as its class is for.
/// Returns the frontends.
fn slots(
    ruleset: &Ruleset,
    class_of: fn(SetName) -> Option<SlotClass>,
    faults: &mut Vec<String>,
) -> BTreeSet<Bytes> {
    let mut found: BTreeMap<Bytes, (SlotClass, BTreeSet<u32>)> = BTreeMap::new();
    for (name, elements) in &ruleset.sets {
        let Some(class) = class_of(*name) else {
            continue;
        };
        for key in elements.keys() {
            let (frontend, slot) = match key.0.split_last_chunk::<4>() {
                Some((frontend, slot)) if class.slots() > 1 => {
                    (Bytes(frontend.into()), u32::from_ne_bytes(*slot))
                }
                _ => (key.clone(), 0),
            };
            let (first, slots) = found
                .entry(frontend)
                .or_insert_with(|| (class, BTreeSet::new()));
            if *first != class {
                faults.push(format!("{name}: {key:?} is in another class as well"));
            }
            slots.insert(slot);
        }
    }
    for (frontend, (class, slots)) in &found {
        let dense = slots.iter().copied().eq(0..slots.len() as u32);
        if !dense || SlotClass::of(slots.len()) != Some(*class) {
            faults.push(format!("{frontend:?}: slots {slots:?} in {class:?}"));
        }
    }
    found.into_keys().collect()
}

/// Who has endpoints is reachable and not refused, and the other way round.
fn frontends(
    ruleset: &Ruleset,
    addresses: &BTreeSet<Bytes>,
    node_ports: &BTreeSet<Bytes>,
    faults: &mut Vec<String>,
) {
    let keys = |name| ruleset.sets.get(&name).into_iter().flat_map(BTreeMap::keys);
    for refused in keys(SetName::Refused).filter(|key| addresses.contains(key)) {
        faults.push(format!("{refused:?} has endpoints and is refused"));
    }
    for refused in keys(SetName::RefusedNodePorts).filter(|key| node_ports.contains(key)) {
        faults.push(format!(
            "node port {refused:?} has endpoints and is refused"
        ));
    }
    if !keys(SetName::NodePorts).eq(node_ports) {
        faults.push("node-ports are not those that have endpoints".into());
    }
    let cluster_ips: BTreeSet<&[u8]> = keys(SetName::ClusterIps).map(|key| &*key.0).collect();
    for frontend in addresses.iter().chain(keys(SetName::Refused)) {
        let address = frontend.0.get(..ruleset.family.address_length());
        if address.is_none_or(|address| !cluster_ips.contains(address)) {
            faults.push(format!("{frontend:?} is not in cluster-ips"));
        }
    }
}

/// Rules use sets that exist, jump to chains that stand before them, and leave no map out.
fn rules(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let mut chains = BTreeSet::new();
    let mut used = BTreeSet::new();
    for chain in &ruleset.chains {
        for statement in chain.rules.iter().flat_map(|rule| &rule.statements) {
            match statement {
                Statement::InSet { set, .. } | Statement::Translate { map: set, .. } => {
                    used.insert(*set);
                }
                Statement::Jump(target) | Statement::Goto(target) if !chains.contains(target) => {
                    faults.push(format!("{}: no chain {target} before it", chain.name));
                }
                _ => {}
            }
        }
        if !chains.insert(chain.name) {
            faults.push(format!("{}: two chains of this name", chain.name));
        }
    }
    let sets: BTreeSet<SetName> = ruleset.sets.keys().copied().collect();
    for name in used.symmetric_difference(&sets) {
        faults.push(format!(
            "{name}: a rule without a set, or a set without a rule"
        ));
    }
}

fn endpoints_class(name: SetName) -> Option<SlotClass> {
    match name {
        SetName::Endpoints(class) => Some(class),
        _ => None,
    }
}

fn node_port_class(name: SetName) -> Option<SlotClass> {
    match name {
        SetName::NodePortEndpoints(class) => Some(class),
        _ => None,
    }
}
