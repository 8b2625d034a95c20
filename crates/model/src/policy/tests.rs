use std::time::Duration;

use super::*;
use crate::{
    Action, Backend, BackendPort, ClientAuthPolicy, Filter, NameMatch, ObjectRef, Port,
    RequestMatch, RuleId, TextMatch, TlsHandling, UpstreamPolicy, WildcardSpan,
};

fn host(text: &str) -> HostPattern {
    match text.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard {
            suffix: suffix.into(),
            span: WildcardSpan::OneLabel,
        },
        None if text.is_empty() => HostPattern::Any,
        None => HostPattern::Exact(text.into()),
    }
}

fn rule(ingress: &str, path: PathMatch) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: ObjectName::new("shop", ingress),
        },
        field: "spec.rules[0]".into(),
    };
    Rule::new(id, RequestMatch::path(path), Action::Respond(404))
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.into())
}

/// A policy for an Ingress, a host and a path, each empty for all, with a connect timeout.
fn policy(ingress: &str, at: &str, path: &str, seconds: u64) -> RoutePolicy {
    let given = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
    let mut policy = RoutePolicy {
        selector: RouteSelector {
            ingress: given(ingress).map(|name| ObjectName::new("shop", name)),
            host: given(at).map(|at| host(&at)),
            path: given(path),
        },
        ..RoutePolicy::default()
    };
    policy.settings.upstream.connect_timeout = Some(Duration::from_secs(seconds));
    policy
}

/// The connect timeout, in seconds, of a rule with these policies.
fn connect(policies: Vec<RoutePolicy>, at: &str, rule: Rule) -> u64 {
    let mut routes = HostRoutes {
        rules: vec![rule],
        ..HostRoutes::default()
    };
    RoutePolicies::new(policies).apply(&host(at), &mut routes, &mut |_| None);
    routes.rules[0].policy.connect_timeout.as_secs()
}

#[test]
fn a_policy_is_for_what_its_selector_names() {
    for (ingress, at, path, expected) in [
        ("", "", "", true),
        ("front", "", "", true),
        ("other", "", "", false),
        ("", "a.example", "", true),
        ("", "b.example", "", false),
        ("", "*.example", "", true),
        ("", "*.a.example", "", false),
        ("", "", "/", true),
        ("", "", "/api", true),
        ("", "", "/api/v1/", true),
        ("", "", "/ap", false),
        ("", "", "/api/v1/x", false),
        ("front", "a.example", "/api", true),
        ("front", "b.example", "/api", false),
    ] {
        let policies = vec![policy(ingress, at, path, 9)];
        let seconds = connect(policies, "a.example", rule("front", prefix("/api/v1")));
        let found = seconds == 9;
        assert_eq!(found, expected, "{ingress:?} {at:?} {path:?}");
    }
}

#[test]
fn a_host_selects_a_wildcard_and_what_that_covers_but_no_part_of_it() {
    let connect = |selector: &str, at: &str| {
        connect(
            vec![policy("", selector, "", 9)],
            at,
            rule("front", prefix("/")),
        )
    };
    assert_eq!(connect("*.example", "*.example"), 9);
    assert_eq!(connect("*.example", "a.b.example"), 5);
    assert_eq!(connect("a.example", "*.example"), 5);
    assert_eq!(connect("*.example", ""), 5);
}

#[test]
fn a_regular_expression_is_selected_by_its_text() {
    let regex = || rule("front", PathMatch::Regex("/api(/|$)".into()));
    let connect = |path: &str| connect(vec![policy("", "", path, 9)], "a.example", regex());
    assert_eq!(connect("/"), 9);
    assert_eq!(connect("/api(/|$)"), 9);
    assert_eq!(connect("/api"), 5);
}

#[test]
fn the_more_specific_one_wins_and_then_the_later_one() {
    let connect = |policies| connect(policies, "a.example", rule("front", prefix("/api")));
    let rising = [
        policy("", "", "", 1),
        policy("", "", "/", 2),
        policy("", "", "/api", 3),
        policy("", "*.example", "", 4),
        policy("", "a.example", "", 6),
        policy("", "a.example", "/api", 7),
        policy("front", "", "", 8),
        policy("front", "a.example", "/api", 9),
    ];
    for (at, winner) in rising.iter().enumerate() {
        let expected = winner.settings.upstream.connect_timeout.unwrap().as_secs();
        let forwards = rising[..=at].to_vec();
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        assert_eq!(connect(forwards), expected);
        assert_eq!(connect(backwards), expected);
    }
    let equals = vec![policy("", "", "", 1), policy("", "", "", 2)];
    assert_eq!(connect(equals), 2);
}

#[test]
fn fields_add_up() {
    let mut general = policy("", "", "", 1);
    general.settings.upstream.read_timeout = Some(Duration::from_secs(7));
    let mut routes = HostRoutes {
        rules: vec![rule("front", prefix("/")), rule("other", prefix("/x"))],
        default: Some(rule("front", prefix("/"))),
        ..HostRoutes::default()
    };
    let policies = RoutePolicies::new(vec![policy("front", "", "", 2), general]);
    policies.apply(&host("a.example"), &mut routes, &mut |_| None);
    for (rule, seconds) in [
        (&routes.rules[0], 2),
        (&routes.rules[1], 1),
        (routes.default.as_ref().unwrap(), 2),
    ] {
        assert_eq!(rule.policy.connect_timeout, Duration::from_secs(seconds));
        assert_eq!(rule.policy.read_timeout, Some(Duration::from_secs(7)));
    }
}

#[test]
fn what_no_policy_changes_stays_shared() {
    let shared = Arc::new(UpstreamPolicy::default());
    let mut rule = rule("front", prefix("/"));
    rule.policy = shared.clone();
    let mut routes = HostRoutes {
        rules: vec![rule],
        ..HostRoutes::default()
    };
    // Another Ingress, and a limit that is the default one.
    let policies = vec![policy("other", "", "", 9), policy("", "", "", 5)];
    RoutePolicies::new(policies).apply(&host("a.example"), &mut routes, &mut |_| None);
    assert!(Arc::ptr_eq(&routes.rules[0].policy, &shared));
}

/// A variant for requests with a header, that goes to another Service.
fn canary(value: &str) -> RoutePolicy {
    let mut policy = policy("front", "", "", 9);
    policy.conditions.headers.push(NameMatch {
        name: "x-canary".into(),
        value: TextMatch::Exact(value.into()),
    });
    policy.settings.backends = Some(vec![BackendShare {
        service: Some("canary".into()),
        port: None,
        weight: 1,
    }]);
    policy
}

fn backend(service: &str) -> Backend {
    Backend {
        service: ObjectName::new("shop", service),
        port: BackendPort::Name("http".into()),
        weight: 1,
    }
}

/// The routes of one host after the policies.
fn applied(policies: Vec<RoutePolicy>, mut routes: HostRoutes) -> HostRoutes {
    RoutePolicies::new(policies).apply(&host("a.example"), &mut routes, &mut |_| None);
    routes
}

fn forwarding(path: &str) -> Rule {
    let mut rule = rule("front", prefix(path));
    rule.action = Action::Forward(vec![backend("web")]);
    rule
}

#[test]
fn a_condition_makes_a_variant_that_has_everything_else_of_its_route() {
    let mut general = policy("", "", "", 1);
    general.settings.headers = vec![Filter::RemoveRequestHeader("x-secret".into())];
    general.settings.upstream.read_timeout = Some(Duration::from_secs(7));
    let routes = HostRoutes {
        rules: vec![forwarding("/")],
        ..HostRoutes::default()
    };
    let policies = vec![canary("a"), canary("b"), general];
    let [last, first, plain] = &applied(policies, routes).rules[..] else {
        panic!("two variants and the route")
    };
    for (rule, value) in [(first, "a"), (last, "b")] {
        assert_eq!(rule.action, Action::Forward(vec![backend("canary")]));
        assert_eq!(
            rule.matches.headers[0].value,
            TextMatch::Exact(value.into())
        );
        assert_eq!(rule.policy.connect_timeout, Duration::from_secs(9));
        assert_eq!(rule.policy.read_timeout, Some(Duration::from_secs(7)));
        assert_eq!(rule.filters, plain.filters);
        assert_eq!(rule.id, plain.id);
    }
    assert_eq!(plain.action, Action::Forward(vec![backend("web")]));
    assert_eq!(plain.matches, RequestMatch::path(prefix("/")));
    assert_eq!(plain.policy.connect_timeout, Duration::from_secs(1));
    assert_eq!(plain.filters.len(), 1);
}

#[test]
fn a_default_backend_has_variants_where_it_answers() {
    let rules = |path: &str| HostRoutes {
        rules: vec![forwarding(path)],
        default: Some(forwarding("/")),
        ..HostRoutes::default()
    };
    let with = applied(vec![canary("a")], rules("/x"));
    assert_eq!(with.rules.len(), 3, "a variant of each");
    let default = with.default.unwrap();
    assert_eq!(default.action, Action::Forward(vec![backend("web")]));
    let without = applied(vec![canary("a")], rules("/"));
    assert_eq!(without.rules.len(), 2, "it is never asked");
}

#[test]
fn shares_are_of_services_in_the_namespace_of_the_route() {
    let mut split = policy("front", "", "", 5);
    let share = |service: Option<&str>, port: Option<u16>, weight| BackendShare {
        service: service.map(Arc::from),
        port: port.and_then(Port::new).map(BackendPort::Number),
        weight,
    };
    split.settings.backends = Some(vec![
        share(None, None, 9),
        share(Some("next"), Some(8080), 1),
    ]);
    let routes = HostRoutes {
        rules: vec![forwarding("/"), rule("front", prefix("/broken"))],
        ..HostRoutes::default()
    };
    let routes = applied(vec![split], routes);
    let own = Backend {
        weight: 9,
        ..backend("web")
    };
    let next = Backend {
        port: BackendPort::Number(Port::new(8080).unwrap()),
        ..backend("next")
    };
    assert_eq!(routes.rules[0].action, Action::Forward(vec![own, next]));
    assert_eq!(routes.rules[1].action, Action::Respond(404));
}

#[test]
fn tls_is_of_whole_hosts() {
    let secret = |name: &str| SecretRef(ObjectName::new("shop", name));
    let clients = |ingress: &str, name: &str| {
        let mut policy = policy(ingress, "", "", 5);
        policy.settings.tls.client_auth = Some(Some(ClientAuthPolicy {
            authorities: secret(name),
            optional: false,
        }));
        policy
    };
    let routes = || HostRoutes {
        rules: vec![rule("other", prefix("/")), rule("front", prefix("/x"))],
        ..HostRoutes::default()
    };
    let secrets = |policies: Vec<RoutePolicy>| -> Vec<SecretRef> {
        let tls = applied(policies, routes()).tls;
        tls.iter().flat_map(|tls| tls.secrets().cloned()).collect()
    };
    assert_eq!(secrets(vec![clients("third", "ca")]), []);
    // One Ingress of the host is enough, and the more specific policy wins.
    let both = vec![clients("front", "own"), clients("", "general")];
    assert_eq!(secrets(both.clone()), [secret("own")]);
    let mut open = policy("front", "", "", 5);
    open.settings.tls.client_auth = Some(None);
    assert_eq!(secrets([both.clone(), vec![open]].concat()), []);

    let mut through = policy("", "a.example", "", 5);
    through.settings.tls.passthrough = Some(true);
    let tls = applied(vec![through.clone()], routes()).tls.unwrap();
    assert_eq!(tls.handling, TlsHandling::Passthrough);

    // Nobody knows what one that cannot be read says over the others.
    let mut closing = policy("", "a.example", "", 5);
    closing.settings.tls.refuse = true;
    let all = [both, vec![through, closing]].concat();
    assert_eq!(
        applied(all, routes()).tls.unwrap().handling,
        TlsHandling::Refuse
    );
}

#[test]
fn an_upstream_whose_authorities_are_not_known_is_not_trusted() {
    let mut verified = policy("", "", "", 5);
    let secret = SecretRef(ObjectName::new("shop", "ca"));
    verified.settings.upstream.authorities = Some(UpstreamAuthorities::Secret(secret.clone()));
    let policies = RoutePolicies::new(vec![verified]);
    for (known, expected) in [(Some("PEM"), "PEM"), (None, "")] {
        let mut asked = Vec::new();
        let mut routes = HostRoutes {
            rules: vec![forwarding("/")],
            ..HostRoutes::default()
        };
        policies.apply(&host("a.example"), &mut routes, &mut |secret| {
            asked.push(secret.clone());
            known.map(Arc::from)
        });
        let found = routes.rules[0].policy.tls.authorities.as_deref();
        assert_eq!(found, Some(expected));
        assert_eq!(asked, std::slice::from_ref(&secret));
    }
}
