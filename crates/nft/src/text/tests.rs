use std::collections::BTreeMap;

use fairway_model::{Port, Protocol};
use fairway_plan::{
    Bytes, Chain, Family, Hook, HookKind, HookPoint, Rule, Ruleset, Selector, SetName, SlotClass,
    Statement,
};

use super::{COMMENT_LIMIT, Priority, comment, render};

#[test]
fn reads_like_nft() {
    let port = |number| Port::new(number).unwrap();
    let map = SetName::Endpoints(SlotClass::of(2).unwrap());
    let service = Bytes::new()
        .address("fd00::1".parse().unwrap())
        .protocol(Protocol::Sctp)
        .port(port(80));
    let endpoint = |host: &str| Bytes::new().address(host.parse().unwrap()).port(port(8080));
    let elements = [
        (service.clone().slot(0), endpoint("fd00:1::1")),
        (service.slot(1), endpoint("fd00:1::2")),
    ];
    let key = vec![
        Selector::DestinationAddress,
        Selector::Protocol,
        Selector::DestinationPort,
        Selector::RandomSlot(2),
    ];
    let ruleset = Ruleset {
        family: Family::Ip6,
        sets: BTreeMap::from([
            (SetName::ClusterIps, BTreeMap::new()),
            (map, elements.into()),
        ]),
        chains: vec![Chain {
            name: "nat-output",
            hook: Some(Hook {
                kind: HookKind::Nat,
                point: HookPoint::Output,
                priority: -100,
            }),
            rules: vec![
                Rule {
                    statements: vec![
                        Statement::SourceIn {
                            network: "fd00:1::/64".parse().unwrap(),
                            negated: true,
                        },
                        Statement::SetMark(0x4000),
                    ],
                    comment: "",
                },
                Rule {
                    statements: vec![Statement::Translate { key, map }],
                    comment: "pick",
                },
            ],
        }],
    };
    let expected = "\
table ip6 fairway {
	set cluster-ips {
		typeof ip6 daddr
	}

	map endpoints-2 {
		typeof ip6 daddr . meta l4proto . th dport . numgen random mod 2 : ip6 daddr . th dport
		elements = { fd00::1 . sctp . 80 . 0 : fd00:1::1 . 8080,
			     fd00::1 . sctp . 80 . 1 : fd00:1::2 . 8080 }
	}

	chain nat-output {
		type nat hook output priority -100; policy accept;
		ip6 saddr != fd00:1::/64 meta mark set meta mark | 0x00004000
		dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints-2 comment \"pick\"
	}
}
";
    assert_eq!(render(&ruleset), expected);
}

#[test]
fn priorities_have_names_where_nft_has_them() {
    let text = |point, priority| {
        Priority(Hook {
            kind: HookKind::Filter,
            point,
            priority,
        })
        .to_string()
    };
    use HookPoint::{Input, Postrouting, Prerouting};
    assert_eq!(text(Prerouting, -100), "dstnat");
    assert_eq!(text(Prerouting, -95), "dstnat + 5");
    assert_eq!(text(Input, -100), "-100");
    assert_eq!(text(Postrouting, 100), "srcnat");
    assert_eq!(text(Input, -10), "filter - 10");
    assert_eq!(text(Input, 11), "11");
    assert_eq!(text(Input, i32::MIN), "-2147483648");
}

#[test]
fn comments_are_made_to_fit() {
    let of = |comment_text| {
        comment(&Rule {
            statements: vec![],
            comment: comment_text,
        })
    };
    assert_eq!(of("plain"), "plain");
    assert_eq!(of("a \"quoted\"\nline"), "a 'quoted' line");
    let long: &'static str = "é".repeat(100).leak();
    assert_eq!(of(long), "é".repeat(COMMENT_LIMIT / 2));
}
