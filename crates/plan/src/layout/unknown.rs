//! TCP connections that this node does not know, perhaps because their endpoint is gone: these are
//! deleted from conntrack as stale UDP flows are. See `docs/decisions/0009-fast-failure-is-a-flag.md`.

use crate::{Rule, SetName, Statement};

use super::{REJECT, UNKNOWN_CONNECTION, in_set, join, rule};

/// They are not translated: no other endpoint could go on with the connection.
pub(super) fn unknown_are_left() -> Rule {
    let statements = [Statement::IsMidConnection, Statement::Return];
    rule("not the first of a connection", statements)
}

/// To conntrack it is the first of one.
pub(super) fn unknown_end() -> Rule {
    rule(
        "",
        [
            Statement::IsMidConnection,
            Statement::Goto(UNKNOWN_CONNECTION),
        ],
    )
}

/// It is told from all others by where it is sent.
pub(super) fn unknown_rules(on_node_ports: &[Vec<Statement>]) -> Vec<Rule> {
    let comment = "its connection is gone";
    let reject = Statement::Goto(REJECT);
    let addresses = [SetName::ClusterIps, SetName::ExternalAddresses];
    let addresses = addresses.map(|set| rule(comment, [in_set(set), reject.clone()]));
    let node_ports = on_node_ports.iter().map(|address| {
        let node_port = in_set(SetName::NodePorts);
        rule(comment, join(node_port, address, reject.clone()))
    });
    addresses.into_iter().chain(node_ports).collect()
}
