//! What becomes of packets that nobody is to have.

use std::collections::BTreeSet;

use fairway_model::Node;

use crate::{Chain, Family, HookKind, HookPoint, Rule, SetName, Statement};

use super::{CHECK_SOURCE, REJECT, SOURCE_RANGES_PRIORITY, chain, hook, in_set, join, rule};

/// Who may use load balancers' addresses. There is nothing to pass through unless a Service asks.
pub(super) fn source_range_chains(sets: &BTreeSet<SetName>) -> Vec<Chain> {
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

/// Runs after translation: a packet that still has a Service's address found no endpoint. One that
/// was translated is none of them, even if an endpoint has the address of a frontend.
pub(super) fn refuse_rules(on_node_ports: &[Vec<Statement>], unknown: Option<Rule>) -> Vec<Rule> {
    let reject = Statement::Goto(REJECT);
    let translated = [Statement::ConnectionIsTranslated, Statement::Return];
    let mut rules = vec![rule("", translated)];
    rules.extend(unknown);
    rules.extend([
        rule(
            "no local endpoints",
            [in_set(SetName::Dropped), Statement::Drop],
        ),
        rule("no endpoints", [in_set(SetName::Refused), reject.clone()]),
    ]);
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
pub(super) fn refuse_cluster_ip_rules(family: Family, node: &Node) -> Vec<Rule> {
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
pub(super) fn reject_rules() -> Vec<Rule> {
    vec![rule("", [Statement::Reset]), rule("", [Statement::Reject])]
}
