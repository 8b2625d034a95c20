//! Counts connections, by what was asked for and the endpoint that was found: translated packets look
//! themselves up in a set whose elements count. See `docs/decisions/0012-connection-counters.md`.
//!
//! The chains for source translation meet the first packet of a connection that leaves a hook, and
//! only one of them does: the kernel asks none once the source is settled.

use std::collections::BTreeSet;

use fairway_model::Protocol;

use crate::{Chain, Rule, SetName, Statement};

use super::affinity::{ENDPOINT, HAD_ASKED};
use super::{COUNT, chain, rule};

/// What stands first where sources are translated, while there is anything to count.
pub(super) fn counting_rule(sets: &BTreeSet<SetName>) -> Option<Rule> {
    let statements = [Statement::ConnectionIsTranslated, Statement::Jump(COUNT)];
    let wanted = sets.iter().any(|set| set.counts());
    wanted.then(|| rule("", statements))
}

/// A node port is told from an address by what is not in the other set. TCP comes first, because there
/// is most of it; nft reads `ct original proto-dst` only where it knows the protocol.
pub(super) fn count_chain(sets: &BTreeSet<SetName>) -> Option<Chain> {
    let counting = [
        (SetName::Connections, &HAD_ASKED[..]),
        (SetName::NodePortConnections, &HAD_ASKED[1..]),
    ];
    let counting = counting.into_iter().filter(|(set, _)| sets.contains(set));
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let rules: Vec<_> = protocols
        .into_iter()
        .flat_map(|protocol| {
            counting.clone().map(move |(set, asked)| {
                let key = [asked, &ENDPOINT].concat();
                let statements = [
                    Statement::ProtocolIs(protocol),
                    Statement::InSet { key, set },
                    Statement::Return,
                ];
                rule("", statements)
            })
        })
        .collect();
    (!rules.is_empty()).then(|| chain(COUNT, None, rules))
}
