mod files;

use super::rules::{LocalPods, NodePortAddresses};
use super::*;
use crate::args::ProxyProtocol;

fn environment() -> Environment {
    let three = NonZeroUsize::new(3).unwrap();
    Environment {
        node_name: None,
        pod_name: None,
        pod_namespace: None,
        host_name: "Host-1.example\n".to_owned(),
        processors: three,
        online_processors: three,
    }
}

fn run(arguments: &[&str]) -> Result<Config, LoadError> {
    let arguments = ["fairway", "run"]
        .into_iter()
        .chain(arguments.iter().copied());
    crate::args::load(arguments, &environment()).expect("arguments that clap takes")
}

fn problem(arguments: &[&str]) -> String {
    run(arguments).expect_err(&arguments.join(" ")).to_string()
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_defaults_are_those_of_kube_proxy_and_of_the_documentation() {
    let config = run(&[]).unwrap();
    assert_eq!(config.source, Source::InCluster);
    assert_eq!(config.node_name, "host-1.example");
    assert!(config.service_proxy && config.ingress);
    let rules = Rules {
        local_pods: LocalPods::ClusterCidrs(Vec::new()),
        masquerade_all: false,
        masquerade_bit: 14,
        node_port_addresses: NodePortAddresses::Primary,
        reset_removed_endpoints: false,
        drop_stray: true,
        count_connections: false,
        flow_table_interfaces: Vec::new(),
        bind_address: None,
    };
    assert_eq!(config.rules, rules);
    let conntrack = Conntrack {
        max: Some(131_072),
        tcp_established: Some(Duration::from_secs(86_400).into()),
        tcp_close_wait: Some(Duration::from_secs(3_600).into()),
        tcp_be_liberal: false,
        udp: None,
        udp_stream: None,
    };
    assert_eq!(config.conntrack, conntrack);
    assert_eq!(config.sync_period, Duration::from_secs(30));
    assert_eq!(config.oom_score_adj, -999);
    let router = Router {
        http_addresses: vec!["[::]:8080".parse().unwrap()],
        https_addresses: vec!["[::]:8443".parse().unwrap()],
        default_tls_secret: None,
        default_backend: None,
        external_hosts: true,
        redirect_to_https: true,
        hsts_max_age: Duration::from_secs(31_536_000),
        h2c: false,
        ingress_class: "fairway".to_owned(),
        controllers: vec!["fairway.dev/ingress".to_owned()],
        watch_ingress_without_class: false,
        trusted_proxies: Vec::new(),
        proxy_protocol: ProxyProtocol::Off,
        max_connections: None,
        max_connections_per_client: None,
        min_body_rate: 16,
        min_response_rate: 128,
        memory_watermark: 90,
        workers: NonZeroUsize::new(3).unwrap(),
        publish: None,
    };
    assert_eq!(config.router, router);
    let admin = Admin {
        healthz_bind_address: Some("0.0.0.0:10256".parse().unwrap()),
        metrics_bind_address: Some("127.0.0.1:10249".parse().unwrap()),
        bind_address_hard_fail: false,
    };
    assert_eq!(config.admin, admin);
    assert_eq!(config.drain_delay, Duration::from_secs(15));
    assert_eq!(config.drain, Duration::from_secs(25));
}

#[test]
fn the_configuration_is_one_line_of_json() {
    let config = run(&["--manifests", "/m", "--cluster-cidr", "10.244.0.0/16"]).unwrap();
    let line = serde_json::to_string(&config).unwrap();
    assert!(!line.contains('\n'));
    let parsed: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(parsed["source"], json!({"manifests": "/m"}));
    let pods = json!({"clusterCidrs": ["10.244.0.0/16"]});
    assert_eq!(parsed["rules"]["localPods"], pods);
    assert_eq!(parsed["drainSeconds"], 25);
}

#[test]
fn the_flag_names_the_node_before_the_variable_and_the_host() {
    let mut environment = environment();
    let name = |environment: &Environment, given: Option<&str>| {
        environment.node_name(&setting::HOSTNAME, &[given])
    };
    assert_eq!(name(&environment, None).unwrap(), "host-1.example");
    environment.node_name = Some("  Worker-2 ".to_owned());
    assert_eq!(name(&environment, None).unwrap(), "worker-2");
    assert_eq!(name(&environment, Some("")).unwrap(), "worker-2");
    assert_eq!(name(&environment, Some(" Node-3")).unwrap(), "node-3");

    environment.node_name = None;
    environment.host_name = String::new();
    let error = name(&environment, Some(" ")).unwrap_err();
    assert!(error.to_string().contains("give the node's"), "{error}");
}

#[test]
fn cluster_cidrs_are_one_per_family_without_host_bits() {
    let cidrs = |text: &str| {
        let rules = run(&["--cluster-cidr", text]).unwrap().rules;
        match rules.local_pods {
            LocalPods::ClusterCidrs(cidrs) => cidrs,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cidrs("10.244.7.1/16"), networks(&["10.244.0.0/16"]));
    assert_eq!(
        cidrs(" 10.244.0.0/16, fd00:10:244::/56"),
        networks(&["10.244.0.0/16", "fd00:10:244::/56"])
    );
    assert_eq!(
        cidrs("fd00::/8,10.0.0.0/8"),
        networks(&["fd00::/8", "10.0.0.0/8"])
    );
    assert_eq!(cidrs(""), []);

    for (text, part) in [
        (
            "10.0.0.0/8,10.1.0.0/16",
            "10.0.0.0/8 and 10.1.0.0/16 are of one",
        ),
        (
            "10.0.0.0/8,fd00::/8,fd01::/16",
            "fd00::/8 and fd01::/16 are of one",
        ),
        ("10.0.0.0/33", "expected a network"),
        ("10.0.0.0", "expected a network"),
        ("pods", "expected a network"),
    ] {
        let problem = problem(&["--cluster-cidr", text]);
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn proxy_protocol_needs_somebody_to_trust() {
    let mode = |arguments: &[&str]| run(arguments).unwrap().router.proxy_protocol;
    let required = ["--proxy-protocol=required", "--trusted-proxies=192.0.2.7"];
    assert_eq!(mode(&required), ProxyProtocol::Required);
    assert_eq!(
        mode(&["--proxy-protocol=optional"]),
        ProxyProtocol::Optional
    );
    let problem = problem(&required[..1]);
    assert!(problem.contains("--trusted-proxies"), "{problem}");
    let warnings = run(&["--proxy-protocol=optional"]).unwrap().warnings;
    let warning = warnings.last().unwrap();
    assert!(warning.contains("--trusted-proxies"), "{warning}");
}

#[test]
fn trusted_proxies_are_networks_or_single_addresses() {
    let config = run(&["--trusted-proxies", "10.0.0.1/8, 192.0.2.7,2001:db8::1"]).unwrap();
    let expected = networks(&["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"]);
    assert_eq!(config.router.trusted_proxies, expected);
    let problem = problem(&["--trusted-proxies", "lb.example"]);
    assert!(
        problem.starts_with("--trusted-proxies 'lb.example'"),
        "{problem}"
    );
}

#[test]
fn admin_addresses_may_lack_the_port_or_be_absent() {
    let admin =
        |text: &str| run(&["--healthz-bind-address", text]).map(|it| it.admin.healthz_bind_address);
    assert_eq!(
        admin("127.0.0.1").unwrap(),
        Some("127.0.0.1:10256".parse().unwrap())
    );
    assert_eq!(admin("::").unwrap(), Some("[::]:10256".parse().unwrap()));
    assert_eq!(
        admin("[::1]:99").unwrap(),
        Some("[::1]:99".parse().unwrap())
    );
    assert_eq!(admin("").unwrap(), None);
    for text in ["localhost:99", ":10256", "1.2.3.4:70000", "::1:x"] {
        let error = admin(text).expect_err(text).to_string();
        assert!(
            error.contains("expected an IP address and a port"),
            "{text}: {error}"
        );
    }
}

#[test]
fn two_servers_cannot_have_one_port() {
    for arguments in [
        &["--ingress-http-address", "[::]:10256"][..],
        &["--ingress-http-address", "[::]:80,127.0.0.1:80"],
        &["--metrics-bind-address", "0.0.0.0:8080"],
        &["--metrics-bind-address", "127.0.0.1:10256"],
    ] {
        let problem = problem(arguments);
        assert!(
            problem.contains("overlaps with"),
            "{arguments:?}: {problem}"
        );
    }
    for arguments in [
        &["--ingress-http-address", "127.0.0.1:80,192.0.2.1:80"][..],
        &["--ingress=false", "--metrics-bind-address", "0.0.0.0:8080"],
        &[
            "--healthz-bind-address",
            "127.0.0.1:0",
            "--metrics-bind-address",
            "127.0.0.1:0",
        ],
    ] {
        run(arguments).unwrap();
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    for (arguments, part) in [
        (
            &["--detect-local-mode", "BridgeInterface"][..],
            "needs the name",
        ),
        (
            &["--nodeport-addresses", "primary,10.0.0.0/8"],
            "primary stands alone",
        ),
        (&["--nodeport-addresses", "10.0.0.1"], "expected a network"),
        (&["--detect-local-mode", "Magic"], "no such mode"),
        (&["--ingress-class", " "], "--watch-ingress-without-class"),
        (&["--controller", "nginx"], "fairway.dev/ingress"),
        (&["--controller", "/ingress"], "fairway.dev/ingress"),
        (&["--ingress-http-address", "8080"], "[::]:8080"),
        (&["--default-backend-service", "web"], "default-backend:80"),
        (
            &["--default-backend-service", "a/b:0"],
            "default-backend:80",
        ),
        (
            &["--default-backend-service", "a/b:70000"],
            "default-backend:80",
        ),
        (&["--default-backend-service", "a/b:"], "default-backend:80"),
        (
            &["--default-backend-service", "a/b/c"],
            "default-backend:80",
        ),
        (
            &["--ingress=false", "--service-proxy=false"],
            "nothing to do",
        ),
    ] {
        let problem = problem(arguments);
        assert!(problem.contains(part), "{arguments:?}: {problem}");
    }
}

#[test]
fn the_default_backend_has_a_port() {
    for (text, port) in [("a/b", "80"), ("a/b:8080", "8080"), (" a/b:http", "http")] {
        let config = run(&["--default-backend-service", text]).unwrap();
        let backend = config.router.default_backend.unwrap();
        assert_eq!(backend.service.to_string(), "a/b", "{text}");
        assert_eq!(backend.port.to_string(), port);
    }
}

#[test]
fn a_service_proxy_that_knows_no_pod_network_is_warned_about() {
    assert_eq!(run(&[]).unwrap().warnings.len(), 1);
    for arguments in [
        &["--cluster-cidr", "10.0.0.0/8"][..],
        &["--masquerade-all"],
        &["--service-proxy=false"],
    ] {
        assert!(run(arguments).unwrap().warnings.is_empty(), "{arguments:?}");
    }
}

#[test]
fn pods_are_recognised_in_four_ways() {
    let pods = |arguments: &[&str]| run(arguments).unwrap().rules.local_pods;
    let mode = |arguments: &[&'static str]| pods(&[&["--detect-local-mode"], arguments].concat());
    assert_eq!(pods(&[]), LocalPods::ClusterCidrs(Vec::new()));
    assert_eq!(mode(&["NodeCIDR"]), LocalPods::NodeCidr);
    assert_eq!(
        mode(&["BridgeInterface", "--pod-bridge-interface", "cni0"]),
        LocalPods::BridgeInterface("cni0".to_owned())
    );
    assert_eq!(
        mode(&["InterfaceNamePrefix", "--pod-interface-name-prefix", "veth"]),
        LocalPods::InterfaceNamePrefix("veth".to_owned())
    );
    for name in [
        "",
        "sixteen-letters-",
        "a b",
        "a/b",
        "veth*",
        "\"",
        "caf\u{e9}",
    ] {
        problem(&[
            "--detect-local-mode",
            "BridgeInterface",
            "--pod-bridge-interface",
            name,
        ]);
    }
}

#[test]
fn node_ports_are_served_where_the_flag_says() {
    let addresses = |text: &str| {
        let rules = run(&["--nodeport-addresses", text]).unwrap().rules;
        rules.node_port_addresses
    };
    assert_eq!(addresses(""), NodePortAddresses::Primary);
    assert_eq!(addresses("primary"), NodePortAddresses::Primary);
    assert_eq!(addresses("all"), NodePortAddresses::Within(Vec::new()));
    let within = networks(&["192.0.2.0/24", "fd00::/8"]);
    assert_eq!(
        addresses("192.0.2.9/24, fd00::/8"),
        NodePortAddresses::Within(within)
    );
    let loopback = run(&["--nodeport-addresses", "127.0.0.0/8", "--masquerade-all"]).unwrap();
    assert!(loopback.warnings[0].contains("loopback"));
}

#[test]
fn what_operators_see_is_chosen_by_flags() {
    let observation = run(&[]).unwrap().observation;
    assert_eq!(observation.access_log, observation::AccessLog::Stdout);
    assert_eq!(observation.access_log_format.to_string(), "json");
    assert_eq!(
        (observation.tracing, observation.ingress_nginx),
        (false, None)
    );

    let flags = [
        "--access-log=/var/log/a.log",
        "--access-log-format=$remote_addr \"$request\"",
        "--ingress-nginx-metrics",
        "--controller=k8s.io/ingress-nginx",
        "--metrics-max-routes=5",
    ];
    let observation = run(&flags).unwrap().observation;
    let file = observation::AccessLog::File("/var/log/a.log".into());
    assert_eq!(observation.access_log, file);
    assert_eq!(observation.metrics_max_routes, 5);
    let controller = observation.ingress_nginx.unwrap();
    assert_eq!(controller.class, "k8s.io/ingress-nginx");
    assert_eq!(controller.pod, "Host-1.example");

    for (flag, said) in [
        ("--access-log=syslog", "expected stdout, off, or a file"),
        ("--access-log=access.log", "expected stdout, off, or a file"),
        (
            "--access-log-format=$status $geoip_city",
            "no variable $geoip_city",
        ),
        ("--access-log-format=upstreaminfo", "names no variable"),
        ("--trace-sample-ratio=1.5", "a number from 0 to 1"),
        ("--trace-sample-ratio=NaN", "a number from 0 to 1"),
    ] {
        let problem = problem(&[flag]);
        let name = flag.split('=').next().unwrap();
        assert!(
            problem.contains(said) && problem.starts_with(name),
            "{problem}"
        );
    }
}

#[test]
fn traces_are_exported_by_builds_that_can() {
    let endpoint = "--otlp-endpoint=http://collector:4318/v1/traces";
    match run(&[endpoint]) {
        Ok(config) => assert!(cfg!(feature = "otlp") && config.observation.tracing),
        Err(error) => {
            let said = error.to_string();
            assert!(
                !cfg!(feature = "otlp") && said.contains("feature otlp"),
                "{said}"
            );
        }
    }
    assert!(problem(&["--otlp-endpoint=https://collector"]).starts_with("--otlp-endpoint"));
}
