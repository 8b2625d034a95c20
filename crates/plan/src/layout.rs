//! The chains and rules of a table: the same for every cluster but for the options and the node, and
//! for the classes of Services that occur. See `docs/decisions/0001-data-plane-layout.md`.

use std::collections::BTreeSet;

use fairway_model::Node;

use crate::{
    Chain, Family, Hook, HookKind, HookPoint, Options, Rule, SetName, SlotClass, Statement,
};

use self::affinity::{affinity_chains, remembering_rule, sticky_rule};
use self::conditions::FromPods;
pub(crate) use self::conditions::node_port_addresses;
use self::count::{count_chain, counting_rule};
pub(crate) use self::refuse::cause;
use self::refuse::{refuse_cluster_ip_rules, refuse_rules, reject_rules, source_range_chains};
use self::stray::{stray_chains, stray_rule};
use self::translate::{
    cluster_ip_rules, external_rules, local_policy_rules, service_rules, translate_rules,
};
use self::unknown::{unknown_are_left, unknown_end, unknown_rules};

mod affinity;
mod conditions;
mod count;
mod refuse;
mod stray;
mod translate;
mod unknown;

const SERVICES: &str = "services";
const CLUSTER_IP: &str = "cluster-ip";
const EXTERNAL: &str = "external";
const EXTERNAL_LOCAL: &str = "external-local";
const NODE_PORT: &str = "node-port";
const NODE_PORT_LOCAL: &str = "node-port-local";
const ENDPOINTS: &str = "endpoints";
const LOCAL_ENDPOINTS: &str = "local-endpoints";
const NODE_PORT_ENDPOINTS: &str = "node-port-endpoints";
const LOCAL_NODE_PORT_ENDPOINTS: &str = "local-node-port-endpoints";
const CHECK_SOURCE: &str = "check-source";
const STRAY: &str = "stray";
const STRAY_OUTGOING: &str = "stray-outgoing";
const UNKNOWN_CONNECTION: &str = "unknown-connection";
const COUNT: &str = "count";
const REFUSE: &str = "refuse";
const REFUSE_CLUSTER_IP: &str = "refuse-cluster-ip";
/// Not `reject`, which nft reads as the statement: it could not load again what it listed.
const REJECT: &str = "reject-packet";

/// Runs before other people's source translation at `srcnat` (100), so that which of the two comes
/// first does not depend on the order in which the programs were started.
const POSTROUTING_PRIORITY: i32 = 90;
const DSTNAT_PRIORITY: i32 = -100;
/// Runs while the packet still has the destination that its sender gave it.
const SOURCE_RANGES_PRIORITY: i32 = DSTNAT_PRIORITY - 10;
const FILTER_PRIORITY: i32 = 0;

/// The sets and maps that exist whatever the cluster looks like.
pub(crate) fn permanent_sets() -> impl Iterator<Item = SetName> {
    let exact = || (1..=SlotClass::LARGEST_EXACT as usize).filter_map(SlotClass::of);
    [
        SetName::ClusterIps,
        SetName::ExternalAddresses,
        SetName::NodePorts,
        SetName::LocalPolicy,
        SetName::LocalPolicyNodePorts,
        SetName::Dropped,
        SetName::DroppedNodePorts,
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
        SetName::LocalEndpoints(_)
        | SetName::LocalNodePortEndpoints(_)
        | SetName::MaglevEndpoints(_)
        | SetName::LocalMaglevEndpoints(_)
        | SetName::MaglevNodePortEndpoints(_)
        | SetName::LocalMaglevNodePortEndpoints(_)
        | SetName::Restricted
        | SetName::AllowedSources
        | SetName::Affinity
        | SetName::AffinityNodePorts
        | SetName::AffinityEndpoints(_)
        | SetName::LocalAffinityEndpoints(_)
        | SetName::AffinityNodePortEndpoints(_)
        | SetName::LocalAffinityNodePortEndpoints(_)
        | SetName::Clients(_)
        | SetName::LocalClients(_)
        | SetName::Connections
        | SetName::NodePortConnections => false,
        _ => true,
    }
}

/// The map that must be there while the set is: packets fill it.
pub(crate) fn companion(set: SetName) -> Option<SetName> {
    match set {
        SetName::AffinityEndpoints(timeout) | SetName::AffinityNodePortEndpoints(timeout) => {
            Some(SetName::Clients(timeout))
        }
        SetName::LocalAffinityEndpoints(timeout)
        | SetName::LocalAffinityNodePortEndpoints(timeout) => Some(SetName::LocalClients(timeout)),
        _ => None,
    }
}

/// All chains, when these sets exist; a chain stands before those that jump to it.
pub(crate) fn chains(
    family: Family,
    options: &Options,
    node: &Node,
    sets: &BTreeSet<SetName>,
) -> Vec<Chain> {
    let nat = |point, priority| hook(HookKind::Nat, point, priority);
    let filter = |point| hook(HookKind::Filter, point, FILTER_PRIORITY);
    let to_services = || rule("", [Statement::Jump(SERVICES)]);
    let new_to = |chain| rule("", [Statement::ConnectionIsNew, Statement::Jump(chain)]);
    let plain = |name, rules| chain(name, None, rules);
    let endpoints = |name, guard, local, is_in: fn(SetName) -> bool| {
        let maps = sets.iter().copied().filter(|set| is_in(*set));
        let sticky = sticky_rule(sets, guard, local).into_iter();
        plain(name, sticky.chain(translate_rules(maps)).collect())
    };
    let from_pods = FromPods::new(family, options, node);
    let on_node_ports = node_port_addresses(family, options, node);
    let ends_unknown = options.reset_removed_endpoints;

    let filter_rules = |chains: &[&'static str], stray| -> Vec<Rule> {
        let remember = remembering_rule(sets).into_iter();
        let refuse = chains.iter().copied().map(new_to);
        let stray = options.drop_stray.then(|| stray_rule(stray));
        remember.chain(refuse).chain(stray).collect()
    };

    let mut chains = source_range_chains(sets);
    chains.extend(affinity_chains(sets));
    chains.extend(count_chain(sets));
    if options.drop_stray {
        chains.extend(stray_chains(&on_node_ports));
    }
    chains.extend([
        endpoints(ENDPOINTS, SetName::Affinity, false, |set| {
            matches!(set, SetName::Endpoints(_) | SetName::MaglevEndpoints(_))
        }),
        endpoints(LOCAL_ENDPOINTS, SetName::Affinity, true, |set| {
            matches!(
                set,
                SetName::LocalEndpoints(_) | SetName::LocalMaglevEndpoints(_)
            )
        }),
        endpoints(
            NODE_PORT_ENDPOINTS,
            SetName::AffinityNodePorts,
            false,
            |set| {
                matches!(
                    set,
                    SetName::NodePortEndpoints(_) | SetName::MaglevNodePortEndpoints(_)
                )
            },
        ),
        endpoints(
            LOCAL_NODE_PORT_ENDPOINTS,
            SetName::AffinityNodePorts,
            true,
            |set| {
                matches!(
                    set,
                    SetName::LocalNodePortEndpoints(_) | SetName::LocalMaglevNodePortEndpoints(_)
                )
            },
        ),
        plain(CLUSTER_IP, cluster_ip_rules(options, from_pods.as_ref())),
        plain(
            EXTERNAL_LOCAL,
            local_policy_rules(options, from_pods.as_ref(), ENDPOINTS, LOCAL_ENDPOINTS),
        ),
        plain(
            EXTERNAL,
            external_rules(options, SetName::LocalPolicy, EXTERNAL_LOCAL, ENDPOINTS),
        ),
        plain(
            NODE_PORT_LOCAL,
            local_policy_rules(
                options,
                from_pods.as_ref(),
                NODE_PORT_ENDPOINTS,
                LOCAL_NODE_PORT_ENDPOINTS,
            ),
        ),
        plain(
            NODE_PORT,
            external_rules(
                options,
                SetName::LocalPolicyNodePorts,
                NODE_PORT_LOCAL,
                NODE_PORT_ENDPOINTS,
            ),
        ),
        plain(
            SERVICES,
            service_rules(&on_node_ports, ends_unknown.then(unknown_are_left)),
        ),
        plain(REJECT, reject_rules()),
    ]);
    if ends_unknown {
        chains.push(plain(UNKNOWN_CONNECTION, unknown_rules(&on_node_ports)));
    }
    chains.extend([
        plain(
            REFUSE,
            refuse_rules(&on_node_ports, ends_unknown.then(unknown_end)),
        ),
        plain(REFUSE_CLUSTER_IP, refuse_cluster_ip_rules(family, node)),
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
            counting_rule(sets)
                .into_iter()
                .chain(masquerade_rules(options))
                .collect(),
        ),
        chain(
            "filter-input",
            filter(HookPoint::Input),
            filter_rules(&[REFUSE], STRAY),
        ),
        chain(
            "filter-forward",
            filter(HookPoint::Forward),
            filter_rules(&[REFUSE, REFUSE_CLUSTER_IP], STRAY_OUTGOING),
        ),
        chain(
            "filter-output",
            filter(HookPoint::Output),
            filter_rules(&[REFUSE, REFUSE_CLUSTER_IP], STRAY_OUTGOING),
        ),
    ]);
    chains.extend(counting_rule(sets).map(|rule| {
        let input = nat(HookPoint::Input, POSTROUTING_PRIORITY);
        chain("nat-input", input, vec![rule])
    }));
    chains
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

fn join(first: Statement, conditions: &[Statement], end: Statement) -> Vec<Statement> {
    let mut statements = vec![first];
    statements.extend_from_slice(conditions);
    statements.push(end);
    statements
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
