//! Which endpoint a packet goes to.

use std::collections::BTreeSet;

use crate::{Chain, HashedBy, MaglevTable, Rule, Selector, SetName, SlotClass, Statement};

use super::affinity::sticky_rule;
use super::{
    ENDPOINTS, LOCAL_ENDPOINTS, LOCAL_NODE_PORT_ENDPOINTS, NODE_PORT_ENDPOINTS, chain, rule,
};

/// How often a large class draws a slot before it settles for the lower half of its slots, all of
/// which are taken. With 4, the last endpoints of the least full class get at worst 1/16 less than
/// their share; half-way up it is 1/256.
const DRAWS: usize = 4;

/// The chains that pick one: of all endpoints and of those on this node, by what was asked for.
pub(super) fn endpoint_chains(sets: &BTreeSet<SetName>) -> [Chain; 4] {
    let picking = |name, guard, local, is_in: fn(SetName) -> bool| {
        let maps = sets.iter().copied().filter(|set| is_in(*set));
        let sticky = sticky_rule(sets, guard, local).into_iter();
        chain(name, None, sticky.chain(translate_rules(maps)).collect())
    };
    use SetName::*;
    [
        picking(ENDPOINTS, Affinity, false, |set| {
            matches!(set, Endpoints(_) | MaglevEndpoints(_))
        }),
        picking(LOCAL_ENDPOINTS, Affinity, true, |set| {
            matches!(set, LocalEndpoints(_) | LocalMaglevEndpoints(_))
        }),
        picking(NODE_PORT_ENDPOINTS, AffinityNodePorts, false, |set| {
            matches!(set, NodePortEndpoints(_) | MaglevNodePortEndpoints(_))
        }),
        picking(LOCAL_NODE_PORT_ENDPOINTS, AffinityNodePorts, true, |set| {
            matches!(
                set,
                LocalNodePortEndpoints(_) | LocalMaglevNodePortEndpoints(_)
            )
        }),
    ]
}

/// One rule per exact class and per size of a Maglev table, which is full as well; a large class draws
/// several times, then from the half that is full.
fn translate_rules(maps: impl Iterator<Item = SetName>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for map in maps {
        let mut key = map.shape().key;
        if let (Some(MaglevTable { by, size }), Some(slot)) = (map.table(), key.last_mut()) {
            *slot = match by {
                HashedBy::Client => Selector::ClientSlot(size.slots()),
                HashedBy::Connection => Selector::ConnectionSlot(size.slots()),
            };
        }
        if map.class().is_none_or(SlotClass::is_exact) {
            rules.push(rule("", [Statement::Translate { key, map }]));
            continue;
        }
        let mut settle = key.clone();
        for selector in &mut settle {
            if let Selector::RandomSlot(slots) = selector {
                *slots /= 2;
            }
        }
        for _ in 0..DRAWS {
            let key = key.clone();
            rules.push(rule("", [Statement::Translate { key, map }]));
        }
        rules.push(rule("", [Statement::Translate { key: settle, map }]));
    }
    rules
}
