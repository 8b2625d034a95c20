use super::*;

fn chains(names: &[&str]) -> Vec<ChainName> {
    let split = |name: &&str| {
        let (table, name) = name.split_once(' ').unwrap();
        ChainName::new(table, name)
    };
    names.iter().map(split).collect()
}

fn jump(from: &str, to: &str) -> Jump<String> {
    let (table, name) = from.split_once(' ').unwrap();
    Jump {
        from: ChainName::new(table, name),
        to: to.to_owned(),
        rule: format!("{from} -> {to}"),
    }
}

fn texts(leftovers: &Leftovers<String>) -> (Vec<String>, Vec<String>) {
    let jumps = leftovers.jumps.iter().map(|jump| jump.rule.clone());
    let chains = leftovers.chains.iter().map(ToString::to_string);
    (jumps.collect(), chains.collect())
}

#[test]
fn takes_kube_proxys_chains_and_the_ways_to_them() {
    let all = chains(&[
        "nat PREROUTING",
        "nat KUBE-SERVICES",
        "nat KUBE-SVC-ABC",
        "nat KUBE-SEP-ABC",
        "nat KUBE-FIREWALL",
        "filter FORWARD",
        "filter KUBE-FORWARD",
    ]);
    let jumps = [
        jump("nat PREROUTING", "KUBE-SERVICES"),
        jump("nat KUBE-SERVICES", "KUBE-SVC-ABC"),
        jump("nat KUBE-SVC-ABC", "KUBE-SEP-ABC"),
        jump("filter FORWARD", "KUBE-FORWARD"),
    ];
    let leftovers = Leftovers::among(all, jumps);
    assert_eq!(leftovers.in_use, BTreeMap::new());
    let (jumps, chains) = texts(&leftovers);
    assert_eq!(
        jumps,
        [
            "nat PREROUTING -> KUBE-SERVICES",
            "filter FORWARD -> KUBE-FORWARD"
        ]
    );
    assert_eq!(
        chains,
        [
            "filter KUBE-FORWARD",
            "nat KUBE-FIREWALL",
            "nat KUBE-SEP-ABC",
            "nat KUBE-SERVICES",
            "nat KUBE-SVC-ABC",
        ]
    );
}

#[test]
fn leaves_what_is_others() {
    // The kubelet's, kube-router's, flannel's, and a user's table that happens to have the names.
    let all = chains(&[
        "filter KUBE-FIREWALL",
        "mangle KUBE-KUBELET-CANARY",
        "mangle KUBE-IPTABLES-HINT",
        "filter KUBE-ROUTER-FORWARD",
        "filter KUBE-POD-FW-ABC",
        "filter KUBE-NWPLCY-ABC",
        "nat FLANNEL-POSTRTG",
        "filter FLANNEL-FWD",
        "mine KUBE-SERVICES",
    ]);
    let jumps = [
        jump("filter INPUT", "KUBE-FIREWALL"),
        jump("filter FORWARD", "KUBE-ROUTER-FORWARD"),
        jump("nat POSTROUTING", "FLANNEL-POSTRTG"),
        jump("mine PREROUTING", "KUBE-SERVICES"),
    ];
    let leftovers = Leftovers::among(all, jumps);
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn a_chain_that_others_use_stays_with_all_that_it_leads_to() {
    let all = chains(&[
        "nat KUBE-SERVICES",
        "nat KUBE-MARK-MASQ",
        "nat KUBE-EXT-ABC",
        "nat KUBE-SVC-ABC",
        "nat KUBE-SVC-DEF",
    ]);
    let jumps = [
        jump("nat KUBE-SERVICES", "KUBE-SVC-ABC"),
        jump("nat KUBE-SERVICES", "KUBE-SVC-DEF"),
        jump("nat KUBE-EXT-ABC", "KUBE-SVC-ABC"),
        jump("nat KUBE-SVC-ABC", "KUBE-MARK-MASQ"),
        // A hand-made way to a Service, and a plug-in for host ports.
        jump("nat PREROUTING", "KUBE-EXT-ABC"),
        jump("nat CNI-HOSTPORT-SETMARK", "KUBE-MARK-MASQ"),
    ];
    let leftovers = Leftovers::among(all, jumps);
    let (jumps, chains) = texts(&leftovers);
    assert_eq!(jumps, [""; 0]);
    assert_eq!(chains, ["nat KUBE-SERVICES", "nat KUBE-SVC-DEF"]);
    let in_use = leftovers.in_use.iter();
    let in_use: Vec<_> = in_use
        .map(|(chain, user)| format!("{chain} by {user}"))
        .collect();
    assert_eq!(
        in_use,
        [
            "nat KUBE-EXT-ABC by nat PREROUTING",
            "nat KUBE-MARK-MASQ by nat CNI-HOSTPORT-SETMARK",
            "nat KUBE-SVC-ABC by nat PREROUTING",
        ]
    );
}
