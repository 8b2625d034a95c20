//! How clients stay with their endpoint.
//!
//! A client's first connection is spread like any other. Once it is translated, a rule at one of
//! the filter hooks stores which endpoint it got; later connections find it there. A rule cannot
//! look up with what another look-up found, so what is stored is not checked when it is used, but
//! when it is stored: only endpoints that clients may stay with are.

use std::collections::BTreeSet;

use fairway_model::Protocol;

use crate::{Chain, IdleTimeout, Rule, Selector, SetName, Statement};

use super::{chain, in_set, rule};

const STICKY: &str = "sticky";
const LOCAL_STICKY: &str = "local-sticky";
const REMEMBER: &str = "remember";
/// One each, because nft reads `ct original proto-dst` only where it knows the protocol.
const REMEMBER_PROTOCOL: [(Protocol, &str); 3] = [
    (Protocol::Tcp, "remember-tcp"),
    (Protocol::Udp, "remember-udp"),
    (Protocol::Sctp, "remember-sctp"),
];

/// What a client asked for, as it stands in a packet before translation.
const ASKED: [Selector; 3] = [
    Selector::DestinationAddress,
    Selector::Protocol,
    Selector::DestinationPort,
];
/// The same after translation.
pub(super) const HAD_ASKED: [Selector; 3] = [
    Selector::AskedAddress,
    Selector::Protocol,
    Selector::AskedPort,
];
pub(super) const ENDPOINT: [Selector; 2] =
    [Selector::DestinationAddress, Selector::DestinationPort];

/// Chains that send clients to the endpoint they had, and chains that store which one they got.
pub(super) fn affinity_chains(sets: &BTreeSet<SetName>) -> Vec<Chain> {
    let mut chains = Vec::new();
    for (name, local) in [(STICKY, false), (LOCAL_STICKY, true)] {
        let translate = |map| {
            let key = [&[Selector::SourceAddress], &ASKED[..]].concat();
            rule("", [Statement::Translate { key, map }])
        };
        let rules: Vec<_> = clients(sets, local).map(translate).collect();
        if !rules.is_empty() {
            chains.push(chain(name, None, rules));
        }
    }
    if !chains.is_empty() {
        chains.extend(remember_chains(sets));
    }
    chains
}

/// What stands before the rules that pick an endpoint: clients that are remembered do not come back.
pub(super) fn sticky_rule(sets: &BTreeSet<SetName>, guard: SetName, local: bool) -> Option<Rule> {
    let target = if local { LOCAL_STICKY } else { STICKY };
    let wanted = sets.contains(&guard) && clients(sets, local).next().is_some();
    wanted.then(|| rule("", [in_set(guard), Statement::Jump(target)]))
}

/// What a filter hook leads new connections to that were translated, if there is anything to store.
pub(super) fn remembering_rule(sets: &BTreeSet<SetName>) -> Option<Rule> {
    let statements = [
        Statement::ConnectionIsNew,
        Statement::ConnectionIsTranslated,
        Statement::Jump(REMEMBER),
    ];
    let wanted = sets.iter().any(|set| set.is_filled_by_packets());
    wanted.then(|| rule("", statements))
}

fn remember_chains(sets: &BTreeSet<SetName>) -> Vec<Chain> {
    let guards = [
        (SetName::Affinity, &HAD_ASKED[..]),
        (SetName::AffinityNodePorts, &HAD_ASKED[1..]),
    ];
    let guards = guards.into_iter().filter(|(set, _)| sets.contains(set));
    let dispatch = guards.flat_map(|(set, key)| {
        REMEMBER_PROTOCOL.map(|(protocol, target)| {
            let key = key.to_vec();
            let statements = [
                Statement::ProtocolIs(protocol),
                Statement::InSet { key, set },
                Statement::Goto(target),
            ];
            rule("", statements)
        })
    });
    let mut chains: Vec<_> = REMEMBER_PROTOCOL
        .map(|(protocol, name)| chain(name, None, remember_rules(sets, protocol)))
        .into();
    chains.push(chain(REMEMBER, None, dispatch.collect()));
    chains
}

/// Stores where the connection went, in each map whose readers may go there. Where nobody may stay,
/// the client is forgotten: it was sent here by what has become outdated since it was stored.
fn remember_rules(sets: &BTreeSet<SetName>, protocol: Protocol) -> Vec<Rule> {
    let maps = |local| clients(sets, local);
    let rule = |statements: &[Statement]| {
        let protocol = [Statement::ProtocolIs(protocol)];
        rule("", [&protocol, statements].concat())
    };
    let remember = |map| {
        let (key, value) = (client_key(), ENDPOINT.to_vec());
        Statement::Remember { key, value, map }
    };
    let is_endpoint = |map| {
        let sets = endpoints_of(map)
            .into_iter()
            .filter(|(set, _)| sets.contains(set));
        sets.map(|(set, asked)| Statement::InSet {
            key: [asked, &ENDPOINT].concat(),
            set,
        })
    };
    let mut rules = Vec::new();
    for map in maps(true) {
        let endpoints = is_endpoint(map);
        rules.extend(endpoints.map(|endpoint| rule(&[endpoint, remember(map)])));
    }
    for map in maps(false) {
        let endpoints = is_endpoint(map);
        rules.extend(endpoints.map(|endpoint| rule(&[endpoint, remember(map), Statement::Return])));
    }
    for map in maps(true) {
        let endpoints = is_endpoint(map);
        rules.extend(endpoints.map(|endpoint| rule(&[endpoint, Statement::Return])));
    }
    rules.extend(maps(false).chain(maps(true)).map(|map| {
        let (key, value) = (client_key(), ENDPOINT.to_vec());
        rule(&[Statement::Forget { key, value, map }])
    }));
    rules
}

/// The maps of clients that exist.
fn clients(sets: &BTreeSet<SetName>, local: bool) -> impl Iterator<Item = SetName> {
    sets.iter().copied().filter(move |set| match set {
        SetName::Clients(_) => !local,
        SetName::LocalClients(_) => local,
        _ => false,
    })
}

/// The sets of endpoints that clients in this map may stay with, and what comes before the endpoint
/// in their keys.
fn endpoints_of(map: SetName) -> Vec<(SetName, &'static [Selector])> {
    let of =
        |address: fn(IdleTimeout) -> SetName, node_port: fn(IdleTimeout) -> SetName, timeout| {
            vec![
                (address(timeout), &HAD_ASKED[..]),
                (node_port(timeout), &HAD_ASKED[1..]),
            ]
        };
    match map {
        SetName::Clients(timeout) => of(
            SetName::AffinityEndpoints,
            SetName::AffinityNodePortEndpoints,
            timeout,
        ),
        SetName::LocalClients(timeout) => of(
            SetName::LocalAffinityEndpoints,
            SetName::LocalAffinityNodePortEndpoints,
            timeout,
        ),
        _ => Vec::new(),
    }
}

fn client_key() -> Vec<Selector> {
    [&[Selector::Client], &HAD_ASKED[..]].concat()
}
