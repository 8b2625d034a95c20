//! What becomes of packets that nobody is to have.

use std::collections::BTreeSet;

use fairway_model::Node;

use crate::{Cause, Chain, Family, HookKind, HookPoint, Rule, SetName, Statement};

use super::hooks::{SOURCE_RANGES_PRIORITY, hook};
use super::{CHECK_SOURCE, REJECT, chain, in_set, join, rule};

/// What the rules say who end a packet's way, for who reads `nft list` and for who asks.
const CAUSES: [(&str, Cause); 5] = [
    ("not in a source range", Cause::NotInSourceRange),
    ("no local endpoints", Cause::NoLocalEndpoints),
    ("no endpoints", Cause::NoEndpoints),
    ("no such port", Cause::NoSuchPort),
    ("no such Service", Cause::NoSuchService),
];

/// What the comment of a rule stands for.
pub(crate) fn cause(comment: &str) -> Option<Cause> {
    let found = CAUSES.iter().find(|(text, _)| *text == comment);
    found.map(|(_, cause)| *cause)
}

fn comment(cause: Cause) -> &'static str {
    let found = CAUSES.iter().find(|(_, it)| *it == cause);
    found.map_or("", |(text, _)| *text)
}

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
    check.push(rule(comment(Cause::NotInSourceRange), [Statement::Drop]));
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
            comment(Cause::NoLocalEndpoints),
            [in_set(SetName::Dropped), Statement::Drop],
        ),
        rule(
            comment(Cause::NoEndpoints),
            [in_set(SetName::Refused), reject.clone()],
        ),
    ]);
    for address in on_node_ports {
        let dropped = in_set(SetName::DroppedNodePorts);
        rules.push(rule(
            comment(Cause::NoLocalEndpoints),
            join(dropped, address, Statement::Drop),
        ));
        let refused = in_set(SetName::RefusedNodePorts);
        rules.push(rule(
            comment(Cause::NoEndpoints),
            join(refused, address, reject.clone()),
        ));
    }
    rules
}

/// Also runs after translation, for packets that do not end here.
pub(super) fn refuse_cluster_ip_rules(family: Family, node: &Node) -> Vec<Rule> {
    let mut rules = vec![
        rule("", [Statement::ConnectionIsTranslated, Statement::Return]),
        rule(
            comment(Cause::NoSuchPort),
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
        rule(comment(Cause::NoSuchService), [network, Statement::Drop])
    }));
    rules
}

/// TCP gets a reset: over IPv6 a client that is still connecting takes no notice of an ICMPv6 error
/// and tries again after a second.
pub(super) fn reject_rules() -> Vec<Rule> {
    vec![rule("", [Statement::Reset]), rule("", [Statement::Reject])]
}
