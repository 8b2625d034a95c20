//! `--config`.

use tempfile::{NamedTempFile, TempDir};

use super::*;

/// What kubeadm writes into the ConfigMap `kube-proxy`.
const KUBEADM: &str = include_str!("kubeadm.yaml");

const KUBE_PROXY: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
";
const FAIRWAY: &str = "apiVersion: fairway.dev/v1alpha1
kind: FairwayConfiguration
";

fn file(content: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, content).unwrap();
    file
}

fn run_with(content: &str, arguments: &[&str]) -> Result<Config, LoadError> {
    let file = file(content);
    let path = file.path().to_str().unwrap();
    run(&[&["--config", path], arguments].concat())
}

fn with_fields(fields: &str) -> Result<Config, LoadError> {
    run_with(&format!("{KUBE_PROXY}{fields}"), &[])
}

/// Without the name of the file.
fn problem_with(content: &str) -> String {
    let error = run_with(content, &[]).expect_err(content).to_string();
    let (_, problem) = error.split_once(": ").unwrap_or(("", &error));
    problem.to_owned()
}

#[test]
fn what_kubeadm_writes_means_the_defaults_and_asks_for_nothing_strange() {
    let config = run_with(KUBEADM, &[]).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    let kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf".into();
    assert_eq!(config.source, Source::Kubeconfig(kubeconfig));
    let by_flags = run(&[
        "--kubeconfig=/var/lib/kube-proxy/kubeconfig.conf",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56",
    ]);
    let by_flags = by_flags.unwrap();
    assert_eq!(
        serde_json::to_value(&config).unwrap(),
        serde_json::to_value(&by_flags).unwrap()
    );
}

#[test]
fn every_field_with_a_meaning_is_used() {
    let config = with_fields(
        r#"
bindAddress: 192.0.2.7
bindAddressHardFail: true
clientConnection: {kubeconfig: /k}
conntrack:
  maxPerCore: 100000
  min: 1
  tcpBeLiberal: true
  tcpCloseWaitTimeout: 5m
  tcpEstablishedTimeout: 0s
  udpStreamTimeout: 3m
  udpTimeout: 20s
detectLocal: {interfaceNamePrefix: veth}
detectLocalMode: InterfaceNamePrefix
healthzBindAddress: 192.0.2.7:1
hostnameOverride: Node-7
metricsBindAddress: "[::1]:2"
mode: nftables
nftables: {masqueradeAll: true, masqueradeBit: 3, syncPeriod: 10s, minSyncPeriod: 2s}
iptables: {masqueradeBit: 4, syncPeriod: 11s}
nodePortAddresses: [192.0.2.0/24]
oomScoreAdj: -1
"#,
    );
    let config = config.unwrap();
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.source, Source::Kubeconfig("/k".into()));
    assert_eq!(config.node_name, "node-7");
    let rules = Rules {
        local_pods: LocalPods::InterfaceNamePrefix("veth".to_owned()),
        masquerade_all: true,
        masquerade_bit: 3,
        node_port_addresses: NodePortAddresses::Within(networks(&["192.0.2.0/24"])),
        reset_removed_endpoints: false,
        drop_stray: false,
        count_connections: false,
        flow_table_interfaces: Vec::new(),
        bind_address: Some("192.0.2.7".parse().unwrap()),
    };
    assert_eq!(config.rules, rules);
    let conntrack = Conntrack {
        max: Some(300_000),
        tcp_established: None,
        tcp_close_wait: Some(Duration::from_secs(300).into()),
        tcp_be_liberal: true,
        udp: Some(Duration::from_secs(20).into()),
        udp_stream: Some(Duration::from_secs(180).into()),
    };
    assert_eq!(config.conntrack, conntrack);
    assert_eq!(config.sync_period, Duration::from_secs(10));
    assert_eq!(config.oom_score_adj, -1);
    let admin = Admin {
        healthz_bind_address: Some("192.0.2.7:1".parse().unwrap()),
        metrics_bind_address: Some("[::1]:2".parse().unwrap()),
        bind_address_hard_fail: true,
    };
    assert_eq!(config.admin, admin);
}

#[test]
fn the_section_of_the_mode_counts_and_without_a_mode_either() {
    let bit = |fields| with_fields(fields).unwrap().rules.masquerade_bit;
    assert_eq!(bit("iptables: {masqueradeBit: 3}\n"), 3);
    assert_eq!(bit("nftables: {masqueradeBit: 4}\n"), 4);
    assert_eq!(bit("mode: nftables\niptables: {masqueradeBit: 3}\n"), 14);
    assert_eq!(bit("mode: ipvs\nnftables: {masqueradeBit: 4}\n"), 14);
    let all = |fields| with_fields(fields).unwrap().rules.masquerade_all;
    assert!(all(
        "iptables: {masqueradeAll: true}\nnftables: {masqueradeAll: false}\n"
    ));
    assert!(!all("mode: nftables\niptables: {masqueradeAll: true}\n"));
}

#[test]
fn health_is_answered_in_the_family_of_the_bind_address() {
    let admin = with_fields("bindAddress: fd00::7\n").unwrap().admin;
    let [any, loopback] = ["[::]:10256", "[::1]:10249"].map(|text| text.parse().unwrap());
    assert_eq!(admin.healthz_bind_address, Some(any));
    assert_eq!(admin.metrics_bind_address, Some(loopback));
}

#[test]
fn a_file_of_kube_proxys_replaces_its_flags_but_two() {
    let config = run_with(
        &format!("{KUBE_PROXY}hostnameOverride: from-file\n"),
        &[
            "--hostname-override=from-flag",
            "--cluster-cidr=10.0.0.0/8",
            "--masquerade-all",
            "--drain-seconds=3",
            "--manifests=/m",
        ],
    );
    let config = config.unwrap();
    assert_eq!(config.node_name, "from-flag");
    assert_eq!(config.rules.local_pods, LocalPods::default());
    assert!(!config.rules.masquerade_all);
    // Flags that kube-proxy has not are none of its file's business.
    assert_eq!(config.drain, Duration::from_secs(3));
    assert_eq!(config.source, Source::Manifests("/m".into()));
    let ignored = &config.warnings[0];
    assert!(
        ignored.starts_with("--cluster-cidr --masquerade-all: ignored"),
        "{ignored}"
    );
}

#[test]
fn a_file_of_ours_replaces_the_flags_that_it_names() {
    let content = format!(
        "{FAIRWAY}ingressHttpAddress: ['[::]:80']\ntrustedProxies: [10.0.0.0/8]\n\
         watchIngressWithoutClass: true\ndrainSeconds: 7\nworkers: null\n"
    );
    let flags = [
        "--drain-seconds=3",
        "--ingress-class=c",
        "--cluster-cidr=10.0.0.0/8",
    ];
    let config = run_with(&content, &flags).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.router.http_addresses, ["[::]:80".parse().unwrap()]);
    assert_eq!(config.router.trusted_proxies, networks(&["10.0.0.0/8"]));
    assert!(config.router.watch_ingress_without_class);
    assert_eq!(config.drain, Duration::from_secs(7));
    assert_eq!(config.router.ingress_class, "c");
    assert_ne!(config.rules.local_pods, LocalPods::default());
}

#[test]
fn both_kinds_may_stand_in_one_file_or_in_two() {
    let fields = "masqueradeBit: 3";
    let first = format!("{KUBE_PROXY}iptables: {{{fields}}}\n");
    let second = format!("{FAIRWAY}drainSeconds: 7\n");
    let in_one = run_with(&format!("---\n{first}---\n{second}"), &[]).unwrap();
    let [first, second] = [file(&first), file(&second)];
    let paths = [&first, &second].map(|file| file.path().to_str().unwrap());
    let in_two = run(&["--config", paths[0], "--config", paths[1]]).unwrap();
    for config in [in_one, in_two] {
        assert_eq!(config.rules.masquerade_bit, 3);
        assert_eq!(config.drain, Duration::from_secs(7));
    }
    let twice = problem(&["--config", paths[0], "--config", paths[0]]);
    assert!(
        twice.contains("both have a KubeProxyConfiguration"),
        "{twice}"
    );
}

#[test]
fn what_is_strange_is_told_and_ignored() {
    let config = with_fields(
        "conntrack: {maxPerCore: 1, udpIdleTimeout: 1s}\nclusterCIDR: 10.0.0.0/8\n\
         resourceContainer: /kube-proxy\nclusterCIDR: 10.1.0.0/16\nfeatureGates: {A: true}\n",
    );
    let config = config.unwrap();
    let pods = LocalPods::ClusterCidrs(networks(&["10.1.0.0/16"]));
    assert_eq!(config.rules.local_pods, pods);
    let warnings: Vec<_> = config.warnings.iter().collect();
    for (warning, part) in warnings.iter().zip([
        "clusterCIDR is there twice; the last counts",
        "no field conntrack.udpIdleTimeout",
        "no field resourceContainer",
        "featureGates A",
    ]) {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(config.faults.is_empty(), "{:?}", config.faults);

    // Of ours, it does not replace what is in force.
    for (fields, part) in [
        ("drainMinutes: 1", "no field drainMinutes"),
        ("policies: []\npolices: []", "no field polices"),
        ("policies: []\npolicies: []", "policies is there twice"),
    ] {
        let config = run_with(&format!("{FAIRWAY}{fields}\n"), &["--masquerade-all"]);
        let config = config.unwrap();
        for told in [&config.warnings, &config.faults] {
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains(part), "{told:?}");
        }
    }
}

#[test]
fn wishes_that_are_not_fulfilled_are_told_once() {
    for (fields, part) in [
        ("mode: ipvs\n", "fairway always uses nf_tables"),
        ("mode: iptables\n", "primary addresses"),
        ("iptables: {localhostNodePorts: true}\n", "127.0.0.1"),
        ("iptables: {snatNodeInternalIP: true}\n", "masqueraded with"),
        ("enableProfiling: true\n", "pprof"),
        (
            "showHiddenMetricsForVersion: '1.35'\n",
            "no metrics are hidden",
        ),
        ("logging: {format: xml}\n", "text and json"),
    ] {
        let config = with_fields(&format!("clusterCIDR: 10.0.0.0/8\n{fields}")).unwrap();
        let [warning] = &config.warnings[..] else {
            panic!("{fields}: {:?}", config.warnings);
        };
        assert!(warning.contains(part), "{warning}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_field() {
    for (fields, part) in [
        (
            "iptables: {masqueradeBit: 32}\n",
            "iptables.masqueradeBit '32'",
        ),
        (
            "nftables: {masqueradeBit: -1}\n",
            "nftables.masqueradeBit '-1'",
        ),
        (
            "iptables: {syncPeriod: 1s, minSyncPeriod: 2s}\n",
            "iptables.syncPeriod '1s'",
        ),
        (
            "iptables: {syncPeriod: -1s}\n",
            "iptables.syncPeriod: must not be negative",
        ),
        (
            "configSyncPeriod: soon\n",
            "configSyncPeriod: expected a duration",
        ),
        (
            "clusterCIDR: 10.0.0.0/8,10.1.0.0/16\n",
            "clusterCIDR takes one network",
        ),
        (
            "nodePortAddresses: [primary, 10.0.0.0/8]\n",
            "nodePortAddresses 'primary",
        ),
        (
            "healthzBindAddress: 1.2.3.4:70000\n",
            "healthzBindAddress '1.2.3.4:70000'",
        ),
        (
            "metricsBindAddress: 0.0.0.0:10256\n",
            "metricsBindAddress 0.0.0.0:10256 overlaps",
        ),
        (
            "bindAddress: here\n",
            "bindAddress 'here': expected an IP address",
        ),
        ("mode: userspace\n", "mode 'userspace'"),
        ("oomScoreAdj: -1001\n", "oomScoreAdj '-1001'"),
        ("conntrack: {min: -1}\n", "conntrack.min '-1'"),
        ("conntrack: {min: many}\n", "conntrack.min: invalid type"),
        ("detectLocalMode: Magic\n", "detectLocalMode 'Magic'"),
        (
            "detectLocalMode: BridgeInterface\n",
            "detectLocal.bridgeInterface ''",
        ),
    ] {
        let problem = problem_with(&format!("{KUBE_PROXY}{fields}"));
        assert!(problem.starts_with(part), "{fields}: {problem}");
    }
    for (fields, part) in [
        ("controller: [nginx]\n", "controller 'nginx'"),
        ("trustedProxies: [here]\n", "trustedProxies 'here'"),
        ("drainSeconds: soon\n", "drainSeconds: invalid type"),
        ("workers: 0.5\n", "workers: invalid type"),
    ] {
        let problem = problem_with(&format!("{FAIRWAY}{fields}"));
        assert!(problem.starts_with(part), "{fields}: {problem}");
    }
}

#[test]
fn files_that_are_no_configuration_are_named() {
    let directory = TempDir::new().unwrap();
    let absent = directory.path().join("absent");
    let absent = problem(&["--config", absent.to_str().unwrap()]);
    assert!(
        absent.contains("absent") && absent.contains("check --config"),
        "{absent}"
    );
    for (content, part) in [
        ("", "has no configuration"),
        ("---\n# later\n", "has no configuration"),
        (
            "kind: ConfigMap\napiVersion: v1\n",
            "'ConfigMap' and apiVersion 'v1'",
        ),
        ("- a list\n", "of kind ''"),
        ("{", "is not YAML"),
    ] {
        let error = run_with(content, &[]).expect_err(content).to_string();
        assert!(error.contains(part), "{content}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn what_is_written_is_read_back_as_the_same() {
    let flags = [
        "--cluster-cidr=10.0.0.0/8",
        "--iptables-masquerade-bit=3",
        "--conntrack-udp-timeout=1m30s",
        "--ingress-class=c",
        "--kubeconfig=/k",
        "--healthz-bind-address=127.0.0.1:1",
    ];
    let before = run(&flags).unwrap();
    let written = before.documents().unwrap();
    let after = run_with(&written, &["--kubeconfig=/k"]).unwrap();
    assert_eq!(after.warnings, [""; 0], "{written}");
    assert_eq!(after.configz(), before.configz(), "{written}");
    assert_eq!(
        serde_json::to_value(&after).unwrap(),
        serde_json::to_value(&before).unwrap()
    );
}
