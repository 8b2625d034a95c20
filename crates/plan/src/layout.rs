//! The chains and rules of a table: the same for every cluster but for the options, and for the
//! classes of large Services that occur. See `docs/decisions/0001-data-plane-layout.md`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::{
    Chain, Family, Hook, HookKind, HookPoint, Options, Rule, Selector, SetName, SlotClass,
    Statement,
};

/// How often a large class draws a slot before it settles for the lower half of its slots, all of
/// which are taken. With 4, the last endpoints of the least full class get at worst 1/16 less than
/// their share; half-way up it is 1/256.
const DRAWS: usize = 4;

/// Chains that hold a rule per class; the others never change while fairway runs.
pub(crate) const CLUSTER_IP: &str = "cluster-ip";
pub(crate) const NODE_PORT: &str = "node-port";
const SERVICES: &str = "services";
const REFUSE: &str = "refuse";
/// Not `reject`, which nft reads as the statement: it could not load again what it listed.
const REJECT: &str = "reject-packet";

/// Runs before other people's source translation at `srcnat` (100), so that which of the two comes
/// first does not depend on the order in which the programs were started.
const POSTROUTING_PRIORITY: i32 = 90;
const DSTNAT_PRIORITY: i32 = -100;
const FILTER_PRIORITY: i32 = 0;

/// The sets and maps that exist whatever the cluster looks like.
pub(crate) fn permanent_sets() -> impl Iterator<Item = SetName> {
    let exact = || (1..=SlotClass::LARGEST_EXACT as usize).filter_map(SlotClass::of);
    [
        SetName::ClusterIps,
        SetName::NodePorts,
        SetName::Refused,
        SetName::RefusedNodePorts,
        SetName::Hairpin,
    ]
    .into_iter()
    .chain(exact().map(SetName::Endpoints))
    .chain(exact().map(SetName::NodePortEndpoints))
}

/// Whether a set is one of the [`permanent_sets`].
pub(crate) fn is_permanent(set: SetName) -> bool {
    match set {
        SetName::Endpoints(class) | SetName::NodePortEndpoints(class) => class.is_exact(),
        _ => true,
    }
}

/// The chain whose rules look the map up; None for sets that the fixed rules use.
pub(crate) fn chain_of(set: SetName) -> Option<&'static str> {
    match set {
        SetName::Endpoints(_) => Some(CLUSTER_IP),
        SetName::NodePortEndpoints(_) => Some(NODE_PORT),
        _ => None,
    }
}

/// All chains; a chain stands before those that jump to it.
pub(crate) fn chains(family: Family, options: &Options, sets: &BTreeSet<SetName>) -> Vec<Chain> {
    let nat = |point, priority| hook(HookKind::Nat, point, priority);
    let filter = |point| hook(HookKind::Filter, point, FILTER_PRIORITY);
    let to_services = || rule("", [Statement::Jump(SERVICES)]);
    let to_refuse = || rule("", [Statement::ConnectionIsNew, Statement::Jump(REFUSE)]);

    vec![
        chain(CLUSTER_IP, None, cluster_ip_rules(family, options, sets)),
        chain(NODE_PORT, None, node_port_rules(options, sets)),
        chain(SERVICES, None, service_rules(family)),
        chain(REJECT, None, reject_rules()),
        chain(REFUSE, None, refuse_rules(family)),
        chain(
            "nat-prerouting",
            nat(HookPoint::Prerouting, DSTNAT_PRIORITY),
            vec![to_services()],
        ),
        chain(
            "nat-output",
            nat(HookPoint::Output, DSTNAT_PRIORITY),
            vec![to_services()],
        ),
        chain(
            "nat-postrouting",
            nat(HookPoint::Postrouting, POSTROUTING_PRIORITY),
            masquerade_rules(options),
        ),
        chain("filter-input", filter(HookPoint::Input), vec![to_refuse()]),
        chain(
            "filter-forward",
            filter(HookPoint::Forward),
            vec![to_refuse()],
        ),
        chain(
            "filter-output",
            filter(HookPoint::Output),
            vec![to_refuse()],
        ),
    ]
}

/// Traffic for no Service leaves after two look-ups.
fn service_rules(family: Family) -> Vec<Rule> {
    let mut node_port = vec![in_set(SetName::NodePorts)];
    node_port.extend(on_node_port_address(family));
    node_port.push(Statement::Goto(NODE_PORT));
    vec![
        rule(
            "",
            [in_set(SetName::ClusterIps), Statement::Goto(CLUSTER_IP)],
        ),
        rule("", node_port),
    ]
}

fn cluster_ip_rules(family: Family, options: &Options, sets: &BTreeSet<SetName>) -> Vec<Rule> {
    let mark = Statement::SetMark(options.mark);
    let pods = options
        .cluster_cidrs
        .iter()
        .find(|cidr| Family::of(cidr.addr()) == family);
    let mut rules = Vec::new();
    if options.masquerade_all {
        rules.push(rule("masquerade all", [mark]));
    } else if let Some(network) = pods {
        let from_elsewhere = Statement::SourceIn {
            network: *network,
            negated: true,
        };
        rules.push(rule("not from a pod: masquerade", [from_elsewhere, mark]));
    }
    rules.extend(translate_rules(sets, CLUSTER_IP));
    rules
}

/// Every node serves every endpoint, so replies must come back through this one.
fn node_port_rules(options: &Options, sets: &BTreeSet<SetName>) -> Vec<Rule> {
    let mut rules = vec![rule("masquerade", [Statement::SetMark(options.mark)])];
    rules.extend(translate_rules(sets, NODE_PORT));
    rules
}

/// One rule per exact class; a large class draws several times, then from the half that is full.
fn translate_rules(sets: &BTreeSet<SetName>, chain: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for map in sets
        .iter()
        .copied()
        .filter(|set| chain_of(*set) == Some(chain))
    {
        let (SetName::Endpoints(class) | SetName::NodePortEndpoints(class)) = map else {
            continue;
        };
        let key = map.shape().key;
        if class.is_exact() {
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

/// Runs after translation: a packet that still has a Service's address found no endpoint.
fn refuse_rules(family: Family) -> Vec<Rule> {
    let mut node_port = vec![in_set(SetName::RefusedNodePorts)];
    node_port.extend(on_node_port_address(family));
    node_port.push(Statement::Goto(REJECT));
    vec![
        rule(
            "no endpoints",
            [in_set(SetName::Refused), Statement::Goto(REJECT)],
        ),
        rule(
            "no such port",
            [in_set(SetName::ClusterIps), Statement::Goto(REJECT)],
        ),
        rule("no endpoints", node_port),
    ]
}

/// TCP gets a reset: over IPv6 a client that is still connecting takes no notice of an ICMPv6 error
/// and tries again after a second.
fn reject_rules() -> Vec<Rule> {
    vec![rule("", [Statement::Reset]), rule("", [Statement::Reject])]
}

/// The mark is cleared so that a tunnel's outer packet, which inherits it, is left alone.
fn masquerade_rules(options: &Options) -> Vec<Rule> {
    vec![
        rule(
            "marked above",
            [
                Statement::MarkHas(options.mark),
                Statement::ClearMark(options.mark),
                Statement::Masquerade,
            ],
        ),
        rule(
            "a pod that reached itself",
            [
                Statement::ConnectionIsTranslated,
                in_set(SetName::Hairpin),
                Statement::Masquerade,
            ],
        ),
    ]
}

/// Node ports are served on every address of the node except loopback.
fn on_node_port_address(family: Family) -> [Statement; 2] {
    let loopback = match family {
        Family::Ip4 => IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        Family::Ip6 => IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    };
    [
        Statement::DestinationIsLocal,
        Statement::DestinationIn {
            network: loopback,
            negated: true,
        },
    ]
}

fn in_set(set: SetName) -> Statement {
    Statement::InSet {
        key: set.shape().key,
        set,
    }
}

fn chain(name: &'static str, hook: Option<Hook>, rules: Vec<Rule>) -> Chain {
    Chain { name, hook, rules }
}

fn hook(kind: HookKind, point: HookPoint, priority: i32) -> Option<Hook> {
    Some(Hook {
        kind,
        point,
        priority,
    })
}

fn rule(comment: &'static str, statements: impl Into<Vec<Statement>>) -> Rule {
    Rule {
        statements: statements.into(),
        comment,
    }
}
