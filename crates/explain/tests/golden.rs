//! Questions about one cluster, and their exact answers: `tests/golden/*.snap`.

#![allow(clippy::unwrap_used, reason = "who cannot go on has failed the test")]

use std::path::Path;

use fairway_cluster::{Options, Still};
use fairway_explain::{
    CertificateFacts, HostTls, KernelFacts, Notice, Question, Routing, World, explain, render,
};
use fairway_model::{
    BackendShare, Changes, Filter, HostPattern, NameMatch, PathRewrite, RequestSettings,
    RouteConditions, RoutePolicies, RoutePolicy, RouteSelector, RouteSettings, TextMatch,
    TlsSettings,
};
use fairway_plan::{LocalPods, Scene};
use fairway_router::Builder;

fn exact(host: &str) -> HostPattern {
    HostPattern::Exact(host.into())
}

/// A canary by a header, a rewrite with a limit, shares, and a host that is passed through.
fn policies() -> RoutePolicies {
    let path = |host, path: &str| RouteSelector {
        host: Some(exact(host)),
        path: Some(path.into()),
        ingress: None,
    };
    let share = |service: &str, weight| BackendShare {
        service: Some(service.into()),
        port: None,
        weight,
    };
    let cart = || path("shop.example.com", "/cart");
    let canary = RoutePolicy {
        selector: cart(),
        conditions: RouteConditions {
            headers: vec![NameMatch {
                name: "x-canary".into(),
                value: TextMatch::Exact("yes".into()),
            }],
            ..RouteConditions::default()
        },
        settings: RouteSettings {
            backends: Some(vec![share("zoned", 1)]),
            ..RouteSettings::default()
        },
    };
    let rewritten = RoutePolicy {
        selector: path("api.example.com", "/v1"),
        settings: RouteSettings {
            rewrite: Some(PathRewrite::Prefix("/".into())),
            backends: Some(vec![share("web", 9), share("empty", 1)]),
            headers: vec![Filter::SetRequestHeader("x-api".into(), "1".into())],
            requests: RequestSettings {
                max_body: Some(1024),
                ..RequestSettings::default()
            },
            ..RouteSettings::default()
        },
        ..RoutePolicy::default()
    };
    let passed = RoutePolicy {
        selector: RouteSelector {
            host: Some(exact("pass.example.com")),
            ..RouteSelector::default()
        },
        settings: RouteSettings {
            tls: TlsSettings {
                passthrough: Some(true),
                ..TlsSettings::default()
            },
            ..RouteSettings::default()
        },
        ..RoutePolicy::default()
    };
    RoutePolicies::new(vec![canary, rewritten, passed])
}

fn world(question: &Question) -> World {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let options = Options {
        node_name: "node-1".into(),
        policies: policies(),
        ..Options::default()
    };
    let still = Still::read(&directory, &options).unwrap();
    let snapshot = still.snapshot().clone();
    let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
    let secure = HostTls {
        certificate: Some(CertificateFacts {
            secret: "shop/secure".to_owned(),
            names: vec!["secure.example.org".to_owned()],
            not_before: 1_767_225_600,
            not_after: 1_798_761_600,
        }),
        refuses: false,
        wants_https: true,
    };
    let plan = fairway_plan::Options {
        local_pods: LocalPods::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]),
        ..fairway_plan::Options::default()
    };
    let notice = |problem: &fairway_cluster::Problem| Notice {
        object: problem.object.to_string(),
        field: problem.field.clone(),
        reason: problem.reason.as_str().to_owned(),
        message: problem.message.clone(),
    };
    World {
        service_proxy: Some(plan),
        ingress: Some(Routing {
            index,
            http: vec!["[::]:8080".parse().unwrap()],
            https: vec!["[::]:8443".parse().unwrap()],
            redirects: true,
            tls: [(exact("secure.example.org"), secure)].into(),
            default_certificate: None,
        }),
        claims: still.claims_on(&question.host_patterns()),
        problems: still.problems().map(notice).collect(),
        interfaces: Vec::new(),
        kernel: None,
        snapshot,
    }
}

fn ask(text: &str) -> (World, Question) {
    let question = Question::parse(text).unwrap();
    (world(&question), question)
}

fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

macro_rules! golden {
    ($($name:ident: $question:literal),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let (world, question) = ask($question);
            golden(stringify!($name), &render(&explain(&world, &question)));
        })+
    };
}

golden! {
    longest_prefix: "http://shop.example.com/cart/7",
    exact_path: "http://shop.example.com/cart/count",
    root: "http://shop.example.com/",
    host_by_wildcard: "http://blog.example.com/",
    no_rule_of_the_host: "http://api.example.com/v2",
    rewritten_and_shared: "http://api.example.com/v1/users",
    unknown_host: "http://shpo.example.net/",
    host_with_a_typo: "http://secure.exmaple.org/",
    class_of_another_controller: "http://blog.example.net/",
    class_that_nobody_made: "http://wiki.example.net/",
    no_such_service: "http://shop.example.com/typo",
    no_such_port: "http://shop.example.com/port",
    no_endpoints: "http://shop.example.com/empty",
    alias: "http://shop.example.com/alias",
    sent_to_https: "http://secure.example.org/a?b=1",
    challenge_in_clear_text: "http://secure.example.org/.well-known/acme-challenge/token",
    certificate: "https://secure.example.org/",
    no_certificate: "https://shop.example.com/",
    path_with_two_readings: "http://shop.example.com/a/..//b",
    host_is_an_address: "http://192.0.2.1/",
    url_of_a_cluster_ip: "http://10.96.0.10/",
    cluster_ip: "10.96.0.10:80",
    cluster_ip_of_the_other_family: "[fd00:96::10]:80",
    wrong_port_of_a_cluster_ip: "10.96.0.10:8080",
    wrong_protocol_of_a_cluster_ip: "10.96.0.10:80/udp",
    port_without_endpoints: "10.96.0.12:53/udp",
    address_of_no_service: "10.96.0.99:80",
    affinity_and_a_last_endpoint: "10.96.0.11:80",
    topology_hints: "10.96.0.17:80",
    node_port_without_local_endpoints: "192.0.2.1:30443",
    node_port_on_loopback: "127.0.0.1:30443",
    node_port_of_another_node: "192.0.2.2:30443",
    load_balancer_with_ranges: "203.0.113.10:443",
    load_balancer_in_mode_proxy: "203.0.113.11:443",
    health_check_node_port: "192.0.2.1:32000",
    external_ip_that_two_ask_for: "203.0.113.20:25",
    service_of_another_proxy: "10.97.0.1:80",
    address_of_a_pod: "10.244.1.5:8080",
    address_of_nobody: "198.51.100.99:80",
    ingress_listener: "192.0.2.1:8080",
}

#[test]
fn header_of_a_canary() {
    let (world, mut question) = ask("http://shop.example.com/cart/7");
    question.add_header("X-Canary: yes").unwrap();
    golden("header_of_a_canary", &render(&explain(&world, &question)));
}

#[test]
fn sender_outside_of_the_ranges() {
    let (world, mut question) = ask("203.0.113.10:443");
    question.from = Some([192, 0, 2, 77].into());
    golden(
        "sender_outside_of_the_ranges",
        &render(&explain(&world, &question)),
    );
}

#[test]
fn kernel_that_lacks_an_endpoint() {
    let (mut world, question) = ask("10.96.0.10:80");
    let target = (
        [10, 96, 0, 10].into(),
        fairway_model::Protocol::Tcp,
        80.try_into().unwrap(),
    );
    let options = world.service_proxy.as_ref().unwrap();
    let mut elements = Scene::new(options, &world.snapshot, target).elements();
    world.kernel = Some(KernelFacts::Elements(elements.clone()));
    golden("kernel_that_agrees", &render(&explain(&world, &question)));
    elements.truncate(1);
    world.kernel = Some(KernelFacts::Elements(elements));
    golden(
        "kernel_that_lacks_an_endpoint",
        &render(&explain(&world, &question)),
    );
    world.kernel = Some(KernelFacts::NoTable);
    golden(
        "kernel_without_a_table",
        &render(&explain(&world, &question)),
    );
}

#[test]
fn json_says_the_same() {
    let (world, question) = ask("http://shop.example.com/cart/7");
    let explanation = explain(&world, &question);
    let json = serde_json::to_string_pretty(&explanation).unwrap();
    golden("longest_prefix_as_json", &json);
    let back: fairway_explain::Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!(render(&back), render(&explanation));
}

#[test]
fn a_half_that_is_off_says_so() {
    for text in ["http://shop.example.com/", "10.96.0.10:80"] {
        let (world, question) = ask(text);
        let idle = World {
            service_proxy: None,
            ingress: None,
            ..world
        };
        let summary = explain(&idle, &question).answer.summary;
        assert!(summary.contains("=false"), "{summary}");
    }
}
