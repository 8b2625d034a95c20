//! Packets that conntrack takes for part of no connection, and that are therefore not translated.
//!
//! One that comes in the middle of a connection that lives, late or out of the window, reaches somebody
//! who knows of no such connection and answers with a reset, which ends the one it was part of. See
//! `docs/decisions/0006-stray-packets.md`.

use crate::{Chain, Rule, SetName, Statement};

use super::{STRAY, STRAY_OUTGOING, chain, in_set, join, rule};

/// What filter hooks lead to, where packets may leave the node and where they end.
pub(super) fn stray_chains(on_node_ports: &[Vec<Statement>]) -> Vec<Chain> {
    let resets = rule("no connection", [Statement::IsTcpReset, Statement::Drop]);
    let others = rule("", [Statement::Goto(STRAY)]);
    vec![
        chain(STRAY, None, to_frontends(on_node_ports)),
        chain(STRAY_OUTGOING, None, vec![resets, others]),
    ]
}

/// Nobody but an endpoint could make anything of what is sent to a frontend.
fn to_frontends(on_node_ports: &[Vec<Statement>]) -> Vec<Rule> {
    let addresses = [SetName::ClusterIps, SetName::ExternalAddresses];
    let addresses = addresses.map(|set| rule("", [in_set(set), Statement::Drop]));
    let node_ports = on_node_ports.iter().map(|address| {
        let node_port = in_set(SetName::NodePorts);
        rule("", join(node_port, address, Statement::Drop))
    });
    addresses.into_iter().chain(node_ports).collect()
}

/// Passed by every packet.
pub(super) fn stray_rule(target: &'static str) -> Rule {
    let statements = [Statement::ConnectionIsInvalid, Statement::Jump(target)];
    rule("", statements)
}
