//! The chains and rules of a table: the same for every cluster but for the options and the node, and
//! for the classes of Services that occur. See `docs/decisions/0001-data-plane-layout.md`.

use std::collections::BTreeSet;

use fairway_model::Node;

use crate::{
    Chain, Family, Hook, HookKind, HookPoint, Options, Rule, Selector, SetName, SlotClass,
    Statement,
};

use self::conditions::FromPods;
pub(crate) use self::conditions::node_port_addresses;

mod conditions;

/// How often a large class draws a slot before it settles for the lower half of its slots, all of
/// which are taken. With 4, the last endpoints of the least full class get at worst 1/16 less than
/// their share; half-way up it is 1/256.
const DRAWS: usize = 4;

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
        | SetName::Restricted
        | SetName::AllowedSources => false,
        _ => true,
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
    let endpoints = |name, is_in: fn(SetName) -> bool| {
        let maps = sets.iter().copied().filter(|set| is_in(*set));
        plain(name, translate_rules(maps))
    };
    let from_pods = FromPods::new(family, options, node);
    let on_node_ports = node_port_addresses(family, options, node);

    let mut chains = source_range_chains(sets);
    chains.extend([
        endpoints(ENDPOINTS, |set| matches!(set, SetName::Endpoints(_))),
        endpoints(LOCAL_ENDPOINTS, |set| {
            matches!(set, SetName::LocalEndpoints(_))
        }),
        endpoints(NODE_PORT_ENDPOINTS, |set| {
            matches!(set, SetName::NodePortEndpoints(_))
        }),
        endpoints(LOCAL_NODE_PORT_ENDPOINTS, |set| {
            matches!(set, SetName::LocalNodePortEndpoints(_))
        }),
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
        plain(SERVICES, service_rules(&on_node_ports)),
        plain(REJECT, reject_rules()),
        plain(REFUSE, refuse_rules(&on_node_ports)),
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
            masquerade_rules(options),
        ),
        chain(
            "filter-input",
            filter(HookPoint::Input),
            vec![new_to(REFUSE)],
        ),
        chain(
            "filter-forward",
            filter(HookPoint::Forward),
            vec![new_to(REFUSE), new_to(REFUSE_CLUSTER_IP)],
        ),
        chain(
            "filter-output",
            filter(HookPoint::Output),
            vec![new_to(REFUSE), new_to(REFUSE_CLUSTER_IP)],
        ),
    ]);
    chains
}

/// Who may use load balancers' addresses. There is nothing to pass through unless a Service asks.
fn source_range_chains(sets: &BTreeSet<SetName>) -> Vec<Chain> {
    if !sets.contains(&SetName::Restricted) {
        return Vec::new();
    }
    let mut check = Vec::new();
    if sets.contains(&SetName::AllowedSources) {
        check.push(rule(
            "",
            [in_set(SetName::AllowedSources), Statement::Return],
        ));
    }
    check.push(rule("not in a source range", [Statement::Drop]));
    let restricted = || {
        vec![rule(
            "",
            [
                Statement::ConnectionIsNew,
                in_set(SetName::Restricted),
                Statement::Goto(CHECK_SOURCE),
            ],
        )]
    };
    let filter = |point| hook(HookKind::Filter, point, SOURCE_RANGES_PRIORITY);
    vec![
        chain(CHECK_SOURCE, None, check),
        chain(
            "source-ranges-prerouting",
            filter(HookPoint::Prerouting),
            restricted(),
        ),
        chain(
            "source-ranges-output",
            filter(HookPoint::Output),
            restricted(),
        ),
    ]
}

/// Traffic for no Service leaves after three look-ups.
fn service_rules(on_node_ports: &[Vec<Statement>]) -> Vec<Rule> {
    let mut rules = vec![
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
    ];
    rules.extend(on_node_ports.iter().map(|address| {
        let end = Statement::Goto(NODE_PORT);
        rule("", join(in_set(SetName::NodePorts), address, end))
    }));
    rules
}

fn cluster_ip_rules(options: &Options, from_pods: Option<&FromPods>) -> Vec<Rule> {
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
fn external_rules(
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
fn local_policy_rules(
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

/// One rule per exact class; a large class draws several times, then from the half that is full.
fn translate_rules(maps: impl Iterator<Item = SetName>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for map in maps {
        let key = map.shape().key;
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

/// Runs after translation: a packet that still has a Service's address found no endpoint. One that
/// was translated is none of them, even if an endpoint has the address of a frontend.
fn refuse_rules(on_node_ports: &[Vec<Statement>]) -> Vec<Rule> {
    let reject = Statement::Goto(REJECT);
    let mut rules = vec![
        rule("", [Statement::ConnectionIsTranslated, Statement::Return]),
        rule(
            "no local endpoints",
            [in_set(SetName::Dropped), Statement::Drop],
        ),
        rule("no endpoints", [in_set(SetName::Refused), reject.clone()]),
    ];
    for address in on_node_ports {
        let dropped = in_set(SetName::DroppedNodePorts);
        rules.push(rule(
            "no local endpoints",
            join(dropped, address, Statement::Drop),
        ));
        let refused = in_set(SetName::RefusedNodePorts);
        rules.push(rule("no endpoints", join(refused, address, reject.clone())));
    }
    rules
}

/// Also runs after translation, for packets that do not end here.
fn refuse_cluster_ip_rules(family: Family, node: &Node) -> Vec<Rule> {
    let mut rules = vec![
        rule("", [Statement::ConnectionIsTranslated, Statement::Return]),
        rule(
            "no such port",
            [in_set(SetName::ClusterIps), Statement::Goto(REJECT)],
        ),
    ];
    // Its router would send such a packet back to a node.
    let service_cidrs = node.service_cidrs.iter();
    let service_cidrs = service_cidrs.filter(|network| Family::of(network.addr()) == family);
    rules.extend(service_cidrs.map(|network| {
        let network = Statement::DestinationIn {
            network: *network,
            negated: false,
        };
        rule("no such Service", [network, Statement::Drop])
    }));
    rules
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
