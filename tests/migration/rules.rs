//! kube-proxy's rules and those of its neighbours, by the programs that write them.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use fairway_testkit::lab::Namespace;
use fairway_testkit::{Echo, Family, nft};

use crate::support::Cluster;

/// Of kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// With `iptables-nft`.
    Iptables,
    LegacyIptables,
    Ipvs,
    Nftables,
}

/// The first node of a cluster, and what kube-proxy knows of the Service.
pub(super) struct Node<'a> {
    namespace: &'a Namespace,
    families: [Addresses; 2],
}

struct Addresses {
    family: Family,
    pod_network: String,
    cluster_ip: IpAddr,
    balancer: IpAddr,
    node: IpAddr,
    pods: Vec<IpAddr>,
}

impl<'a> Node<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let lab = cluster.lab();
        let node = lab.node("node-1");
        Self {
            namespace: node.ns(),
            families: Family::BOTH.map(|family| Addresses {
                family,
                pod_network: lab.cluster_cidr(family).to_string(),
                cluster_ip: lab.cluster_ip(family, 10),
                balancer: lab.balancer().ip(family),
                node: node.ip(family),
                pods: lab.pods().iter().map(|pod| pod.ip(family)).collect(),
            }),
        }
    }

    /// The rules of the kubelet, flannel and an operator, where kube-proxy's are going to be.
    pub(super) fn apply_neighbours(&self, mode: Mode) {
        for addresses in &self.families {
            match mode {
                Mode::Nftables => {
                    let table = format!(
                        "table {} flannel {{\n chain postrtg {{\n }}\n }}",
                        addresses.family.nft()
                    );
                    nft::apply(self.namespace, &table).unwrap();
                }
                _ => self.restore(mode, addresses, &addresses.neighbours()),
            }
        }
    }

    pub(super) fn apply(&self, mode: Mode) {
        for addresses in &self.families {
            match mode {
                Mode::Nftables => nft::apply(self.namespace, &addresses.nftables()).unwrap(),
                Mode::Ipvs => {
                    let set = addresses.set("KUBE-CLUSTER-IP");
                    let family = if addresses.family == Family::V4 {
                        "inet"
                    } else {
                        "inet6"
                    };
                    self.run(&["ipset", "create", &set, "hash:ip,port", "family", family]);
                    let member = format!("{},tcp:80", addresses.cluster_ip);
                    self.run(&["ipset", "add", &set, &member]);
                    self.restore(mode, addresses, &addresses.ipvs());
                }
                Mode::Iptables | Mode::LegacyIptables => {
                    self.restore(mode, addresses, &addresses.iptables());
                }
            }
        }
        if mode == Mode::Ipvs {
            // A bridge does as well as the dummy device, which is not in every kernel.
            self.run(&["ip", "link", "add", "kube-ipvs0", "type", "bridge"]);
            for addresses in &self.families {
                let address = addresses.cluster_ip.to_string();
                self.run(&["ip", "address", "add", &address, "dev", "kube-ipvs0"]);
            }
        }
    }

    fn restore(&self, mode: Mode, addresses: &Addresses, rules: &str) {
        let family = if addresses.family == Family::V4 {
            ""
        } else {
            "6"
        };
        let kind = if mode == Mode::LegacyIptables {
            "legacy"
        } else {
            "nft"
        };
        let program = format!("ip{family}tables-{kind}-restore");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rules).unwrap();
        self.run(&[&program, "--noflush", file.path().to_str().unwrap()]);
    }

    /// All rules of iptables and nf_tables but fairway's, all sets of ipset, all devices, without counters.
    pub(super) fn snapshot(&self) -> String {
        let mut all = String::new();
        for program in [
            "iptables-nft-save",
            "ip6tables-nft-save",
            "iptables-legacy-save",
            "ip6tables-legacy-save",
        ] {
            let saved = self.run(&[program]);
            let lines = saved.lines().filter(|line| !line.starts_with('#'));
            for line in lines {
                // Counters of policies.
                all.push_str(line.split(" [").next().unwrap());
                all.push('\n');
            }
        }
        all.push_str(&self.run(&["ipset", "list", "-name"]));
        for line in self.run(&["nft", "list", "tables"]).lines() {
            if !line.ends_with(" fairway") {
                all.push_str(&format!("{line}\n"));
            }
        }
        for line in self.run(&["ip", "-brief", "link"]).lines() {
            all.push_str(line.split([' ', '@']).next().unwrap());
            all.push('\n');
        }
        all
    }

    /// A process of this node with a name of our choice.
    pub(super) fn run_something_called(&self, name: &str) -> Process {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(name);
        let sleep = PathBuf::from("/bin/sleep");
        std::fs::copy(sleep, &program).unwrap();
        let mut command = Command::new(&program);
        command.arg("600").stdin(Stdio::null());
        Process(self.namespace.spawn(command).unwrap())
    }

    /// Tells one client a configuration as kube-proxy does, and ends.
    pub(super) fn metrics_of_kube_proxy(&self) -> JoinHandle<()> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 10249));
        let listener = self.namespace.run(bind).unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut head = BufReader::new(client.try_clone().unwrap()).lines();
            assert!(head.any(|line| line.unwrap().is_empty()));
            let answer =
                "HTTP/1.0 200 OK\r\n\r\n{\"kubeproxy.config.k8s.io\":{\"Mode\":\"iptables\"}}";
            client.write_all(answer.as_bytes()).unwrap();
        })
    }

    fn run(&self, line: &[&str]) -> String {
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        let output = self.namespace.output(command);
        let output = output.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(output.status.success(), "{line:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Ends when it is dropped.
pub(super) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Addresses {
    /// As mode ipvs calls it.
    fn set(&self, name: &str) -> String {
        match self.family {
            Family::V4 => name.to_owned(),
            Family::V6 => name.replacen("KUBE-", "KUBE-6-", 1),
        }
    }

    fn socket(&self, pod: IpAddr) -> String {
        match self.family {
            Family::V4 => format!("{pod}:{}", Echo::LINES),
            Family::V6 => format!("[{pod}]:{}", Echo::LINES),
        }
    }

    /// What the kubelet, flannel and the operator have. The operator's way to mark makes use of kube-proxy's idea, but
    /// has its own chain.
    fn neighbours(&self) -> String {
        let pods = &self.pod_network;
        format!(
            "*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
:FLANNEL-FWD - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment \"flanneld forward\" -j FLANNEL-FWD
-A FORWARD -m comment --comment \"mine: -j KUBE-FORWARD\" -p tcp -m tcp --dport 12345 -j DROP
-A FLANNEL-FWD -s {pods} -m comment --comment \"flanneld forward\" -j ACCEPT
-A FLANNEL-FWD -d {pods} -m comment --comment \"flanneld forward\" -j ACCEPT
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment \"flanneld masq\" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment \"flanneld masq\" -j RETURN
COMMIT
"
        )
    }

    /// As kube-proxy 1.33 writes them.
    fn iptables(&self) -> String {
        let Self {
            pod_network,
            cluster_ip,
            balancer,
            node,
            ..
        } = self;
        let new = "-m conntrack --ctstate NEW";
        let mut endpoints = String::new();
        for (name, pod) in ["AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"]
            .iter()
            .zip(&self.pods)
        {
            let to = self.socket(*pod);
            endpoints.push_str(&format!(
                "-A KUBE-SEP-{name} -s {pod} -m comment --comment default/web -j KUBE-MARK-MASQ
-A KUBE-SEP-{name} -p tcp -m comment --comment default/web -m tcp -j DNAT --to-destination {to}
"
            ));
        }
        format!(
            "*mangle
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-I INPUT {new} -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-I INPUT -m comment --comment \"kubernetes health check service ports\" -j KUBE-NODEPORTS
-I INPUT {new} -m comment --comment \"kubernetes externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES
-I FORWARD {new} -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-I FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-I FORWARD {new} -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-I FORWARD {new} -m comment --comment \"kubernetes externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES
-I OUTPUT {new} -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-I OUTPUT {new} -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-EXT-CCCCCCCCCCCCCCCC - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-CCCCCCCCCCCCCCCC - [0:0]
-I PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-I OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-EXT-CCCCCCCCCCCCCCCC -m comment --comment \"masquerade traffic for default/web external destinations\" -j KUBE-MARK-MASQ
-A KUBE-EXT-CCCCCCCCCCCCCCCC -j KUBE-SVC-CCCCCCCCCCCCCCCC
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-NODEPORTS -d {node} -p tcp -m comment --comment default/web -m tcp --dport 30080 -j KUBE-EXT-CCCCCCCCCCCCCCCC
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
{endpoints}-A KUBE-SERVICES -d {cluster_ip} -p tcp -m comment --comment \"default/web cluster IP\" -m tcp --dport 80 -j KUBE-SVC-CCCCCCCCCCCCCCCC
-A KUBE-SERVICES -d {balancer} -p tcp -m comment --comment \"default/web loadbalancer IP\" -m tcp --dport 80 -j KUBE-EXT-CCCCCCCCCCCCCCCC
-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-CCCCCCCCCCCCCCCC ! -s {pod_network} -d {cluster_ip} -p tcp -m comment --comment \"default/web cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-CCCCCCCCCCCCCCCC -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-AAAAAAAAAAAAAAAA
-A KUBE-SVC-CCCCCCCCCCCCCCCC -j KUBE-SEP-BBBBBBBBBBBBBBBB
COMMIT
"
        )
    }

    /// As kube-proxy 1.33 writes them in mode ipvs, whatever Services there are.
    fn ipvs(&self) -> String {
        let clusters = self.set("KUBE-CLUSTER-IP");
        let pods = &self.pod_network;
        format!(
            "*filter
:KUBE-FORWARD - [0:0]
:KUBE-IPVS-FILTER - [0:0]
:KUBE-IPVS-OUT-FILTER - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SOURCE-RANGES-FIREWALL - [0:0]
-I INPUT -m comment --comment \"kubernetes health check rules\" -j KUBE-NODE-PORT
-I INPUT -m comment --comment \"kube-proxy firewall rules\" -j KUBE-PROXY-FIREWALL
-I INPUT -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-FILTER
-I OUTPUT -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-OUT-FILTER
-I FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-I FORWARD -m comment --comment \"kube-proxy firewall rules\" -j KUBE-PROXY-FIREWALL
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set {clusters} dst,dst -j RETURN
-A KUBE-SOURCE-RANGES-FIREWALL -j DROP
COMMIT
*nat
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-I PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-I OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-A KUBE-SERVICES ! -s {pods} -m set --match-set {clusters} dst,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-SERVICES -m set --match-set {clusters} dst,dst -j ACCEPT
COMMIT
"
        )
    }

    /// As kube-proxy 1.33 writes them, with one Service.
    fn nftables(&self) -> String {
        let Self {
            pod_network,
            cluster_ip,
            balancer,
            node,
            ..
        } = self;
        let ip = self.family.nft();
        let (address, port) = match self.family {
            Family::V4 => ("ipv4_addr", "ip"),
            Family::V6 => ("ipv6_addr", "ip6"),
        };
        let [one, other] = [0, 1].map(|it| (self.pods[it], self.socket(self.pods[it])));
        let ((one, to_one), (other, to_other)) = (one, other);
        format!(
            "table {ip} kube-proxy {{
                map service-ips {{
                    type {address} . inet_proto . inet_service : verdict
                    elements = {{ {cluster_ip} . tcp . 80 : goto service-web, {balancer} . tcp . 80 : goto external-web }}
                }}
                map service-nodeports {{
                    type inet_proto . inet_service : verdict
                    elements = {{ tcp . 30080 : goto external-web }}
                }}
                set nodeport-ips {{
                    type {address}
                    elements = {{ {node} }}
                }}
                chain mark-for-masquerade {{
                    meta mark set meta mark or 0x4000
                }}
                chain masquerading {{
                    meta mark and 0x4000 == 0 return
                    meta mark set meta mark xor 0x4000
                    masquerade fully-random
                }}
                chain services {{
                    {port} daddr . meta l4proto . th dport vmap @service-ips
                    {port} daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
                }}
                chain service-web {{
                    {port} daddr {cluster_ip} tcp dport 80 {port} saddr != {pod_network} jump mark-for-masquerade
                    numgen random mod 2 vmap {{ 0 : goto endpoint-one, 1 : goto endpoint-other }}
                }}
                chain external-web {{
                    jump mark-for-masquerade
                    goto service-web
                }}
                chain endpoint-one {{
                    {port} saddr {one} jump mark-for-masquerade
                    meta l4proto tcp dnat to {to_one}
                }}
                chain endpoint-other {{
                    {port} saddr {other} jump mark-for-masquerade
                    meta l4proto tcp dnat to {to_other}
                }}
                chain nat-prerouting {{
                    type nat hook prerouting priority dstnat;
                    jump services
                }}
                chain nat-output {{
                    type nat hook output priority -100;
                    jump services
                }}
                chain nat-postrouting {{
                    type nat hook postrouting priority srcnat;
                    jump masquerading
                }}
                chain filter-forward {{
                    type filter hook forward priority 0
                    ct state new {port} daddr {cluster_ip} reject
                }}
            }}"
        )
    }
}
