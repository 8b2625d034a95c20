use std::time::Duration;

use fairway_model::{
    BackendPort, BackendShare, ClientAuthPolicy, EjectionSettings, Filter, HashKey, LimitSettings,
    LoadBalancing, NameMatch, PathRewrite, Port, Redirect, RetrySettings, SecretRef, TextMatch,
    UpstreamAuthorities, UpstreamProtocol,
};

use super::*;
use crate::config::document;

pub(super) fn list(text: &str) -> PolicyList {
    let mut documents = document::parse(text).unwrap();
    let policies = documents.remove(0).content.as_array().unwrap().clone();
    PolicyList { policies }
}

fn one(text: &str) -> RoutePolicy {
    parse(&list(text).policies[0]).expect(text)
}

fn problem(text: &str) -> String {
    let (_, mut faults) = list(text).parse();
    assert_eq!(faults.len(), 1, "{text}");
    faults.remove(0).problem
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
fn what_requests_become_is_read() {
    let settings = one("
- rewrite: {pattern: '/api(/|$)(.*)', replacement: /$2}
  requestHeaders: {set: {X-Set: a, Host: b.example}, add: {X-More: c}, remove: [X-Gone]}
  responseHeaders: {remove: [Server]}
  redirectToHttps: false
  maxBodySize: 8Mi
  upgrades: [websocket, SPDY/3.1]
")
    .settings;
    let rewrite = PathRewrite::Regex {
        pattern: "/api(/|$)(.*)".into(),
        replacement: "/$2".into(),
    };
    assert_eq!(settings.rewrite, Some(rewrite));
    let headers = [
        Filter::RemoveRequestHeader("x-gone".into()),
        Filter::SetRequestHeader("host".into(), "b.example".into()),
        Filter::SetRequestHeader("x-set".into(), "a".into()),
        Filter::AddRequestHeader("x-more".into(), "c".into()),
        Filter::RemoveResponseHeader("server".into()),
    ];
    assert_eq!(settings.headers, headers);
    assert_eq!(settings.requests.https, Some(false));
    assert_eq!(settings.requests.max_body, Some(8 << 20));
    let upgrades = ["websocket", "SPDY/3.1"].map(Arc::from);
    assert_eq!(settings.requests.upgrades.as_deref(), Some(&upgrades[..]));
    for (text, bytes) in [
        ("0", 0),
        ("64", 64),
        ("1Ki", 1024),
        ("5Gi", 5 << 30),
        ("none", u64::MAX),
    ] {
        let policy = one(&format!("[{{maxBodySize: {text}}}]"));
        assert_eq!(policy.settings.requests.max_body, Some(bytes), "{text}");
    }
}

#[test]
fn who_answers_is_read() {
    let policy = one("
- match:
    method: POST
    headers: [{name: X-Canary, value: always}]
    query: [{name: v, pattern: '[2-9]'}]
  backends:
  - weight: 9
  - {service: next, port: 8080, weight: 1}
  - {service: other, port: http}
");
    let name = |name: &str, value| NameMatch {
        name: name.into(),
        value,
    };
    let conditions = &policy.conditions;
    assert_eq!(conditions.method.as_deref(), Some("POST"));
    let always = TextMatch::Exact("always".into());
    assert_eq!(conditions.headers, [name("x-canary", always)]);
    assert_eq!(
        conditions.query,
        [name("v", TextMatch::Regex("[2-9]".into()))]
    );
    let share = |service: Option<&str>, port, weight| BackendShare {
        service: service.map(Arc::from),
        port,
        weight,
    };
    let number = BackendPort::Number(Port::new(8080).unwrap());
    let shares = [
        share(None, None, 9),
        share(Some("next"), Some(number), 1),
        share(Some("other"), Some(BackendPort::Name("http".into())), 1),
    ];
    assert_eq!(policy.settings.backends.as_deref(), Some(&shares[..]));

    let moved =
        one("[{redirect: {scheme: https, host: b.example, port: 8443, path: /new, status: 301}}]");
    let redirect = Redirect {
        scheme: Some("https".into()),
        host: Some("b.example".into()),
        port: Port::new(8443),
        path: Some(PathRewrite::Full("/new".into())),
        status: 301,
    };
    assert_eq!(moved.settings.redirect, Some(redirect));
    let found = one("[{redirect: {prefix: /v2}}]")
        .settings
        .redirect
        .unwrap();
    assert_eq!(found.status, 302);
}

#[test]
fn tls_is_read() {
    let secret = |name: &str| SecretRef(ObjectName::new("shop", name));
    let tls = |text: &str| one(text).settings.tls;
    let required = tls("[{clientCertificates: {authorities: shop/clients}}]");
    let optional = tls("[{clientCertificates: {authorities: shop/clients, mode: optional}}]");
    for (settings, optional) in [(required, false), (optional, true)] {
        let policy = ClientAuthPolicy {
            authorities: secret("clients"),
            optional,
        };
        assert_eq!(settings.client_auth, Some(Some(policy)));
    }
    assert_eq!(
        tls("[{clientCertificates: {mode: none}}]").client_auth,
        Some(None)
    );
    assert_eq!(tls("[{passthrough: true}]").passthrough, Some(true));

    let upstream = |tls: &str| {
        one(&format!("[{{upstream: {{tls: {tls}}}}}]"))
            .settings
            .upstream
    };
    let verified = upstream("{serverName: in.example, authoritiesSecret: shop/ca}");
    assert_eq!(verified.server_name.as_deref(), Some("in.example"));
    assert_eq!(
        verified.authorities,
        Some(UpstreamAuthorities::Secret(secret("ca")))
    );
    assert_eq!(
        upstream("{verify: false}").authorities,
        Some(UpstreamAuthorities::Any)
    );
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
            "[{rewrite: {prefix: /a, path: /b}}]",
            "policies[0].rewrite: give it a prefix, or a path",
        ),
        (
            "[{rewrite: {path: b}}]",
            "policies[0].rewrite: no request can have the path \"b\"",
        ),
        (
            "[{rewrite: {pattern: '/(a', replacement: /}}]",
            "policies[0].rewrite: the regular expression \"/(a\" cannot be used: ",
        ),
        (
            "[{redirect: {}}]",
            "policies[0].redirect: leads to where it comes from",
        ),
        (
            "[{redirect: {path: /, status: 200}}]",
            "policies[0].redirect.status: expected 301",
        ),
        (
            "[{redirect: {host: 'a:80'}}]",
            "policies[0].redirect.host: 'a:80': is no host",
        ),
        (
            "[{redirect: {path: /}, backends: [{service: a}]}]",
            "policies[0].redirect: leaves nothing for backends",
        ),
        ("[{backends: []}]", "policies[0].backends: names nobody"),
        (
            "[{backends: [{service: a/b}]}]",
            "policies[0].backends[0].service: 'a/b': expected",
        ),
        (
            "[{backends: [{port: 0}]}]",
            "policies[0].backends[0].port: there is no port 0",
        ),
        (
            "[{backends: [{weight: 1000001}]}]",
            "policies[0].backends[0].weight: must not be",
        ),
        (
            "[{requestHeaders: {set: {Connection: close}}}]",
            "policies[0].requestHeaders.set.Connection: 'Connection': belongs to a connection",
        ),
        (
            "[{requestHeaders: {set: {'a b': c}}}]",
            "policies[0].requestHeaders.set.a b: 'a b': no",
        ),
        (
            "[{responseHeaders: {add: {a: \"b\\r\\nc: d\"}}}]",
            "policies[0].responseHeaders.add.a: no header can have this value",
        ),
        (
            "[{requestHeaders: {set: {Host: 'a b'}}}]",
            "policies[0].requestHeaders: the Host is no",
        ),
        (
            "[{requestHeaders: {remove: [Host]}}]",
            "policies[0].requestHeaders: a request has",
        ),
        (
            "[{upgrades: [H2C]}]",
            "policies[0].upgrades: 'h2c': is never passed on",
        ),
        (
            "[{upgrades: ['a b']}]",
            "policies[0].upgrades: 'a b': is no protocol",
        ),
        (
            "[{maxBodySize: 1m}]",
            "policies[0].maxBodySize: '1m': expected a number of bytes",
        ),
        (
            "[{maxBodySize: -1}]",
            "policies[0].maxBodySize: expected a number of bytes",
        ),
        (
            "[{match: {method: get}}]",
            "policies[0].match.method: 'get': expected a method",
        ),
        (
            "[{match: {headers: [{name: a}]}, passthrough: true}]",
            "policies[0].match.headers[0]: give it a value or a pattern",
        ),
        (
            "[{match: {query: [{name: a, pattern: '('}]}, redirectToHttps: true}]",
            "policies[0].match.query[0].pattern: the regular expression \"(\" cannot be used",
        ),
        ("[{match: {method: GET}}]", "policies[0]: sets nothing"),
        (
            "[{selector: {path: /a}, passthrough: true}]",
            "policies[0].passthrough: is for whole hosts",
        ),
        (
            "[{clientCertificates: {mode: optional}}]",
            "policies[0].clientCertificates.authorities: names the namespace and the Secret",
        ),
        (
            "[{upstream: {tls: {authorities: x}}}]",
            "policies[0].upstream.tls.authorities: expected certificates in PEM",
        ),
        (
            "[{upstream: {tls: {verify: true}}}]",
            "policies[0].upstream.tls: verify needs",
        ),
        (
            "[{upstream: {tls: {serverName: 'a b'}}}]",
            "policies[0].upstream.tls.serverName: 'a b': is no DNS name",
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
    let (policies, faults) = list(
        "
- upstream: {protocol: grpc}
- upstream: {protocol: smtp}
- upstream: {protocol: http}
",
    )
    .parse();
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0]
            .problem
            .starts_with("policies[1].upstream.protocol"),
        "{faults:?}"
    );
    assert_eq!(faults[0].effect, "this policy is left out");
    let expected = [
        "[{upstream: {protocol: grpc}}]",
        "[{upstream: {protocol: http}}]",
    ]
    .map(one);
    assert_eq!(policies, RoutePolicies::new(expected.into()));
}
