use std::time::Duration;

use fairway_model::{
    EjectionSettings, HashKey, LimitSettings, LoadBalancing, RetrySettings, UpstreamProtocol,
};

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
fn balancing_retries_ejection_and_limits_are_read() {
    let upstream = |text: &str| one(&format!("[{{upstream: {text}}}]")).settings.upstream;
    let balancing = |text: &str| upstream(&format!("{{balancing: {text}}}")).balancing;
    for (text, expected) in [
        ("roundRobin", LoadBalancing::RoundRobin),
        ("leastRequests", LoadBalancing::LeastRequests),
        ("peakEwma", LoadBalancing::PeakEwma),
        (
            "{consistentHash: {header: X-User}}",
            LoadBalancing::ConsistentHash(HashKey::Header("x-user".into())),
        ),
        (
            "{consistentHash: {cookie: Session}}",
            LoadBalancing::ConsistentHash(HashKey::Cookie("Session".into())),
        ),
        (
            "{consistentHash: sourceAddress}",
            LoadBalancing::ConsistentHash(HashKey::SourceAddress),
        ),
        (
            "{consistentHash: uri}",
            LoadBalancing::ConsistentHash(HashKey::Uri),
        ),
    ] {
        assert_eq!(balancing(text), Some(expected), "{text}");
    }
    let all = upstream(
        "{retries: {tries: 2, brokenConnections: false, timeouts: true, statuses: [502, 503],
           budgetPercent: 10, budgetPerSecond: 1},
          ejection: {failures: 0, gatewayErrors: true, time: 1s, longest: 1m},
          limits: {requests: 100, waiting: 0, wait: 1s}}",
    );
    let retry = RetrySettings {
        tries: Some(2),
        broken_connections: Some(false),
        timeouts: Some(true),
        statuses: Some(vec![502, 503]),
        budget_percent: Some(10),
        budget_per_second: Some(1),
    };
    assert_eq!(all.retry, retry);
    let ejection = EjectionSettings {
        failures: Some(0),
        gateway_errors: Some(true),
        time: Some(Duration::from_secs(1)),
        longest: Some(Duration::from_secs(60)),
    };
    assert_eq!(all.ejection, ejection);
    let limits = LimitSettings {
        requests: Some(100),
        waiting: Some(0),
        wait: Some(Duration::from_secs(1)),
    };
    assert_eq!(all.limits, limits);
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
        (
            "[{upstream: {balancing: random}}]",
            "policies[0].upstream.balancing: unknown variant `random`, expected one of `roundRobin`",
        ),
        (
            "[{upstream: {balancing: {consistentHash: {header: 'X User'}}}}]",
            "policies[0].upstream.balancing.consistentHash.header: 'X User': expected a name",
        ),
        (
            "[{upstream: {retries: {tries: 0}}}]",
            "policies[0].upstream.retries.tries: '0': expected 1 (no retries) to 8",
        ),
        (
            "[{upstream: {retries: {statuses: [503, 200]}}}]",
            "policies[0].upstream.retries.statuses: '200': expected statuses of errors",
        ),
        (
            "[{upstream: {retries: {budgetPercent: 101}}}]",
            "policies[0].upstream.retries.budgetPercent: '101': expected 0 to 100",
        ),
        (
            "[{upstream: {ejection: {time: 0s}}}]",
            "policies[0].upstream.ejection.time: '0s': must be greater than 0",
        ),
        (
            "[{upstream: {limits: {requests: -1}}}]",
            "policies[0].upstream.limits.requests: invalid value: integer `-1`",
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
