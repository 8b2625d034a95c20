//! `fairway doctor` finds what is planted in a node's namespace.

use std::process::{Child, Command, Output, Stdio};

use fairway_testkit::apiserver::Fault;
use fairway_testkit::lab::{self, Namespace};
use fairway_testkit::{Lab, nft, objects};
use serde_json::Value;

use crate::support::fairway;

/// What `fairway doctor` says, and how it ends.
fn doctor(node: &Namespace, arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut command = Command::new(fairway());
    command.args(["doctor", "--output", "json"]).args(arguments);
    let output = node.output(command).unwrap();
    let findings = serde_json::from_slice(&output.stdout);
    (
        findings.unwrap_or_else(|error| panic!("{error}: {output:?}")),
        output.status.code(),
    )
}

fn run(node: &Namespace, line: &str) -> Output {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = node.output(command).unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    output
}

fn write(node: &Namespace, path: &str, value: &str) {
    node.run(|| std::fs::write(format!("/proc/sys/{path}"), value))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn is_told(findings: &[Value], level: &str, check: &str, found: &str) -> bool {
    findings.iter().any(|finding| {
        finding["level"] == level
            && finding["check"] == check
            && finding["found"]
                .as_str()
                .is_some_and(|text| text.contains(found))
    })
}

fn levels(findings: &[Value]) -> Vec<[&Value; 2]> {
    let findings = findings.iter();
    findings.map(|it| [&it["check"], &it["level"]]).collect()
}

/// A process that ends with this.
struct Running(Child);

impl Running {
    fn start(node: &Namespace, mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(node.spawn(command).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a plant has to keep for as long as it is looked for.
type Kept = Option<Box<dyn std::any::Any>>;

/// How to plant it and how to remove it, and the finding that it is to have.
struct Plant {
    plant: fn(&Namespace) -> Kept,
    remove: fn(&Namespace),
    expected: (&'static str, &'static str, &'static str),
}

const fn plant(
    plant: fn(&Namespace) -> Kept,
    remove: fn(&Namespace),
    expected: (&'static str, &'static str, &'static str),
) -> Plant {
    Plant {
        plant,
        remove,
        expected,
    }
}

fn listen(node: &Namespace, port: u16) -> Kept {
    Some(Box::new(
        node.run(|| std::net::TcpListener::bind(("0.0.0.0", port)))
            .unwrap(),
    ))
}

fn table(node: &Namespace, text: &str) -> Kept {
    nft::apply(node, text).unwrap();
    None
}

fn setting(node: &Namespace, path: &str, value: &str) -> Kept {
    write(node, path, value);
    None
}

fn links(node: &Namespace, lines: &[&str]) -> Kept {
    for line in lines {
        run(node, line);
    }
    None
}

fn nothing(_: &Namespace) {}

/// What the first round ends with.
const LAST_OF_ROUND: &str = "it should be 1350 at most";

const PLANTS: [Plant; 19] = [
    plant(
        |node| setting(node, "net/ipv4/ip_forward", "0"),
        |node| write(node, "net/ipv4/ip_forward", "1"),
        ("fault", "forwarding", "net.ipv4.ip_forward is 0"),
    ),
    plant(
        |node| setting(node, "net/ipv6/conf/all/forwarding", "0"),
        |node| write(node, "net/ipv6/conf/all/forwarding", "1"),
        ("warning", "forwarding", "net.ipv6.conf.all.forwarding is 0"),
    ),
    plant(
        |node| setting(node, "net/ipv4/conf/all/rp_filter", "1"),
        |node| write(node, "net/ipv4/conf/all/rp_filter", "0"),
        ("warning", "reverse path", "all"),
    ),
    plant(
        |node| setting(node, "net/ipv4/conf/all/route_localnet", "1"),
        |node| write(node, "net/ipv4/conf/all/route_localnet", "0"),
        ("warning", "route_localnet", "all"),
    ),
    plant(
        |node| setting(node, "net/ipv4/ip_local_port_range", "20000 60999"),
        |node| write(node, "net/ipv4/ip_local_port_range", "32768 60999"),
        ("warning", "node ports", "20000-60999"),
    ),
    plant(
        |node| {
            table(
                node,
                "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }\n}",
            )
        },
        |node| drop(table(node, "delete table ip filter")),
        (
            "fault",
            "forward policy",
            "ip filter FORWARD (filter forward 0)",
        ),
    ),
    plant(
        |node| {
            table(
                node,
                "table inet firewall { chain input { type filter hook input priority 0; policy drop; }\n}",
            )
        },
        |node| drop(table(node, "delete table inet firewall")),
        ("warning", "firewall", "inet firewall input"),
    ),
    plant(
        |node| {
            table(
                node,
                "table ip mesh { chain first { type nat hook prerouting priority -150; }\n}",
            )
        },
        |node| drop(table(node, "delete table ip mesh")),
        (
            "warning",
            "other tables",
            "ip mesh first (nat prerouting -150) translates before",
        ),
    ),
    plant(
        |node| table(node, "table ip kube-proxy { chain services { }\n}"),
        |node| drop(table(node, "delete table ip kube-proxy")),
        ("warning", "kube-proxy", "table ip kube-proxy"),
    ),
    plant(
        |node| table(node, "table ip nat { chain KUBE-SERVICES { }\n}"),
        |node| drop(table(node, "delete table ip nat")),
        ("warning", "kube-proxy", "KUBE-SERVICES"),
    ),
    plant(
        |node| links(node, &["ip link add kube-ipvs0 type veth peer name peer0"]),
        |node| drop(links(node, &["ip link del kube-ipvs0"])),
        ("warning", "kube-proxy", "interface kube-ipvs0"),
    ),
    plant(
        |node| listen(node, 10249),
        nothing,
        ("warning", "service proxies", "10249"),
    ),
    plant(
        |node| listen(node, 8080),
        nothing,
        ("fault", "ports", "fairway needs 8080 for HTTP"),
    ),
    plant(
        |node| listen(node, 30080),
        nothing,
        ("warning", "node ports", "0.0.0.0:30080 is in use"),
    ),
    plant(
        |node| {
            links(
                node,
                &[
                    "ip link add underlay mtu 1500 type veth peer name under0",
                    "ip link add flannel.1 mtu 1450 type vxlan id 1 dev underlay dstport 8472",
                    // The kernel only looks when the tunnel's is set.
                    "ip link set underlay mtu 1400",
                ],
            )
        },
        |node| {
            drop(links(
                node,
                &["ip link del flannel.1", "ip link del underlay"],
            ))
        },
        ("fault", "pod network", LAST_OF_ROUND),
    ),
    plant(
        |node| {
            table(
                node,
                "table ip filter { chain FLANNEL-FWD { }\n chain FORWARD { type filter hook forward priority 0; policy drop; }\n}",
            )
        },
        |node| drop(table(node, "delete table ip filter")),
        ("warning", "forward policy", "ip filter FORWARD"),
    ),
    plant(
        |node| {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("kube-proxy");
            std::fs::copy("/bin/sleep", &program).unwrap();
            let mut command = Command::new(&program);
            command.arg("600");
            Some(Box::new((Running::start(node, command), folder)))
        },
        nothing,
        ("fault", "service proxies", "kube-proxy runs on this node"),
    ),
    plant(
        |node| listen(node, 10256),
        nothing,
        ("fault", "ports", "fairway needs 10256 for /healthz"),
    ),
    plant(
        |node| {
            links(
                node,
                &[
                    "ip link add underlay mtu 1500 type veth peer name under0",
                    "ip link add flannel.1 mtu 1400 type vxlan id 1 dev underlay dstport 8472",
                    "ip link add cni0 mtu 1450 type bridge",
                ],
            )
        },
        |node| {
            drop(links(
                node,
                &[
                    "ip link del cni0",
                    "ip link del flannel.1",
                    "ip link del underlay",
                ],
            ));
        },
        (
            "fault",
            "pod network",
            "cni0 has MTU 1450, flannel.1 only 1400",
        ),
    ),
];

/// Which of them stand in each other's way is told by their places.
#[test]
fn finds_each_planted_fault() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        let (before, _) = doctor(node, &[]);
        for Plant { expected, .. } in &PLANTS {
            let (level, check, found) = *expected;
            assert!(
                !is_told(&before, level, check, found),
                "{found}: {before:?}"
            );
        }
        for round in PLANTS.split_inclusive(|plant| plant.expected.2 == LAST_OF_ROUND) {
            let kept: Vec<Kept> = round.iter().map(|it| (it.plant)(node)).collect();
            let (findings, code) = doctor(node, &[]);
            for Plant { expected, .. } in round {
                let (level, check, found) = *expected;
                assert!(
                    is_told(&findings, level, check, found),
                    "{found}: {findings:?}"
                );
            }
            assert_eq!(code, Some(1), "each round has a fault");
            drop(kept);
            for Plant { remove, .. } in round {
                remove(node);
            }
        }
        let (after, _) = doctor(node, &[]);
        assert_eq!(levels(&after), levels(&before), "all of it is gone");
    });
}

#[test]
fn bridges_have_to_pass_netfilter() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        links(node, &["ip link add cni0 type bridge"]);
        let path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        let loaded = node.run(|| std::fs::write(path, "0")).is_ok();
        let found = match loaded {
            true => "bridge-nf-call-iptables is 0",
            false => "br_netfilter is not loaded",
        };
        let (findings, code) = doctor(node, &[]);
        assert!(
            is_told(&findings, "fault", "bridges", found),
            "{findings:?}"
        );
        assert_eq!(code, Some(1));
    });
}

#[test]
fn tries_the_kernel_and_changes_nothing() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        let before = nft::list_ruleset(node).unwrap();
        let (findings, _) = doctor(node, &[]);
        assert!(
            is_told(&findings, "ok", "nf_tables", "maps and translation"),
            "{findings:?}"
        );
        assert_eq!(nft::list_ruleset(node).unwrap(), before);
        // As text, for people.
        let text = run(node, &format!("{} doctor", fairway().display()));
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains("ok       nf_tables: kernel"), "{text}");
        assert!(text.contains("0 faults"), "{text}");
    });
}

#[test]
fn says_what_a_missing_capability_means() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
        command.arg(fairway()).args(["doctor", "--output", "json"]);
        let output = node.output(command).unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert!(is_told(&findings, "fault", "nf_tables", ""), "{findings:?}");
        let fixes = findings
            .iter()
            .filter_map(|finding| finding["fix"].as_str());
        assert!(
            fixes.into_iter().any(|fix| fix.contains("CAP_NET_ADMIN")),
            "{findings:?}"
        );
    });
}

/// In the agent's own container there is no right to make a namespace; and what runs there must not notice.
#[test]
fn tries_the_kernel_with_the_rights_of_the_container() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        for family in ["ip", "ip6"] {
            nft::apply(
                node,
                &format!(
                    "table {family} fairway {{\n chain mine {{\n type filter hook input priority 0\n }}\n }}"
                ),
            )
            .unwrap();
        }
        let before = nft::list_ruleset(node).unwrap();
        let with = |arguments: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all", "--"]);
            command.arg(fairway()).args(["doctor", "--output", "json"]);
            let output = node.output({
                command.args(arguments);
                command
            });
            let output = output.unwrap();
            let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
            findings
        };
        let findings = with(&[]);
        let found = "maps and translation, intervals, hashes, maps filled by packets, counters; as checked by the kernel";
        assert!(is_told(&findings, "ok", "nf_tables", found), "{findings:?}");
        let findings = with(&["--flow-table-interfaces", "eth0"]);
        let found = "flow tables could not be tried";
        assert!(
            is_told(&findings, "warning", "nf_tables", found),
            "{findings:?}"
        );
        assert_eq!(nft::list_ruleset(node).unwrap(), before);
    });
}

#[test]
fn asks_the_api_server() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).build().unwrap();
        let node = lab.node("node-1").ns();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let server = lab.start_api_server().unwrap();
        server.write_kubeconfig(&kubeconfig).unwrap();
        let path = kubeconfig.to_str().unwrap();
        let arguments = ["--kubeconfig", path, "--node-name", "node-1"];
        let (findings, _) = doctor(node, &arguments);
        let unknown = "there is no Node \"node-1\"";
        assert!(
            is_told(&findings, "ok", "API server", "answers")
                && is_told(&findings, "fault", "Node", unknown),
            "{findings:?}"
        );
        server.apply(objects::node(lab.node("node-1"))).unwrap();
        // Of Kubernetes before 1.33.
        server.inject(Fault::absent("servicecidrs"));
        let (findings, _) = doctor(node, &arguments);
        let older = "this API server has no servicecidrs.networking.k8s.io";
        assert!(
            is_told(&findings, "ok", "API server", older)
                && !is_told(&findings, "fault", "Node", ""),
            "{findings:?}"
        );
        server.heal();
        for (plural, level) in [("ingresses", "fault"), ("servicecidrs", "warning")] {
            server.inject(Fault::forbid(plural));
            let (findings, _) = doctor(node, &arguments);
            let found = format!("not allowed to list {plural}.networking.k8s.io");
            assert!(is_told(&findings, level, "RBAC", &found), "{findings:?}");
            server.heal();
        }
        for (plural, found) in [
            (
                "leases",
                "not allowed to get, create, update leases.coordination.k8s.io",
            ),
            ("events", "not allowed to create events.events.k8s.io"),
        ] {
            server.inject(Fault::forbid(plural));
            let (findings, _) = doctor(node, &arguments);
            assert!(is_told(&findings, "warning", "RBAC", found), "{findings:?}");
            server.heal();
        }
        let (findings, _) = doctor(node, &arguments);
        for level in ["fault", "warning"] {
            assert!(!is_told(&findings, level, "RBAC", ""), "{findings:?}");
        }
        drop(server);
        let (findings, code) = doctor(node, &arguments);
        assert!(
            is_told(&findings, "fault", "API server", ""),
            "{findings:?}"
        );
        assert_eq!(code, Some(1));
    });
}
