use std::time::Duration;

use fairway_model::UpstreamProtocol;

use super::*;
use crate::config::document;

fn list(text: &str) -> PolicyList {
    let mut documents = document::parse(text).unwrap();
    let policies = documents.remove(0).content.as_array().unwrap().clone();
    PolicyList { policies }
}

fn one(text: &str) -> RoutePolicy {
    parse(&list(text).policies[0]).expect(text)
}

fn problem(text: &str) -> String {
    let (policies, problems) = list(text).parse();
    assert!(policies.is_empty(), "{text}");
    let problem = problems.concat();
    let problem = problem.strip_suffix("; this policy is left out");
    problem.expect(text).to_owned()
}

#[test]
fn selectors_and_upstreams_are_read() {
    let policy = one("
- selector: {ingress: shop/web, host: '*.example.com', path: /api}
  upstream: {protocol: https, connectTimeout: 3s, readTimeout: none, writeTimeout: 1m30s}
");
    let selector = RouteSelector {
        ingress: Some(ObjectName::new("shop", "web")),
        host: fairway_cluster::host_pattern("*.example.com").ok(),
        path: Some("/api".into()),
    };
    assert_eq!(policy.selector, selector);
    let upstream = policy.settings.upstream;
    assert_eq!(upstream.protocol, Some(UpstreamProtocol::Https));
    assert_eq!(upstream.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(upstream.read_timeout, Some(Duration::MAX));
    assert_eq!(upstream.write_timeout, Some(Duration::from_secs(90)));

    let everywhere = one("[{upstream: {protocol: h2c}, selector: null}]");
    assert_eq!(everywhere.selector, RouteSelector::default());
}

#[test]
fn what_is_wrong_is_told_with_the_field() {
    for (text, expected) in [
        ("[{}]", "policies[0]: sets nothing"),
        ("[x]", "policies[0]: invalid type: string \"x\""),
        (
            "[{selector: {ingress: web}}]",
            "policies[0].selector.ingress: 'web': expected a namespace and a name, like shop/web",
        ),
        (
            "[{selector: {host: A.example}}]",
            "policies[0].selector.host: 'A.example': has upper-case letters",
        ),
        (
            "[{selector: {host: ''}}]",
            "policies[0].selector.host: '': leave it out",
        ),
        (
            "[{selector: {path: api}}]",
            "policies[0].selector.path: 'api': does not start with /",
        ),
        (
            "[{selector: {paths: /}}]",
            "policies[0].selector.paths: unknown field `paths`",
        ),
        (
            "[{upstrem: {}}]",
            "policies[0].upstrem: unknown field `upstrem`",
        ),
        (
            "[{upstream: {protocol: ftp}}]",
            "policies[0].upstream.protocol: 'ftp': expected http, https",
        ),
        (
            "[{upstream: {readTimeout: 30}}]",
            "policies[0].upstream.readTimeout: invalid type: integer `30`",
        ),
        (
            "[{upstream: {readTimeout: 0s}}]",
            "policies[0].upstream.readTimeout: '0s': must be greater than 0",
        ),
        (
            "[{upstream: {connectTimeout: none}}]",
            "policies[0].upstream.connectTimeout: 'none': expected a duration like 30s",
        ),
    ] {
        let found = problem(text);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn one_that_is_wrong_leaves_the_others() {
    let (policies, problems) = list(
        "
- upstream: {protocol: grpc}
- upstream: {protocol: smtp}
- upstream: {protocol: http}
",
    )
    .parse();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("policies[1].upstream.protocol"),
        "{problems:?}"
    );
    let expected = [
        "[{upstream: {protocol: grpc}}]",
        "[{upstream: {protocol: http}}]",
    ]
    .map(one);
    assert_eq!(policies, RoutePolicies::new(expected.into()));
}
