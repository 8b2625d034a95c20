//! Random changes do the same to the kernel and to the fake.

use std::cell::RefCell;

use fairway_model::Protocol;
use fairway_nft::{Dataplane, Fake, Netlink, text};
use fairway_plan::{
    Bytes, Chain, Change, Family, Observed, Rule, Ruleset, SetName, Statement, Transaction,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::namespace::in_namespace;
use crate::nft::{list, normalise};
use crate::sample::{class, create, destroy, element, endpoint, make, port, ruleset, service};

/// One of a few sets, a key that is likely to come up again, and a value.
type Draw = (u8, u32, u32, u8);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    prop::collection::vec((0..5_u8, 0..20_u32, 0..1000_u32, 0..3_u8), 1..60)
}

fn set(family: Family, (set, number, value, _): Draw) -> fairway_plan::Element {
    let node_port = || {
        Bytes::new()
            .protocol(Protocol::Sctp)
            .port(port(number as u16 + 1))
    };
    match set {
        0 => element(SetName::Refused, service(family, number), Bytes::new()),
        1 => element(SetName::NodePorts, node_port(), Bytes::new()),
        2 => element(
            SetName::Endpoints(class(1)),
            service(family, number),
            endpoint(family, value),
        ),
        3 => element(
            SetName::Endpoints(class(2)),
            service(family, number).slot(value % 2),
            endpoint(family, value),
        ),
        _ => element(
            SetName::NodePortEndpoints(class(2)),
            node_port().slot(value % 2),
            endpoint(family, value),
        ),
    }
}

/// A change that the fake allows, each key at most once.
fn changes(family: Family, fake: &Fake, draws: &[Draw]) -> Vec<Change> {
    let mut keys = std::collections::BTreeSet::new();
    draws
        .iter()
        .map(|draw| (set(family, *draw), draw.3))
        .filter(|(element, _)| keys.insert((element.set, element.key.clone())))
        .map(|(element, what)| {
            let held = fake.elements(family, element.set).unwrap();
            match (held.contains_key(&element.key), what) {
                (false, _) => Change::Add(element),
                (true, 0) => Change::Delete(element),
                (true, _) => Change::Replace(element),
            }
        })
        .collect()
}

fn same(mut one: Observed, mut other: Observed) {
    for observed in [&mut one, &mut other] {
        observed.sets.sort_by(|a, b| a.name.cmp(&b.name));
        observed.chains.sort_by(|a, b| a.name.cmp(&b.name));
    }
    assert_eq!(one, other);
}

#[test]
fn kernel_and_fake_agree_on_elements() {
    in_namespace(|| {
        let kernel = RefCell::new(Netlink::open().unwrap());
        let rounds = prop::collection::vec((draws(), draws()), 1..6);
        let strategy = (prop::bool::ANY, rounds);
        let config = Config {
            cases: 40,
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config)
            .run(&strategy, |(ip4, rounds)| {
                let mut netlink = kernel.borrow_mut();
                let family = if ip4 { Family::Ip4 } else { Family::Ip6 };
                let mut fake = Fake::new();
                netlink.commit(&destroy(family)).unwrap();
                let begin = create(&ruleset(family));
                netlink.commit(&begin).unwrap();
                fake.commit(&begin).unwrap();
                for (first, second) in rounds {
                    let make = changes(family, &fake, &first);
                    let mut ahead = fake.clone();
                    ahead
                        .commit(&crate::sample::make(family, make.clone()))
                        .unwrap();
                    let release = changes(family, &ahead, &second);
                    let transaction = Transaction {
                        make,
                        release,
                        ..Transaction::new(family)
                    };
                    let report = netlink.commit(&transaction).unwrap();
                    prop_assert_eq!(report, fake.commit(&transaction).unwrap());
                    same(netlink.read(family).unwrap(), fake.read(family).unwrap());
                }
                let ruleset = fake.ruleset(family).unwrap();
                prop_assert_eq!(normalise(&list(family)), normalise(&text::render(&ruleset)));
                Ok(())
            })
            .unwrap();
    });
}

fn statements(family: Family) -> impl Strategy<Value = Vec<Statement>> {
    let address = prop::collection::vec(any::<u8>(), 16);
    let network = (address, 0..=128_u8).prop_map(move |(bytes, prefix)| {
        let bytes: [u8; 16] = bytes.try_into().unwrap();
        match family {
            Family::Ip4 => {
                let address = [bytes[0], bytes[1], bytes[2], bytes[3]];
                ipnet::Ipv4Net::new(address.into(), prefix % 33)
                    .unwrap()
                    .into()
            }
            Family::Ip6 => ipnet::Ipv6Net::new(bytes.into(), prefix).unwrap().into(),
        }
    });
    let network = (network, prop::bool::ANY);
    let mark = 1..u32::MAX;
    let condition = prop_oneof![
        network
            .clone()
            .prop_map(|(network, negated)| Statement::SourceIn { network, negated }),
        network.prop_map(|(network, negated)| Statement::DestinationIn { network, negated }),
        Just(Statement::DestinationIsLocal),
        Just(Statement::ConnectionIsNew),
        Just(Statement::ConnectionIsTranslated),
        Just(Statement::ConnectionIsInvalid),
        Just(Statement::IsTcpReset),
        Just(Statement::IsMidConnection),
        mark.clone().prop_map(Statement::MarkHas),
        mark.clone().prop_map(Statement::SetMark),
        mark.prop_map(Statement::ClearMark),
    ];
    let end = prop_oneof![
        Just(Statement::Drop),
        Just(Statement::Jump("mark-for-masquerade")),
        Just(Statement::Goto("mark-for-masquerade")),
    ];
    (prop::collection::vec(condition, 0..4), end).prop_map(|(mut statements, end)| {
        statements.push(end);
        statements
    })
}

#[test]
fn random_rules_are_kept_and_listed() {
    in_namespace(|| {
        let kernel = RefCell::new(Netlink::open().unwrap());
        let rules = |family| prop::collection::vec(statements(family), 1..8);
        let strategy = (rules(Family::Ip4), rules(Family::Ip6));
        let config = Config {
            cases: 60,
            failure_persistence: None,
            ..Config::default()
        };
        for family in Family::ALL {
            kernel
                .borrow_mut()
                .commit(&create(&ruleset(family)))
                .unwrap();
        }
        TestRunner::new(config)
            .run(&strategy, |(ip4, ip6)| {
                let mut netlink = kernel.borrow_mut();
                for (family, rules) in [(Family::Ip4, ip4), (Family::Ip6, ip6)] {
                    let rules = rules
                        .into_iter()
                        .map(|statements| Rule {
                            statements,
                            comment: "random",
                        })
                        .collect();
                    let mut ruleset: Ruleset = ruleset(family);
                    let chain = ruleset
                        .chains
                        .iter_mut()
                        .find(|chain| chain.name == "nat-output");
                    let chain: &mut Chain = chain.unwrap();
                    chain.rules = rules;
                    let change = Change::SetRules(chain.clone());
                    netlink.commit(&make(family, [change])).unwrap();
                    same(
                        netlink.read(family).unwrap(),
                        crate::sample::observed(&ruleset),
                    );
                    prop_assert_eq!(normalise(&list(family)), normalise(&text::render(&ruleset)));
                }
                Ok(())
            })
            .unwrap();
    });
}
