use super::*;
use crate::{
    Absent, Api, BaseChain, Feature, Flannel, Forbidden, Interface, LeftOver, Level, Listener,
    Wanted,
};

/// A node of which nothing bad is known.
fn healthy() -> Facts {
    let settings = [
        ("net/ipv4/ip_forward", "1"),
        ("net/bridge/bridge-nf-call-iptables", "1"),
        ("net/netfilter/nf_conntrack_max", "262144"),
        ("net/netfilter/nf_conntrack_count", "10"),
        ("net/ipv4/ip_local_port_range", "32768\t60999"),
        ("net/ipv4/conf/all/rp_filter", "0"),
    ];
    let mut facts = Facts::default();
    facts.kernel.release = "6.1.0-18-amd64".to_owned();
    facts.settings = settings
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .into();
    facts.wanted = Wanted {
        service_proxy: true,
        flow_table: false,
        ports: vec![("HTTP".to_owned(), 8080), ("/healthz".to_owned(), 10256)],
    };
    facts.interfaces = Ok(vec![
        interface("eth0", 1500, None),
        interface("cni0", 1450, Some("bridge")),
        Interface {
            lower: Some("eth0".to_owned()),
            ..interface("flannel.1", 1450, Some("vxlan"))
        },
    ]);
    facts.flannel = Some(Flannel {
        mtu: Some(1450),
        ..Flannel::default()
    });
    facts.api = Some(Ok(Api {
        version: "v1.33.0".to_owned(),
        ahead: Some(1),
        forbidden: Vec::new(),
        absent: Vec::new(),
        unknown_node: None,
    }));
    facts
}

fn interface(name: &str, mtu: u32, kind: Option<&str>) -> Interface {
    Interface {
        name: name.to_owned(),
        mtu,
        kind: kind.map(str::to_owned),
        ..Interface::default()
    }
}

fn chain(table: &str, name: &str, hook: &str, priority: i32) -> BaseChain {
    BaseChain {
        family: "ip".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        hook: (!hook.is_empty()).then(|| hook.to_owned()),
        kind: "filter".to_owned(),
        priority,
        drops: false,
    }
}

fn dropping(table: &str, name: &str, hook: &str) -> BaseChain {
    BaseChain {
        drops: true,
        ..chain(table, name, hook, 0)
    }
}

fn interfaces(facts: &mut Facts) -> &mut Vec<Interface> {
    facts.interfaces.as_mut().unwrap()
}

fn set(facts: &mut Facts, path: &str, value: &str) {
    facts.settings.insert(path.to_owned(), value.to_owned());
}

#[test]
fn a_healthy_node_has_no_findings_but_good_ones() {
    for finding in check(&healthy()) {
        assert_eq!(finding.level, Level::Ok, "{finding:?}");
    }
}

/// A fault, and the finding that it is to have.
type Planted = (fn(&mut Facts), Level, &'static str, &'static str);

const PLANTED: [Planted; 35] = [
    (
        |facts| {
            facts.kernel.features.push(Feature {
                name: "intervals",
                for_what: "source ranges",
                required: true,
                error: Some("not permitted".to_owned()),
            });
        },
        Level::Fault,
        "nf_tables",
        "intervals: not permitted",
    ),
    (
        |facts| facts.kernel.untried = Some("flow tables".to_owned()),
        Level::Warning,
        "nf_tables",
        "flow tables could not be tried",
    ),
    (
        |facts| set(facts, "net/ipv4/ip_forward", "0"),
        Level::Fault,
        "forwarding",
        "net.ipv4.ip_forward is 0",
    ),
    (
        |facts| {
            set(facts, "net/ipv6/conf/all/forwarding", "0");
            interfaces(facts)[0]
                .addresses
                .push("2001:db8::1".parse().unwrap());
        },
        Level::Warning,
        "forwarding",
        "net.ipv6",
    ),
    (
        |facts| set(facts, "net/ipv4/conf/eth0/rp_filter", "1"),
        Level::Warning,
        "reverse path",
        "eth0",
    ),
    (
        |facts| set(facts, "net/ipv4/conf/all/route_localnet", "1"),
        Level::Warning,
        "route_localnet",
        "for all",
    ),
    (
        |facts| set(facts, "net/netfilter/nf_conntrack_count", "262000"),
        Level::Fault,
        "conntrack",
        "99 %",
    ),
    (
        |facts| set(facts, "net/netfilter/nf_conntrack_count", "200000"),
        Level::Warning,
        "conntrack",
        "76 %",
    ),
    (
        |facts| set(facts, "net/netfilter/nf_conntrack_max", "1024"),
        Level::Warning,
        "conntrack",
        "10 of 1024",
    ),
    (
        |facts| facts.settings_writable = false,
        Level::Warning,
        "settings",
        "/proc/sys",
    ),
    (
        |facts| set(facts, "net/bridge/bridge-nf-call-iptables", "0"),
        Level::Fault,
        "bridges",
        "bridge-nf-call-iptables is 0",
    ),
    (
        |facts| drop(facts.settings.remove("net/bridge/bridge-nf-call-iptables")),
        Level::Fault,
        "bridges",
        "br_netfilter is not loaded",
    ),
    (
        |facts| facts.chains = Ok(vec![dropping("filter", "FORWARD", "forward")]),
        Level::Fault,
        "forward policy",
        "ip filter FORWARD",
    ),
    (
        |facts| {
            let flannel = chain("filter", "FLANNEL-FWD", "", 0);
            facts.chains = Ok(vec![dropping("filter", "FORWARD", "forward"), flannel]);
        },
        Level::Warning,
        "forward policy",
        "ip filter FORWARD",
    ),
    (
        |facts| {
            let kube = chain("filter", "KUBE-FORWARD", "", 0);
            facts.chains = Ok(vec![dropping("filter", "FORWARD", "forward"), kube]);
        },
        Level::Fault,
        "forward policy",
        "ip filter FORWARD",
    ),
    (
        |facts| facts.chains = Ok(vec![dropping("filter", "INPUT", "input")]),
        Level::Warning,
        "firewall",
        "ip filter INPUT",
    ),
    (
        |facts| {
            let nat = BaseChain {
                kind: "nat".to_owned(),
                ..chain("mesh", "redirect", "prerouting", -150)
            };
            facts.chains = Ok(vec![nat]);
        },
        Level::Warning,
        "other tables",
        "ip mesh redirect (nat prerouting -150) translates before",
    ),
    (
        |facts| facts.chains = Err("not permitted".to_owned()),
        Level::Warning,
        "other tables",
        "not permitted",
    ),
    (
        |facts| facts.legacy_tables = vec!["nat".to_owned()],
        Level::Warning,
        "other tables",
        "old iptables",
    ),
    (
        |facts| facts.proxies = vec!["kube-proxy".to_owned()],
        Level::Fault,
        "service proxies",
        "kube-proxy runs",
    ),
    (
        |facts| facts.listeners = Ok(vec![listener(10249)]),
        Level::Warning,
        "service proxies",
        "10249",
    ),
    (
        |facts| {
            let left = |what: &str| LeftOver {
                what: what.to_owned(),
            };
            facts.left_over = vec![left("table ip kube-proxy"), left("b"), left("c"), left("d")];
        },
        Level::Warning,
        "kube-proxy",
        "table ip kube-proxy, b, c and 1 more",
    ),
    (
        |facts| facts.listeners = Ok(vec![listener(8080)]),
        Level::Fault,
        "ports",
        "fairway needs 8080 for HTTP",
    ),
    (
        |facts| facts.listeners = Ok(vec![listener(30080)]),
        Level::Warning,
        "node ports",
        "0.0.0.0:30080 is in use",
    ),
    (
        |facts| set(facts, "net/ipv4/ip_local_port_range", "20000 60999"),
        Level::Warning,
        "node ports",
        "20000-60999",
    ),
    (
        |facts| interfaces(facts)[2].mtu = 1500,
        Level::Fault,
        "pod network",
        "it should be 1450 at most",
    ),
    (
        |facts| interfaces(facts)[1].mtu = 1500,
        Level::Fault,
        "pod network",
        "cni0 has MTU 1500, flannel.1 only 1450",
    ),
    (
        |facts| facts.kernel.release = "5.4.0-150-generic".to_owned(),
        Level::Warning,
        "pod network",
        "kernel 5.4.0",
    ),
    (
        |facts| {
            facts.flannel = Some(Flannel {
                mtu: Some(1400),
                ..Flannel::default()
            });
        },
        Level::Warning,
        "pod network",
        "flannel says 1400",
    ),
    (
        |facts| facts.api = Some(Err("connection refused".to_owned())),
        Level::Fault,
        "API server",
        "connection refused",
    ),
    (
        |facts| {
            facts.api = Some(Ok(Api {
                version: String::new(),
                ahead: Some(-90),
                ..Api::default()
            }));
        },
        Level::Fault,
        "clock",
        "90 s behind",
    ),
    (
        |facts| forbid(facts, false),
        Level::Fault,
        "RBAC",
        "not allowed to list ingresses.networking.k8s.io",
    ),
    (
        |facts| forbid(facts, true),
        Level::Warning,
        "RBAC",
        "not allowed to list ingresses.networking.k8s.io",
    ),
    (
        |facts| {
            if let Some(Ok(api)) = &mut facts.api {
                api.absent = vec![Absent {
                    kind: "endpointslices.discovery.k8s.io".to_owned(),
                    without: "fairway waits",
                    optional: false,
                }];
            }
        },
        Level::Fault,
        "API server",
        "this API server has no endpointslices.discovery.k8s.io",
    ),
    (
        |facts| {
            if let Some(Ok(api)) = &mut facts.api {
                api.unknown_node = Some("node-1".to_owned());
            }
        },
        Level::Fault,
        "Node",
        "there is no Node \"node-1\"",
    ),
];

fn forbid(facts: &mut Facts, optional: bool) {
    if let Some(Ok(api)) = &mut facts.api {
        api.forbidden = vec![Forbidden {
            group: "networking.k8s.io".to_owned(),
            resource: "ingresses".to_owned(),
            denied: vec!["list"],
            verbs: &["list", "watch"],
            without: "the router has no routes",
            optional,
        }];
    }
}

fn listener(port: u16) -> Listener {
    Listener {
        address: ([0, 0, 0, 0], port).into(),
        tcp: true,
    }
}

#[test]
fn every_planted_fault_is_found_and_nothing_else() {
    for (plant, level, check_name, found) in PLANTED {
        let mut facts = healthy();
        plant(&mut facts);
        let findings = check(&facts);
        let bad: Vec<_> = findings.iter().filter(|it| it.level != Level::Ok).collect();
        assert!(
            bad.iter()
                .any(|it| it.level == level && it.check == check_name && it.found.contains(found)),
            "{check_name} {found}: {bad:?}"
        );
        for finding in bad {
            let is_told = !finding.why.is_empty() && !finding.fix.is_empty();
            assert!(
                is_told && finding.check == check_name,
                "{found}: {finding:?}"
            );
        }
    }
}

#[test]
fn what_nothing_asks_for_may_be_missing() {
    let mut facts = healthy();
    let feature = |name, error: Option<&str>| Feature {
        name,
        for_what: "fast path",
        required: false,
        error: error.map(str::to_owned),
    };
    let features = vec![feature("maps", None), feature("flow tables", Some("none"))];
    facts.kernel.features = features;
    let first = &check(&facts)[0];
    assert_eq!(first.level, Level::Ok);
    let expected = "does maps; it has no flow tables, which nothing asks for";
    assert!(first.found.contains(expected), "{first:?}");
}

#[test]
fn an_agent_that_runs_may_have_its_ports() {
    let mut facts = healthy();
    facts.agent = true;
    facts.listeners = Ok(vec![listener(8080), listener(10256)]);
    for finding in check(&facts) {
        assert_eq!(finding.level, Level::Ok, "{finding:?}");
    }
}

#[test]
fn reserved_node_ports_are_nobodys() {
    let mut facts = healthy();
    set(&mut facts, "net/ipv4/ip_local_port_range", "1024 65535");
    set(
        &mut facts,
        "net/ipv4/ip_local_reserved_ports",
        "8080,30000-32767",
    );
    for finding in check(&facts) {
        assert_eq!(finding.level, Level::Ok, "{finding:?}");
    }
}
