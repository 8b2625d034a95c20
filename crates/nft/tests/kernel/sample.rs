//! Rulesets by hand, and the transactions that make them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use fairway_model::{Port, Protocol};
use fairway_plan::{
    Bytes, Chain, Change, Element, Family, HashedBy, Hook, HookKind, HookPoint, MaglevTable,
    Observed, ObservedChain, ObservedSet, Rule, Ruleset, Selector, SetName, SlotClass, Statement,
    TableSize, Transaction,
};

pub(crate) fn class(slots: usize) -> SlotClass {
    let class = SlotClass::of(slots).expect("not zero");
    assert_eq!(class.slots() as usize, slots);
    class
}

fn table(by: HashedBy, shares: usize) -> MaglevTable {
    let size = TableSize::of(shares);
    MaglevTable { by, size }
}

pub(crate) fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}

/// The `number`th address of a family, from 10.0.0.0 or fd00::.
pub(crate) fn address(family: Family, number: u32) -> IpAddr {
    match family {
        Family::Ip4 => Ipv4Addr::from_bits((10 << 24) + number).into(),
        Family::Ip6 => Ipv6Addr::from_bits((0xfd00 << 112) + u128::from(number)).into(),
    }
}

/// The address, protocol and port of service `number`.
pub(crate) fn service(family: Family, number: u32) -> Bytes {
    Bytes::new()
        .address(address(family, number))
        .protocol(Protocol::Tcp)
        .port(port(80))
}

/// An endpoint as the value of a map.
pub(crate) fn endpoint(family: Family, number: u32) -> Bytes {
    Bytes::new()
        .address(address(family, (1 << 20) + number))
        .port(port(8080))
}

/// A frontend with an endpoint.
pub(crate) fn counted(mut frontend: Bytes, family: Family, number: u32) -> Bytes {
    frontend.0.extend_from_slice(&endpoint(family, number).0);
    frontend
}

pub(crate) fn element(set: SetName, key: Bytes, value: Bytes) -> Element {
    Element { set, key, value }
}

/// Every kind of set and every kind of statement.
pub(crate) fn ruleset(family: Family) -> Ruleset {
    Ruleset {
        family,
        sets: sets(family),
        chains: chains(family),
    }
}

/// What nft 1.0.6 can load of the [`ruleset`]. It lists every rule of it, but its parser aborts where
/// a rule adds to a map by a key of more than 16 bytes, a fault that went with nft 1.0.7.
pub(crate) fn loadable(family: Family) -> Ruleset {
    let mut ruleset = ruleset(family);
    let fills = |rule: &Rule| {
        let mut statements = rule.statements.iter();
        statements.any(|it| matches!(it, Statement::Remember { .. } | Statement::Forget { .. }))
    };
    if family == Family::Ip6 {
        for chain in &mut ruleset.chains {
            chain.rules.retain(|rule| !fills(rule));
        }
    }
    ruleset
}

/// A service that the network of address 198.51.100.4 or fd00:4:: with that prefix may use, longer
/// for IPv6.
fn restricted(family: Family, number: u32, prefix: u8) -> Bytes {
    let network = match family {
        Family::Ip4 => IpNet::new(Ipv4Addr::new(198, 51, 100, 4).into(), prefix),
        Family::Ip6 => IpNet::new(Ipv6Addr::from_bits(0xfd00_0004 << 96).into(), 4 * prefix),
    };
    service(family, number).network(network.expect("a valid prefix").trunc())
}

fn sets(family: Family) -> BTreeMap<SetName, BTreeMap<Bytes, Bytes>> {
    let node_port = |number| Bytes::new().protocol(Protocol::Udp).port(port(number));
    let none = Bytes::new;
    BTreeMap::from([
        (
            SetName::ClusterIps,
            (0..3)
                .map(|n| (Bytes::new().address(address(family, n)), none()))
                .collect(),
        ),
        (
            SetName::NodePorts,
            [30000, 30001].map(|n| (node_port(n), none())).into(),
        ),
        (SetName::Refused, [(service(family, 2), none())].into()),
        (
            SetName::RefusedNodePorts,
            [(node_port(31000), none())].into(),
        ),
        (
            SetName::Hairpin,
            (0..2)
                .map(|n| {
                    let address = address(family, n);
                    (Bytes::new().address(address).address(address), none())
                })
                .collect(),
        ),
        (
            SetName::Endpoints(class(1)),
            [(service(family, 1), endpoint(family, 1))].into(),
        ),
        (
            SetName::Endpoints(class(2)),
            (0..2)
                .map(|n| (service(family, 0).slot(n), endpoint(family, n)))
                .collect(),
        ),
        (
            SetName::Endpoints(class(16)),
            [0, 15]
                .map(|n| (service(family, 3).slot(n), endpoint(family, n)))
                .into(),
        ),
        (
            SetName::NodePortEndpoints(class(1)),
            [(node_port(30000), endpoint(family, 1))].into(),
        ),
        (
            SetName::NodePortEndpoints(class(2)),
            (0..2)
                .map(|n| (node_port(30001).slot(n), endpoint(family, n)))
                .collect(),
        ),
        (
            SetName::ExternalAddresses,
            [(service(family, 7), none())].into(),
        ),
        (SetName::LocalPolicy, [(service(family, 7), none())].into()),
        (
            SetName::LocalPolicyNodePorts,
            [(node_port(30001), none())].into(),
        ),
        (SetName::Dropped, [(service(family, 7), none())].into()),
        (
            SetName::DroppedNodePorts,
            [(node_port(30001), none())].into(),
        ),
        (
            SetName::LocalEndpoints(class(1)),
            [(service(family, 7), endpoint(family, 1))].into(),
        ),
        (
            SetName::LocalNodePortEndpoints(class(2)),
            (0..2)
                .map(|n| (node_port(30001).slot(n), endpoint(family, n)))
                .collect(),
        ),
        (SetName::Restricted, [(service(family, 7), none())].into()),
        (
            SetName::AllowedSources,
            [(7, 8), (8, 13), (9, 32), (10, 31), (11, 25)]
                .map(|(number, prefix)| (restricted(family, number, prefix), none()))
                .into(),
        ),
        (SetName::Affinity, [(service(family, 0), none())].into()),
        (
            SetName::AffinityNodePorts,
            [(node_port(30001), none())].into(),
        ),
        (
            SetName::AffinityEndpoints(10_800),
            (0..2)
                .map(|n| {
                    let endpoint = endpoint(family, n).0;
                    let mut key = service(family, 0);
                    key.0.extend_from_slice(&endpoint);
                    (key, none())
                })
                .collect(),
        ),
        (
            SetName::Connections,
            (0..2)
                .map(|n| (counted(service(family, 0), family, n), none()))
                .collect(),
        ),
        (
            SetName::NodePortConnections,
            [(counted(node_port(30001), family, 1), none())].into(),
        ),
        (
            SetName::LocalAffinityNodePortEndpoints(10_800),
            (0..2)
                .map(|n| {
                    let endpoint = endpoint(family, n).0;
                    let mut key = node_port(30001);
                    key.0.extend_from_slice(&endpoint);
                    (key, none())
                })
                .collect(),
        ),
        (
            SetName::MaglevEndpoints(table(HashedBy::Client, 2)),
            (0..2)
                .map(|n| (service(family, 5).slot(n), endpoint(family, n)))
                .collect(),
        ),
        (
            SetName::LocalMaglevNodePortEndpoints(table(HashedBy::Connection, 20)),
            [(node_port(30001).slot(508), endpoint(family, 1))].into(),
        ),
        (SetName::Clients(10_800), BTreeMap::new()),
        (SetName::LocalClients(86_399), BTreeMap::new()),
        // Not used by a rule, and empty.
        (
            SetName::LocalNodePortEndpoints(class(65536)),
            BTreeMap::new(),
        ),
        (SetName::NodePortEndpoints(class(65536)), BTreeMap::new()),
    ])
}

const SERVICE: [Selector; 3] = [
    Selector::DestinationAddress,
    Selector::Protocol,
    Selector::DestinationPort,
];
const NODE_PORT: [Selector; 2] = [Selector::Protocol, Selector::DestinationPort];

fn chains(family: Family) -> Vec<Chain> {
    use Statement::*;

    let rule = |comment, statements: &[Statement]| Rule {
        statements: statements.to_vec(),
        comment,
    };
    let slot = |key: &[Selector], slots| [key, &[Selector::RandomSlot(slots)]].concat();
    let translate = |key: &[Selector], map| Translate {
        key: key.to_vec(),
        map,
    };
    let maglev = |key: &[Selector], map: SetName| {
        let MaglevTable { by, size } = map.table().expect("a map of endpoints");
        let slot = match by {
            HashedBy::Client => Selector::ClientSlot(size.slots()),
            HashedBy::Connection => Selector::ConnectionSlot(size.slots()),
        };
        translate(&[key, &[slot]].concat(), map)
    };
    let in_set = |key: &[Selector], set| InSet {
        key: key.to_vec(),
        set,
    };
    let network = |prefix| {
        let address = address(family, 0xff_ffff);
        ipnet::IpNet::new(address, prefix).expect("a valid prefix")
    };
    let allowed = [&SERVICE[..], &[Selector::SourceNetwork]].concat();
    let interface = |name: &str, prefix, negated| InterfaceIs {
        name: name.into(),
        prefix,
        negated,
    };
    let source = |prefix, negated| SourceIn {
        network: network(prefix),
        negated,
    };
    let destination = |prefix, negated| DestinationIn {
        network: network(prefix),
        negated,
    };
    let whole = match family {
        Family::Ip4 => 32,
        Family::Ip6 => 128,
    };
    let hook = |kind, point, priority| {
        Some(Hook {
            kind,
            point,
            priority,
        })
    };
    use HookKind::{Filter, Nat};
    use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};

    vec![
        Chain {
            name: "mark-for-masquerade",
            hook: None,
            rules: vec![rule("", &[SetMark(0x4000)])],
        },
        Chain {
            name: "services",
            hook: None,
            rules: vec![
                rule(
                    "all of \"one\"\nslot",
                    &[translate(&SERVICE, SetName::Endpoints(class(1)))],
                ),
                rule(
                    "",
                    &[translate(&slot(&SERVICE, 2), SetName::Endpoints(class(2)))],
                ),
                rule(
                    "large",
                    &[translate(
                        &slot(&SERVICE, 16),
                        SetName::Endpoints(class(16)),
                    )],
                ),
                rule(
                    "",
                    &[translate(&slot(&SERVICE, 8), SetName::Endpoints(class(16)))],
                ),
                rule(
                    "by client",
                    &[maglev(
                        &SERVICE,
                        SetName::MaglevEndpoints(table(HashedBy::Client, 2)),
                    )],
                ),
                rule(
                    "",
                    &[maglev(
                        &NODE_PORT,
                        SetName::LocalMaglevNodePortEndpoints(table(HashedBy::Connection, 20)),
                    )],
                ),
                rule(
                    "",
                    &[translate(&NODE_PORT, SetName::NodePortEndpoints(class(1)))],
                ),
                rule(
                    "",
                    &[translate(
                        &slot(&NODE_PORT, 2),
                        SetName::NodePortEndpoints(class(2)),
                    )],
                ),
            ],
        },
        Chain {
            name: "sticky",
            hook: None,
            rules: vec![rule(
                "",
                &[translate(
                    &[&[Selector::SourceAddress], &SERVICE[..]].concat(),
                    SetName::Clients(10_800),
                )],
            )],
        },
        Chain {
            name: "remember",
            hook: None,
            rules: [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
                .into_iter()
                .flat_map(|protocol| {
                    let had_asked = [
                        Selector::AskedAddress,
                        Selector::Protocol,
                        Selector::AskedPort,
                    ];
                    let endpoint = [Selector::DestinationAddress, Selector::DestinationPort];
                    let client = [&[Selector::Client], &had_asked[..]].concat();
                    let is_endpoint = in_set(
                        &[&had_asked[..], &endpoint].concat(),
                        SetName::AffinityEndpoints(10_800),
                    );
                    let node_port = in_set(
                        &[&had_asked[1..], &endpoint].concat(),
                        SetName::LocalAffinityNodePortEndpoints(10_800),
                    );
                    let counted =
                        in_set(&[&had_asked[..], &endpoint].concat(), SetName::Connections);
                    let node_port_counted = in_set(
                        &[&had_asked[1..], &endpoint].concat(),
                        SetName::NodePortConnections,
                    );
                    let remember = Remember {
                        key: client.clone(),
                        value: endpoint.to_vec(),
                        map: SetName::Clients(10_800),
                    };
                    let forget = Forget {
                        key: client,
                        value: endpoint.to_vec(),
                        map: SetName::LocalClients(86_399),
                    };
                    [
                        rule("", &[ProtocolIs(protocol), is_endpoint, remember, Return]),
                        rule("", &[ProtocolIs(protocol), node_port, Return]),
                        rule("forget", &[ProtocolIs(protocol), forget]),
                        rule("", &[ProtocolIs(protocol), counted]),
                        rule("", &[ProtocolIs(protocol), node_port_counted]),
                    ]
                })
                .collect(),
        },
        Chain {
            name: "nat-prerouting",
            hook: hook(Nat, Prerouting, -100),
            rules: vec![
                rule(
                    "from outside",
                    &[
                        in_set(&[Selector::DestinationAddress], SetName::ClusterIps),
                        source(16, true),
                        Jump("mark-for-masquerade"),
                    ],
                ),
                rule(
                    "",
                    &[
                        in_set(&[Selector::DestinationAddress], SetName::ClusterIps),
                        Goto("services"),
                    ],
                ),
                rule(
                    "",
                    &[
                        DestinationIsLocal,
                        in_set(&NODE_PORT, SetName::NodePorts),
                        Goto("services"),
                    ],
                ),
            ],
        },
        Chain {
            name: "nat-output",
            hook: hook(Nat, Output, -100),
            rules: vec![rule("", &[Jump("services")])],
        },
        Chain {
            name: "nat-postrouting",
            hook: hook(Nat, Postrouting, 100),
            rules: vec![
                rule(
                    "",
                    &[
                        ConnectionIsTranslated,
                        in_set(
                            &[Selector::SourceAddress, Selector::DestinationAddress],
                            SetName::Hairpin,
                        ),
                        Masquerade,
                    ],
                ),
                rule("ours", &[MarkHas(0x4000), ClearMark(0x4000), Masquerade]),
            ],
        },
        Chain {
            name: "filter-input",
            hook: hook(Filter, Input, 5),
            rules: vec![rule(
                "",
                &[
                    DestinationIsLocal,
                    ConnectionIsNew,
                    in_set(&NODE_PORT, SetName::RefusedNodePorts),
                    Reject,
                ],
            )],
        },
        Chain {
            name: "filter-forward",
            hook: hook(Filter, Forward, -155),
            rules: vec![
                rule("", &[in_set(&SERVICE, SetName::Refused), Reject]),
                rule("", &[Reset]),
                rule("", &[ConnectionIsInvalid, IsTcpReset, Drop]),
                rule("", &[IsMidConnection, Return]),
                rule("", &[SourceIsLocal, Return]),
                rule("", &[in_set(&allowed, SetName::AllowedSources), Return]),
                rule("", &[interface("cni0", false, false), Drop]),
                rule("", &[interface("fifteen-letters", false, true), Drop]),
                rule("", &[interface("veth", true, false), Drop]),
                rule("", &[interface("c", true, true), Drop]),
                rule("", &[interface("fourteen-bytes", true, true), Drop]),
                rule("", &[source(whole, false), Drop]),
                rule("", &[source(9, false), Drop]),
                rule("", &[destination(0, true), Drop]),
                rule("", &[destination(8, false), Drop]),
                rule("", &[destination(whole, true), Drop]),
                rule("", &[destination(13, true), Drop]),
            ],
        },
        Chain {
            name: "filter-output",
            hook: hook(Filter, Output, -42),
            rules: vec![],
        },
    ]
}

/// Makes a ruleset from nothing.
pub(crate) fn create(ruleset: &Ruleset) -> Transaction {
    let mut make = vec![Change::CreateTable];
    for (name, elements) in &ruleset.sets {
        make.push(Change::CreateSet(*name));
        make.extend(
            elements
                .iter()
                .map(|(k, v)| Change::Add(element(*name, k.clone(), v.clone()))),
        );
    }
    for chain in &ruleset.chains {
        make.push(Change::CreateChain {
            name: chain.name,
            hook: chain.hook,
        });
        make.push(Change::SetRules(chain.clone()));
    }
    Transaction {
        make,
        ..Transaction::new(ruleset.family)
    }
}

pub(crate) fn make(family: Family, changes: impl IntoIterator<Item = Change>) -> Transaction {
    Transaction {
        make: changes.into_iter().collect(),
        ..Transaction::new(family)
    }
}

pub(crate) fn destroy(family: Family) -> Transaction {
    make(family, [Change::DestroyTable])
}

/// What a reading of the ruleset should give.
pub(crate) fn observed(ruleset: &Ruleset) -> Observed {
    Observed {
        table: true,
        chains: ruleset
            .chains
            .iter()
            .map(|chain| ObservedChain {
                name: chain.name.to_owned(),
                hook: chain.hook,
                rules: chain
                    .rules
                    .iter()
                    .map(|rule| Some(rule.fingerprint()))
                    .collect(),
            })
            .collect(),
        sets: ruleset
            .sets
            .iter()
            .map(|(name, elements)| ObservedSet {
                name: name.to_string(),
                ours: Some(*name),
                elements: elements
                    .iter()
                    .map(|(key, value)| element(*name, key.clone(), value.clone()))
                    .collect(),
            })
            .collect(),
    }
}
