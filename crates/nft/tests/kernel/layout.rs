//! What we write is what nft writes, and nft prints it as we render it.

use fairway_nft::{Dataplane, Netlink, text};
use fairway_plan::{Change, Family};

use crate::namespace::in_namespace;
use crate::nft::{expressions, list, load, nft, normalise};
use crate::sample::{create, destroy, loadable, observed, ruleset};

#[test]
fn nft_lists_what_render_says() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            let ruleset = ruleset(family);
            let transaction = create(&ruleset);
            let report = netlink.commit(&transaction).unwrap();
            assert_eq!(report.refused, []);
            assert_eq!(report.writes, transaction.make.len());
            assert_eq!(normalise(&list(family)), normalise(&text::render(&ruleset)));
        }
    });
}

#[test]
fn nft_loads_what_render_says() {
    in_namespace(|| {
        for family in Family::ALL {
            let text = text::render(&loadable(family));
            load(&text);
            assert_eq!(normalise(&list(family)), normalise(&text));
        }
    });
}

#[test]
fn expressions_are_those_of_nft() {
    for family in Family::ALL {
        in_namespace(move || {
            let ruleset = loadable(family);
            let mut netlink = Netlink::open().unwrap();
            netlink.commit(&create(&ruleset)).unwrap();
            let ours = expressions(family);
            netlink.commit(&destroy(family)).unwrap();
            load(&text::render(&ruleset));
            assert!(
                ours.contains("[ lookup reg 1 set endpoints-16 dreg 1 0x0 ]"),
                "{ours}"
            );
            // nft turns the one byte of a protocol around before it looks for an interval.
            let theirs = expressions(family);
            let theirs = theirs.lines().filter(|line| !line.contains("hton(reg"));
            assert_eq!(ours.lines().collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
        });
    }
}

#[test]
fn reads_back_what_was_written() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            let ruleset = ruleset(family);
            netlink.commit(&create(&ruleset)).unwrap();
            assert_eq!(netlink.read(family).unwrap(), observed(&ruleset));
        }
    });
}

#[test]
fn reads_sets_of_nft_as_ours_and_its_rules_as_foreign() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for family in Family::ALL {
            let ruleset = loadable(family);
            load(&text::render(&ruleset));
            let mut expected = observed(&ruleset);
            for chain in &mut expected.chains {
                chain.rules.fill(None);
            }
            assert_eq!(netlink.read(family).unwrap(), expected);
        }
    });
}

#[test]
fn tells_foreign_things_apart() {
    in_namespace(|| {
        load(
            "table ip fairway {
                set cluster-ips { type inet_service; elements = { 80 } }
                set node-ports { type inet_proto . inet_service; timeout 1h; }
                set refused { type ipv4_addr . inet_proto . inet_service; flags interval; }
                set refused-node-ports { type inet_proto . inet_service; }
                map endpoints-1 { type ipv4_addr . inet_proto . inet_service : verdict; }
                map endpoints-12 { typeof ip daddr : ip daddr; }
                set someone { type ipv4_addr; elements = { 10.0.0.1 } }
                chain dropping { type filter hook input priority 0; policy drop; }
                chain routing { type route hook output priority 0; }
                chain accepting { type filter hook input priority 0; policy accept; }
            }
            table ip other { chain accepting { drop; }; }
            table inet fairway { set cluster-ips { type ipv4_addr; }; }",
        );
        let mut netlink = Netlink::open().unwrap();
        let observed = netlink.read(Family::Ip4).unwrap();
        let ours: Vec<_> = observed
            .sets
            .iter()
            .filter_map(|set| Some(set.ours?.to_string()))
            .collect();
        assert_eq!(ours, ["refused-node-ports"]);
        assert_eq!(observed.sets.len(), 7);
        assert!(observed.sets.iter().all(|set| set.elements.is_empty()));
        let priorities: Vec<_> = observed
            .chains
            .iter()
            .map(|chain| {
                (
                    chain.name.as_str(),
                    chain.hook.unwrap().priority,
                    chain.rules.len(),
                )
            })
            .collect();
        let expected = [
            ("dropping", i32::MIN, 0),
            ("routing", i32::MIN, 0),
            ("accepting", 0, 0),
        ];
        assert_eq!(priorities, expected);
        assert!(!netlink.read(Family::Ip6).unwrap().table);

        // An element that expires makes a set that is ours in shape somebody else's.
        nft(&["delete", "table", "ip", "fairway"]);
        load("table ip fairway { set cluster-ips { type ipv4_addr; flags timeout; }; }");
        assert_eq!(netlink.read(Family::Ip4).unwrap().sets[0].ours, None);
    });
}

#[test]
fn a_rehearsal_finds_what_a_commit_would_and_changes_nothing() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let family = Family::Ip4;
        let ruleset = ruleset(family);
        let before = netlink.generation().unwrap();
        assert_eq!(netlink.rehearse(&create(&ruleset)).unwrap().refused, []);
        assert!(!netlink.read(family).unwrap().table);

        // A map that there is not.
        let mut wrong = create(&ruleset);
        wrong
            .make
            .retain(|change| !matches!(change, Change::CreateSet(_)));
        let error = netlink.rehearse(&wrong).unwrap_err().to_string();
        let refused = netlink.commit(&wrong).unwrap_err().to_string();
        assert_eq!(error, refused);
        assert_eq!(netlink.generation().unwrap(), before);

        // Beside what is there, in its place.
        netlink.commit(&create(&ruleset)).unwrap();
        let (before, listed) = (netlink.generation().unwrap(), list(family));
        let mut anew = create(&ruleset);
        anew.make.insert(0, Change::DestroyTable);
        assert_eq!(netlink.rehearse(&anew).unwrap().refused, []);
        assert_eq!(list(family), listed);
        assert_eq!(netlink.generation().unwrap(), before);
        // The socket is as good as before.
        netlink.commit(&destroy(family)).unwrap();
        assert!(!netlink.read(family).unwrap().table);
    });
}
