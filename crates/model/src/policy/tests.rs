use std::time::Duration;

use super::*;
use crate::{Action, ObjectRef, RequestMatch, RuleId, WildcardSpan};

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
    Rule {
        id: RuleId {
            object: ObjectRef {
                kind: "Ingress",
                name: ObjectName::new("shop", ingress),
            },
            field: "spec.rules[0]".into(),
        },
        matches: RequestMatch::path(path),
        filters: Vec::new(),
        action: Action::Respond(404),
        policy: Arc::default(),
    }
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
    RoutePolicies::new(policies).apply(&host(at), &mut routes);
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
    policies.apply(&host("a.example"), &mut routes);
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
    RoutePolicies::new(policies).apply(&host("a.example"), &mut routes);
    assert!(Arc::ptr_eq(&routes.rules[0].policy, &shared));
}
