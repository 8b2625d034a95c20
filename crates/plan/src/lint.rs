//! Invariants of a planned table. What breaks one is a fault of fairway's, never of the cluster's.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::set::split_network;
use crate::{Bytes, Ruleset, Selector, SetName, SlotClass, Statement};

use self::affinity::affinity;
use self::connections::connections;

mod affinity;
mod connections;

/// Lists every broken invariant in a line for people; empty for a sound table.
pub fn lint(ruleset: &Ruleset) -> Vec<String> {
    let mut faults = Vec::new();
    lengths(ruleset, &mut faults);
    addresses(ruleset, &mut faults);
    node_ports(ruleset, &mut faults);
    affinity(ruleset, &mut faults);
    connections(ruleset, &mut faults);
    rules(ruleset, &mut faults);
    faults
}

/// Every key and value has the length of its set's fields.
fn lengths(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let length = |fields: &[Selector]| -> usize {
        let lengths = fields
            .iter()
            .map(|field| field.element_length(ruleset.family));
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

/// Every frontend is in one map, has all slots from 0 on, and as many as its map is for.
/// Returns the frontends.
fn slots(
    ruleset: &Ruleset,
    is_in: fn(SetName) -> bool,
    faults: &mut Vec<String>,
) -> BTreeSet<Bytes> {
    let mut found: BTreeMap<Bytes, (SetName, BTreeSet<u32>)> = BTreeMap::new();
    for (name, elements) in &ruleset.sets {
        let Some(number) = name.slots().filter(|_| is_in(*name)) else {
            continue;
        };
        for key in elements.keys() {
            let (frontend, slot) = match key.0.split_last_chunk::<4>() {
                Some((frontend, slot)) if number > 1 => {
                    (Bytes(frontend.into()), u32::from_ne_bytes(*slot))
                }
                _ => (key.clone(), 0),
            };
            let (first, slots) = found
                .entry(frontend)
                .or_insert_with(|| (*name, BTreeSet::new()));
            if first != name {
                faults.push(format!("{name}: {key:?} is in {first} as well"));
            }
            slots.insert(slot);
        }
    }
    for (frontend, (name, slots)) in &found {
        let dense = slots.iter().copied().eq(0..slots.len() as u32);
        let fits = match name.table() {
            Some(table) => slots.len() == table.size.slots() as usize,
            None => SlotClass::of(slots.len()) == name.class(),
        };
        if !dense || !fits {
            faults.push(format!("{frontend:?}: slots {slots:?} in {name}"));
        }
    }
    found.into_keys().collect()
}

/// Addresses: every one with endpoints is reachable, as a ClusterIP or from outside.
fn addresses(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let kind = Kind {
        any: slots(
            ruleset,
            |set| matches!(set, SetName::Endpoints(_) | SetName::MaglevEndpoints(_)),
            faults,
        ),
        local: slots(
            ruleset,
            |set| {
                matches!(
                    set,
                    SetName::LocalEndpoints(_) | SetName::LocalMaglevEndpoints(_)
                )
            },
            faults,
        ),
        local_policy: keys(ruleset, SetName::LocalPolicy),
        dropped: keys(ruleset, SetName::Dropped),
        refused: keys(ruleset, SetName::Refused),
    };
    kind.check(faults);
    let external = keys(ruleset, SetName::ExternalAddresses);
    let cluster_ips = keys(ruleset, SetName::ClusterIps);
    let is_cluster_ip = |frontend: &Bytes| {
        let address = frontend.0.get(..ruleset.family.address_length());
        address.is_some_and(|address| cluster_ips.contains(&Bytes(address.into())))
    };
    for frontend in kind.any.iter().chain(&kind.dropped) {
        if !external.contains(frontend) && !is_cluster_ip(frontend) {
            faults.push(format!("{frontend:?} is never looked up"));
        }
    }
    for frontend in external.difference(&kind.any) {
        faults.push(format!("{frontend:?} is external and has no endpoints"));
    }
    source_ranges(ruleset, &external, &kind.refused, faults);
    for frontend in kind.local_policy.difference(&external) {
        faults.push(format!(
            "{frontend:?} has a local policy and is not external"
        ));
    }
}

/// Only what is restricted has allowed sources, and those do not overlap: the kernel would refuse them.
fn source_ranges(
    ruleset: &Ruleset,
    external: &BTreeSet<Bytes>,
    refused: &BTreeSet<Bytes>,
    faults: &mut Vec<String>,
) {
    let restricted = keys(ruleset, SetName::Restricted);
    for frontend in &restricted {
        if !external.contains(frontend) && !refused.contains(frontend) {
            faults.push(format!("{frontend:?} is restricted and not external"));
        }
    }
    let mut before: Option<(Bytes, IpNet)> = None;
    for key in keys(ruleset, SetName::AllowedSources) {
        let Some((frontend, network)) = split_network(&key, ruleset.family) else {
            faults.push(format!("{key:?} has no network"));
            continue;
        };
        if !restricted.contains(&frontend) {
            faults.push(format!(
                "{frontend:?} has allowed sources and no restriction"
            ));
        }
        if let Some((same, before)) = &before
            && *same == frontend
            && before.contains(&network)
        {
            faults.push(format!("{frontend:?}: {network} lies in {before}"));
        }
        before = Some((frontend, network));
    }
}

fn node_ports(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let kind = Kind {
        any: slots(
            ruleset,
            |set| {
                matches!(
                    set,
                    SetName::NodePortEndpoints(_) | SetName::MaglevNodePortEndpoints(_)
                )
            },
            faults,
        ),
        local: slots(
            ruleset,
            |set| {
                matches!(
                    set,
                    SetName::LocalNodePortEndpoints(_) | SetName::LocalMaglevNodePortEndpoints(_)
                )
            },
            faults,
        ),
        local_policy: keys(ruleset, SetName::LocalPolicyNodePorts),
        dropped: keys(ruleset, SetName::DroppedNodePorts),
        refused: keys(ruleset, SetName::RefusedNodePorts),
    };
    kind.check(faults);
    if keys(ruleset, SetName::NodePorts) != kind.any {
        faults.push("node-ports are not those that have endpoints".into());
    }
    for frontend in kind.local_policy.difference(&kind.any) {
        faults.push(format!("{frontend:?} has a local policy and no endpoints"));
    }
}

/// The frontends of one kind, by what happens to them.
struct Kind {
    any: BTreeSet<Bytes>,
    local: BTreeSet<Bytes>,
    local_policy: BTreeSet<Bytes>,
    dropped: BTreeSet<Bytes>,
    refused: BTreeSet<Bytes>,
}

impl Kind {
    /// Who has endpoints is not refused; who has a local policy is either served or dropped for
    /// clients outside, and nobody else has local endpoints.
    fn check(&self, faults: &mut Vec<String>) {
        for frontend in self.refused.intersection(&self.any) {
            faults.push(format!("{frontend:?} has endpoints and is refused"));
        }
        for frontend in self.refused.intersection(&self.dropped) {
            faults.push(format!("{frontend:?} is dropped and refused"));
        }
        for frontend in self.local.difference(&self.local_policy) {
            faults.push(format!("{frontend:?} has local endpoints and no policy"));
        }
        for frontend in &self.local_policy {
            if self.local.contains(frontend) == self.dropped.contains(frontend) {
                faults.push(format!(
                    "{frontend:?} is neither served nor dropped for clients outside, or both"
                ));
            }
        }
        for frontend in self.dropped.difference(&self.local_policy) {
            if self.any.contains(frontend) {
                faults.push(format!("{frontend:?} has endpoints and is dropped"));
            }
        }
    }
}

fn keys(ruleset: &Ruleset, name: SetName) -> BTreeSet<Bytes> {
    let elements = ruleset.sets.get(&name).into_iter();
    elements.flat_map(BTreeMap::keys).cloned().collect()
}

/// Rules use sets that exist, jump to chains that stand before them, and leave no map out.
fn rules(ruleset: &Ruleset, faults: &mut Vec<String>) {
    let mut chains = BTreeSet::new();
    let mut used = BTreeSet::new();
    for chain in &ruleset.chains {
        for statement in chain.rules.iter().flat_map(|rule| &rule.statements) {
            match statement {
                Statement::InSet { set, .. }
                | Statement::Translate { map: set, .. }
                | Statement::Remember { map: set, .. }
                | Statement::Forget { map: set, .. } => {
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
