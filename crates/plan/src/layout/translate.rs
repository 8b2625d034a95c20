//! Which endpoint a packet goes to.

use crate::{HashedBy, MaglevTable, Options, Rule, Selector, SetName, SlotClass, Statement};

use super::conditions::FromPods;
use super::{CLUSTER_IP, ENDPOINTS, EXTERNAL, NODE_PORT, in_set, join, rule};

/// How often a large class draws a slot before it settles for the lower half of its slots, all of
/// which are taken. With 4, the last endpoints of the least full class get at worst 1/16 less than
/// their share; half-way up it is 1/256.
const DRAWS: usize = 4;

/// Traffic for no Service leaves after three look-ups.
pub(super) fn service_rules(on_node_ports: &[Vec<Statement>], unknown: Option<Rule>) -> Vec<Rule> {
    let mut rules = Vec::from_iter(unknown);
    rules.extend([
        rule(
            "",
            [in_set(SetName::ClusterIps), Statement::Goto(CLUSTER_IP)],
        ),
        rule(
            "",
            [
                in_set(SetName::ExternalAddresses),
                Statement::Goto(EXTERNAL),
            ],
        ),
    ]);
    rules.extend(on_node_ports.iter().map(|address| {
        let end = Statement::Goto(NODE_PORT);
        rule("", join(in_set(SetName::NodePorts), address, end))
    }));
    rules
}

pub(super) fn cluster_ip_rules(options: &Options, from_pods: Option<&FromPods>) -> Vec<Rule> {
    let mark = Statement::SetMark(options.mark);
    let mut rules = Vec::new();
    if options.masquerade_all {
        rules.push(rule("masquerade all", [mark]));
    } else if let Some(pods) = from_pods {
        let mut statements = pods.none();
        statements.push(mark);
        rules.push(rule("not from a pod: masquerade", statements));
    }
    rules.push(rule("", [Statement::Goto(ENDPOINTS)]));
    rules
}

/// Under the policy `Cluster` every node serves every endpoint, so replies must come back through
/// this one.
pub(super) fn external_rules(
    options: &Options,
    local_policy: SetName,
    local: &'static str,
    endpoints: &'static str,
) -> Vec<Rule> {
    vec![
        rule("", [in_set(local_policy), Statement::Goto(local)]),
        rule("masquerade", [Statement::SetMark(options.mark)]),
        rule("", [Statement::Goto(endpoints)]),
    ]
}

/// The policy `Local` is about clients outside: what is on this node may use every endpoint, as if
/// it had asked for the ClusterIP.
pub(super) fn local_policy_rules(
    options: &Options,
    from_pods: Option<&FromPods>,
    endpoints: &'static str,
    local_endpoints: &'static str,
) -> Vec<Rule> {
    let pods = from_pods.map(FromPods::any).unwrap_or_default();
    let mut rules: Vec<_> = pods
        .into_iter()
        .map(|pod| rule("a pod of ours", [pod, Statement::Goto(endpoints)]))
        .collect();
    let mark = Statement::SetMark(options.mark);
    let from_node = [Statement::SourceIsLocal, mark, Statement::Goto(endpoints)];
    rules.push(rule("the node itself: masquerade", from_node));
    rules.push(rule("", [Statement::Goto(local_endpoints)]));
    rules
}

/// One rule per exact class and per size of a Maglev table, which is full as well; a large class draws several times, then from the half that is full.
pub(super) fn translate_rules(maps: impl Iterator<Item = SetName>) -> Vec<Rule> {
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
