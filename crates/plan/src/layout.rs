//! The chains and rules of a table: the same for every cluster but for the options and the node, and
//! for the classes of Services that occur. See `docs/decisions/0001-data-plane-layout.md`.

use std::collections::BTreeSet;

use fairway_model::Node;

use crate::{Chain, Family, Hook, Options, Rule, SetName, SlotClass, Statement};

use self::affinity::affinity_chains;
use self::conditions::FromPods;
pub(crate) use self::conditions::node_port_addresses;
use self::count::count_chain;
use self::frontends::{frontend_chains, service_rules};
use self::hooks::hook_chains;
pub(crate) use self::refuse::cause;
use self::refuse::{refuse_cluster_ip_rules, refuse_rules, reject_rules, source_range_chains};
use self::stray::stray_chains;
use self::translate::endpoint_chains;
use self::unknown::{unknown_are_left, unknown_end, unknown_rules};

mod affinity;
mod conditions;
mod count;
mod frontends;
mod hooks;
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
    let from_pods = FromPods::new(family, options, node);
    let on_node_ports = node_port_addresses(family, options, node);
    let ends_unknown = options.reset_removed_endpoints;
    let plain = |name, rules| chain(name, None, rules);

    let mut chains = source_range_chains(sets);
    chains.extend(affinity_chains(sets));
    chains.extend(count_chain(sets));
    if options.drop_stray {
        chains.extend(stray_chains(&on_node_ports));
    }
    chains.extend(endpoint_chains(sets));
    chains.extend(frontend_chains(options, from_pods.as_ref()));
    chains.extend([
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
    ]);
    chains.extend(hook_chains(options, sets));
    chains
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

fn rule(comment: &'static str, statements: impl Into<Vec<Statement>>) -> Rule {
    Rule {
        statements: statements.into(),
        comment,
    }
}
