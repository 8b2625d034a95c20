use fairway_model::{ObjectName, RoutePolicies};

use super::*;
use crate::config::policies::tests::list;

#[test]
fn what_may_protect_a_host_closes_it_when_it_is_wrong() {
    let closed = |text: &str| -> Option<RouteSelector> {
        let (policies, faults) = list(text).parse();
        assert_eq!(faults.len(), 1, "{text}");
        let closing = closing(&list(text).policies[0]);
        assert_eq!(
            faults[0].effect.contains("closed"),
            closing.is_some(),
            "{text}"
        );
        assert_eq!(
            policies,
            RoutePolicies::new(closing.clone().into_iter().collect())
        );
        closing.map(|policy| {
            assert!(policy.settings.tls.refuse, "{text}");
            policy.selector
        })
    };
    let all = RouteSelector::default();
    let of_host = RouteSelector {
        host: fairway_cluster::host_pattern("a.example").ok(),
        ..all.clone()
    };
    let of_ingress = RouteSelector {
        ingress: Some(ObjectName::new("shop", "web")),
        ..all.clone()
    };
    for (text, expected) in [
        ("[{upgrades: 5, selector: {host: a.example}}]", None),
        ("[{upstream: {readTimeout: 5q}}]", None),
        ("[{selector: {hots: a.example}, rewrite: {path: /}}]", None),
        ("[null]", None),
        (
            "[{selector: {host: a.example}, clientCertificates: {authorities: a/b, mode: requird}}]",
            Some(&of_host),
        ),
        (
            "[{selector: {host: a.example}, passthrough: true, maxBodySize: x}]",
            Some(&of_host),
        ),
        // Indented too little, perhaps.
        (
            "[{selector: {host: a.example}, clientCertificates: null}]",
            Some(&of_host),
        ),
        // Perhaps it is meant to be another field.
        (
            "[{selector: {host: a.example}, clientCertificate: {authorities: a/b}}]",
            Some(&of_host),
        ),
        // Encrypted and verified, or not at all.
        (
            "[{selector: {host: a.example}, upstream: {tls: {authoritiesSecret: a/b}, writeTimeout: x}}]",
            Some(&of_host),
        ),
        (
            "[{selector: {ingress: shop/web, path: x}, clientCertificates: {authorities: a/b}}]",
            Some(&of_ingress),
        ),
        (
            "[{selector: {hots: a.example}, clientCertificates: {authorities: a/b}}]",
            Some(&all),
        ),
        (
            "[{selecter: {host: a.example}, clientCertificates: {authorities: a/b}}]",
            Some(&all),
        ),
        ("[clientCertificates]", Some(&all)),
    ] {
        assert_eq!(closed(text).as_ref(), expected, "{text}");
    }
}
