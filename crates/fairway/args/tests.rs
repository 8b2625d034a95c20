use std::path::PathBuf;

use super::*;
use crate::cleanup::Cleanup;

fn environment() -> Environment {
    Environment {
        node_name: None,
        pod_name: None,
        pod_namespace: None,
        host_name: "Host-1".to_owned(),
        processors: std::num::NonZeroUsize::MIN,
        online_processors: std::num::NonZeroUsize::MIN,
    }
}

fn parse(line: &str) -> Result<Invocation, clap::Error> {
    parse_from(line.split_whitespace(), &environment())
}

fn config(line: &str) -> Box<crate::config::Config> {
    match parse(line).unwrap().command {
        Command::Run(config, _) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[test]
fn commands_are_told_apart() {
    let command = |line| parse(line).unwrap().command;
    assert!(matches!(
        command("fairway demo --keep"),
        Command::Demo(Demo { keep: true })
    ));
    assert!(matches!(
        command("fairway demo"),
        Command::Demo(Demo { keep: false })
    ));
    for line in ["fairway cleanup", "fairway run --cleanup"] {
        assert!(
            matches!(command(line), Command::Cleanup(Cleanup::Fairway)),
            "{line}"
        );
    }
    let init = command("fairway run --init-only --conntrack-min 7");
    assert!(matches!(init, Command::Initialize(_)));
    match command("fairway run --write-config-to=file") {
        Command::WriteConfig(_, path) => assert_eq!(path, PathBuf::from("file")),
        other => panic!("{other:?}"),
    }
    let render = "fairway render --manifests dir --node-name N --cluster-cidr 10.0.0.0/8";
    match parse(render).unwrap().command {
        Command::Render(render) => {
            assert_eq!(render.manifests, PathBuf::from("dir"));
            assert_eq!(render.node_name, "n");
            assert!(render.rules.plan_options() != fairway_plan::Options::default());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "fairway",
        "fairway frobnicate",
        "fairway run --frobnicate",
        "fairway run --manifests a --kubeconfig b",
        "fairway run --ingress=perhaps",
        "fairway run --workers 0",
        "fairway run --drain-seconds -1",
        "fairway run --log-format xml",
        "fairway run --cluster-cidr 10.0.0.0/8,10.1.0.0/16",
        "fairway render",
        "fairway demo stray",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in [
        "fairway --help",
        "fairway run --help",
        "fairway -h",
        "fairway --version",
    ] {
        assert_eq!(parse(line).expect_err(line).exit_code(), 0, "{line}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_flag() {
    let error = parse("fairway run --cluster-cidr 10.0.0.0/33")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("error: --cluster-cidr '10.0.0.0/33': expected a network"),
        "{error}"
    );
}

#[test]
fn usage_is_that_of_the_command_in_question() {
    let error = parse("fairway render --manifests m --cluster-cidr pods").unwrap_err();
    assert!(
        error.to_string().contains("Usage: fairway render"),
        "{error}"
    );
}

#[test]
fn booleans_are_spelled_as_for_kube_proxy() {
    assert!(config("fairway run --masquerade-all").rules.masquerade_all);
    assert!(
        config("fairway run --masquerade-all=1")
            .rules
            .masquerade_all
    );
    assert!(
        !config("fairway run --masquerade-all=False")
            .rules
            .masquerade_all
    );
    assert!(!config("fairway run").rules.masquerade_all);
    assert!(!config("fairway run --ingress=false").ingress);
    assert!(!config("fairway run --service-proxy=f").service_proxy);
    assert!(
        config("fairway run --watch-ingress-without-class")
            .router
            .watch_ingress_without_class
    );
}

#[test]
fn lists_are_repeated_or_separated_by_commas() {
    let repeated =
        config("fairway run --ingress-http-address [::]:80 --ingress-http-address [::]:81");
    let listed = config("fairway run --ingress-http-address [::]:80,[::]:81");
    assert_eq!(repeated.router.http_addresses, listed.router.http_addresses);
    assert_eq!(listed.router.http_addresses.len(), 2);
    let adopted =
        config("fairway run --controller fairway.dev/ingress --controller k8s.io/ingress-nginx");
    assert_eq!(
        adopted.router.controllers,
        ["fairway.dev/ingress", "k8s.io/ingress-nginx"]
    );
}

#[test]
fn logging_is_chosen_before_or_after_the_command() {
    for line in [
        "fairway --v=4 --log-format=json cleanup",
        "fairway cleanup --v 4 --log-format json",
        "fairway cleanup -v=4 --log-format json",
        "fairway cleanup -v4 --log-format json",
    ] {
        let logging = parse(line).expect(line).logging;
        let expected = Logging {
            format: Format::Json,
            verbosity: 4,
            quiet: false,
        };
        assert_eq!(logging, expected, "{line}");
    }
}

#[test]
fn the_last_of_several_values_counts_and_underscores_are_dashes() {
    let config = config(
        "fairway run --cluster_cidr=10.0.0.0/8 --cluster-cidr 10.1.0.0/16 --masquerade_all=true \
         --masquerade-all=false --oom-score-adj=-5",
    );
    let pods = crate::config::LocalPods::ClusterCidrs(vec!["10.1.0.0/16".parse().unwrap()]);
    assert_eq!(config.rules.local_pods, pods);
    assert!(!config.rules.masquerade_all);
    assert_eq!(config.oom_score_adj, -5);
}

/// As `kube-proxy --help` of 1.36 lists them, and those that older manifests have.
#[test]
fn every_flag_of_kube_proxy_is_taken() {
    let line = "fairway run --bind-address 192.0.2.7 --bind-address-hard-fail --cluster-cidr \
        10.0.0.0/8 --config-sync-period 15m0s --conntrack-max-per-core 32768 --conntrack-min 131072 \
        --conntrack-tcp-be-liberal --conntrack-tcp-timeout-close-wait 1h0m0s \
        --conntrack-tcp-timeout-established 24h0m0s --conntrack-udp-timeout 30s \
        --conntrack-udp-timeout-stream 2m --detect-local-mode ClusterCIDR --feature-gates \
        A=true,B=false --healthz-bind-address 0.0.0.0:10256 --healthz-port 10256 \
        --hostname-override n --iptables-localhost-nodeports=false --iptables-masquerade-bit 14 \
        --iptables-min-sync-period 1s --iptables-sync-period 30s --ipvs-exclude-cidrs 10.0.0.0/8 \
        --ipvs-min-sync-period 1s --ipvs-scheduler rr --ipvs-strict-arp --ipvs-sync-period 30s \
        --ipvs-tcp-timeout 0s --ipvs-tcpfin-timeout 0s --ipvs-udp-timeout 0s --kube-api-burst 10 \
        --kube-api-content-type application/json --kube-api-qps 5 --kubeconfig k \
        --log-flush-frequency 5s --log-json-info-buffer-size 0 --log-json-split-stream \
        --log-text-info-buffer-size 0 --log-text-split-stream --logging-format text --logtostderr \
        --alsologtostderr=false --stderrthreshold 2 --vmodule a=1 --masquerade-all --master \
        https://192.0.2.1 --metrics-bind-address 127.0.0.1:10249 --metrics-port 10249 \
        --nodeport-addresses 10.0.0.0/8 --oom-score-adj -999 --pod-bridge-interface cni0 \
        --pod-interface-name-prefix veth --profiling=false --proxy-mode nftables \
        --show-hidden-metrics-for-version 1.35 -v 2";
    let config = config(line);
    let mut expected = ["featureGates", "showHiddenMetrics", "--master"].to_vec();
    for warning in &config.warnings {
        expected.retain(|part| !warning.contains(part));
    }
    assert_eq!((expected, config.warnings.len()), (vec![], 3));
    assert_eq!(
        config.rules.bind_address,
        Some("192.0.2.7".parse().unwrap())
    );
}

#[test]
fn a_port_of_zero_means_no_server() {
    let admin = config("fairway run --healthz-port=0 --metrics-port 99").admin;
    assert_eq!(admin.healthz_bind_address, None);
    let usual = "127.0.0.1:10249".parse().unwrap();
    assert_eq!(admin.metrics_bind_address, Some(usual));
    let admin = config("fairway run --metrics-bind-address 192.0.2.7 --metrics-port 99").admin;
    let expected = "192.0.2.7:99".parse().unwrap();
    assert_eq!(admin.metrics_bind_address, Some(expected));
}
