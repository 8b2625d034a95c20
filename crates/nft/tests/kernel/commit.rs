//! Changes of a table that is there, and what the kernel does not take.

use fairway_model::Protocol;
use fairway_nft::{Dataplane, Errno, Error, Netlink, Refused, Report, text};
use fairway_plan::{
    Bytes, Chain, Change, Element, Family, Observed, Rule, SetName, Statement, Transaction,
};

use crate::namespace::in_namespace;
use crate::nft::{list, nft};
use crate::sample::{
    class, create, destroy, element, endpoint, make, observed, port, ruleset, service,
};

const FAMILY: Family = Family::Ip4;

/// A map that exists, and nothing else.
fn map(netlink: &mut Netlink) -> SetName {
    let map = SetName::Endpoints(class(1));
    let changes = [Change::CreateTable, Change::CreateSet(map)];
    netlink.commit(&make(FAMILY, changes)).unwrap();
    map
}

fn elements(netlink: &mut Netlink) -> Vec<Element> {
    netlink.read(FAMILY).unwrap().sets.remove(0).elements
}

fn good(map: SetName, number: u32) -> Element {
    element(map, service(FAMILY, number), endpoint(FAMILY, number))
}

/// An element that the kernel does not take: its address has the length of the other family.
fn bad(map: SetName, number: u32) -> Element {
    element(map, service(Family::Ip6, number), endpoint(FAMILY, number))
}

#[test]
fn a_refused_element_does_not_hold_up_the_others() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let map = map(&mut netlink);
        for bad_at in [&[0][..], &[499], &[999], &[17, 18, 500], &[]] {
            let all = (0..1000).map(|n| match bad_at.contains(&n) {
                true => bad(map, n),
                false => good(map, n),
            });
            let report = netlink.commit(&make(FAMILY, all.map(Change::Add))).unwrap();
            let expected: Vec<_> = bad_at
                .iter()
                .map(|n| Refused {
                    element: bad(map, *n),
                    errno: Errno::EINVAL,
                })
                .collect();
            assert_eq!(report.refused, expected);
            assert_eq!(report.writes, 1000 - bad_at.len());
            let left: Vec<_> = (0..1000)
                .filter(|n| !bad_at.contains(n))
                .map(|n| good(map, n))
                .collect();
            assert_eq!(elements(&mut netlink), left);

            let gone = left.into_iter().map(Change::Delete);
            assert_eq!(netlink.commit(&make(FAMILY, gone)).unwrap().refused, []);
            assert_eq!(elements(&mut netlink), []);
        }
    });
}

#[test]
fn thousands_of_refused_elements_are_sorted_out() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let map = map(&mut netlink);
        let all = (0..20_000).map(|n| {
            if n % 2 == 0 {
                good(map, n)
            } else {
                bad(map, n)
            }
        });
        let report = netlink.commit(&make(FAMILY, all.map(Change::Add))).unwrap();
        assert_eq!((report.writes, report.refused.len()), (10_000, 10_000));
        assert_eq!(elements(&mut netlink).len(), 10_000);
    });
}

#[test]
fn replaces_and_deletes() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let map = map(&mut netlink);
        let value = |number, value| element(map, service(FAMILY, number), endpoint(FAMILY, value));
        netlink
            .commit(&make(FAMILY, (0..3000).map(|n| Change::Add(value(n, 1)))))
            .unwrap();

        let transaction = Transaction {
            make: (0..2500).map(|n| Change::Replace(value(n, 2))).collect(),
            release: (2000..3000).map(|n| Change::Delete(value(n, 7))).collect(),
            ..Transaction::new(FAMILY)
        };
        let report = netlink.commit(&transaction).unwrap();
        assert_eq!(
            report,
            Report {
                writes: 3500,
                refused: vec![]
            }
        );
        let expected: Vec<_> = (0..2000).map(|n| value(n, 2)).collect();
        assert_eq!(elements(&mut netlink), expected);
    });
}

#[test]
fn heals_what_is_not_as_expected() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let map = map(&mut netlink);
        let value = |number, value| element(map, service(FAMILY, number), endpoint(FAMILY, value));
        netlink
            .commit(&make(FAMILY, [1, 3, 5].map(|n| Change::Add(value(n, 1)))))
            .unwrap();

        // What is not there: deleted all the same, and replaced by being added.
        let changes = (0..6).map(|n| match n {
            0 | 1 => Change::Delete(value(n, 1)),
            _ => Change::Replace(value(n, 2)),
        });
        let report = netlink.commit(&make(FAMILY, changes)).unwrap();
        assert_eq!(
            report,
            Report {
                writes: 5,
                refused: vec![]
            }
        );
        let expected = [2, 3, 4, 5].map(|n| value(n, 2));
        assert_eq!(elements(&mut netlink), expected);

        // What is there: fine with the same value, reported with another.
        let changes = [value(2, 2), value(3, 9), value(6, 2)].map(Change::Add);
        let report = netlink.commit(&make(FAMILY, changes)).unwrap();
        let refused = vec![Refused {
            element: value(3, 9),
            errno: Errno::EEXIST,
        }];
        assert_eq!(report, Report { writes: 2, refused });
        assert_eq!(elements(&mut netlink), [2, 3, 4, 5, 6].map(|n| value(n, 2)));

        // Deletions that fail do not make the additions after them look wrong.
        let changes = [
            Change::Delete(value(0, 2)),
            Change::Delete(value(2, 2)),
            Change::Add(value(2, 3)),
            Change::Add(value(7, 3)),
        ];
        let report = netlink.commit(&make(FAMILY, changes)).unwrap();
        assert_eq!(
            report,
            Report {
                writes: 3,
                refused: vec![]
            }
        );
    });
}

#[test]
fn destroys_what_may_be_missing() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            assert_eq!(netlink.commit(&destroy(family)).unwrap(), Report::default());
            netlink.commit(&create(&ruleset(family))).unwrap();
        }
        // The families are independent.
        assert_eq!(netlink.commit(&destroy(Family::Ip4)).unwrap().writes, 1);
        assert_eq!(netlink.read(Family::Ip4).unwrap(), Observed::default());
        assert_eq!(
            netlink.read(Family::Ip6).unwrap(),
            observed(&ruleset(Family::Ip6))
        );

        let changes = [
            Change::DestroySet("nobody".to_owned()),
            Change::DestroyChain("filter-forward".to_owned()),
            Change::DestroyChain("no-chain".to_owned()),
            Change::ClearRules("nat-postrouting".to_owned()),
            Change::DestroySet("hairpin".to_owned()),
        ];
        let report = netlink.commit(&make(Family::Ip6, changes)).unwrap();
        assert_eq!(
            report,
            Report {
                writes: 3,
                refused: vec![]
            }
        );
        let mut expected = ruleset(Family::Ip6);
        expected.sets.remove(&SetName::Hairpin);
        expected
            .chains
            .retain(|chain| chain.name != "filter-forward");
        for chain in &mut expected.chains {
            if chain.name == "nat-postrouting" {
                chain.rules.clear();
            }
        }
        assert_eq!(netlink.read(Family::Ip6).unwrap(), observed(&expected));
    });
}

#[test]
fn replaces_a_table_in_one_batch() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let ruleset = ruleset(FAMILY);
        netlink.commit(&create(&ruleset)).unwrap();
        let mut transaction = create(&ruleset);
        transaction.make.insert(0, Change::DestroyTable);
        netlink.commit(&transaction).unwrap();
        assert_eq!(netlink.read(FAMILY).unwrap(), observed(&ruleset));
    });
}

#[test]
fn refused_structure_is_an_error_that_says_what() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let error = netlink
            .commit(&make(FAMILY, [Change::CreateSet(SetName::Hairpin)]))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("create set hairpin in table ip fairway"),
            "{text}"
        );

        let map = map(&mut netlink);
        let missing = good(SetName::Endpoints(class(3)), 1);
        let changes = [Change::Add(good(map, 1)), Change::Add(missing)];
        let error = netlink.commit(&make(FAMILY, changes)).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Refused {
                    errno: Errno::ENOENT,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("add elements to set endpoints-3"),
            "{error}"
        );
        assert_eq!(elements(&mut netlink), [], "the batch is undone");

        let rule = |statements| Rule {
            statements,
            comment: "",
        };
        let chain = Chain {
            name: "services",
            hook: None,
            rules: vec![
                rule(vec![Statement::Drop]),
                rule(vec![Statement::Jump("nowhere")]),
            ],
        };
        let changes = [
            Change::CreateChain {
                name: "services",
                hook: None,
            },
            Change::SetRules(chain),
        ];
        let error = netlink.commit(&make(FAMILY, changes)).unwrap_err();
        assert!(
            error.to_string().contains("the rules of chain services"),
            "{error}"
        );
        assert_eq!(netlink.read(FAMILY).unwrap().chains, []);

        let network = "fd00::/8".parse().unwrap();
        let rules = vec![rule(vec![Statement::SourceIn {
            network,
            negated: false,
        }])];
        let chain = Chain {
            name: "services",
            hook: None,
            rules,
        };
        let error = netlink
            .commit(&make(FAMILY, [Change::SetRules(chain)]))
            .unwrap_err();
        assert!(matches!(error, Error::ForeignNetwork { .. }), "{error}");
    });
}

#[test]
fn a_chain_in_use_says_so() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        netlink.commit(&create(&ruleset(FAMILY))).unwrap();
        let changes = [Change::DestroyChain("services".to_owned())];
        let error = netlink.commit(&make(FAMILY, changes)).unwrap_err();
        assert!(error.to_string().contains("still use it?"), "{error}");
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    in_namespace(|| {
        let other = "table ip other { set s { type ipv4_addr; elements = { 10.0.0.1 } }; chain c { drop; }; }";
        crate::nft::load(other);
        crate::nft::load(&other.replace("table ip other", "table inet fairway"));
        let before = nft(&["list", "ruleset"]);
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            netlink.commit(&create(&ruleset(family))).unwrap();
            assert_eq!(
                crate::nft::normalise(&list(family)),
                crate::nft::normalise(&text::render(&ruleset(family)))
            );
            netlink.commit(&destroy(family)).unwrap();
        }
        assert_eq!(nft(&["list", "ruleset"]), before);
    });
}

#[test]
fn values_of_many_lengths_never_panic() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let map = map(&mut netlink);
        let strange = (0..80_usize).map(|length| {
            let bytes = |salt: u8| {
                let mut bytes = Bytes::new().protocol(Protocol::Udp).port(port(1));
                bytes.0.resize(length, salt);
                bytes
            };
            Change::Add(element(map, bytes(1), bytes(2)))
        });
        let report = netlink.commit(&make(FAMILY, strange)).unwrap();
        assert_eq!(report.writes, 0, "12 and 8 bytes are never together");
        assert_eq!(report.refused.len(), 80);
    });
}
