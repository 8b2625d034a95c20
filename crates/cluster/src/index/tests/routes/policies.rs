//! Settings of routes that are not in their Ingresses.

use std::time::Duration;

use fairway_model::{
    BackendShare, RoutePolicies, RoutePolicy, SecretRef, UpstreamAuthorities, UpstreamPolicy,
};
use fairway_testkit::certificates::Authority;

use super::*;

/// A connect timeout for an Ingress.
fn connect_within(ingress: &str, seconds: u64) -> RoutePolicies {
    let mut policy = RoutePolicy::default();
    policy.selector.ingress = Some(ObjectName::new("default", ingress));
    policy.settings.upstream.connect_timeout = Some(Duration::from_secs(seconds));
    RoutePolicies::new(vec![policy])
}

fn policy(index: &Index, host: &str) -> Arc<UpstreamPolicy> {
    let host = HostPattern::Exact(host.into());
    let routes = &index.snapshot.routes.hosts[&host];
    routes.rules[0].policy.clone()
}

fn seconds(index: &Index, host: &str) -> u64 {
    policy(index, host).connect_timeout.as_secs()
}

fn two_ingresses() -> String {
    let of = |name: &str| rules(&[rule(&format!("{name}.example"), &["Prefix / web"])]);
    let ingresses = ["a", "b"].map(|name| ingress(name, 0, &of(name)));
    format!("{CLASS}{}", ingresses.concat())
}

#[test]
fn they_are_set_where_they_select_something() {
    let options = Options {
        policies: connect_within("a", 9),
        ..Options::default()
    };
    let mut index = index(options, &two_ingresses());
    index.update().unwrap();
    assert_eq!(seconds(&index, "a.example"), 9);
    assert_eq!(seconds(&index, "b.example"), 5);
}

#[test]
fn others_change_only_the_hosts_that_differ() {
    let mut index = index(Options::default(), &two_ingresses());
    index.update().unwrap();
    index.set_policies(connect_within("b", 9));
    let changes = index.update().unwrap().changes;
    let b = HostPattern::Exact("b.example".into());
    assert_eq!(changes.hosts, BTreeSet::from([b]));
    assert_eq!(seconds(&index, "b.example"), 9);

    index.set_policies(connect_within("b", 9));
    assert!(index.update().is_none(), "they say the same");
    index.set_policies(RoutePolicies::default());
    index.update().unwrap();
    assert_eq!(seconds(&index, "b.example"), 5);
}

#[test]
fn a_change_of_one_ingress_leaves_what_was_set_for_others() {
    let options = Options {
        policies: connect_within("a", 9),
        ..Options::default()
    };
    let mut index = index(options, &two_ingresses());
    index.update().unwrap();
    let before = policy(&index, "a.example");
    let other = rules(&[rule("b.example", &["Prefix /other web"])]);
    apply(&mut index, &ingress("b", 0, &other));
    let after = policy(&index, "a.example");
    assert!(Arc::ptr_eq(&before, &after));
}

const CA: &str = "default/upstream-ca";

/// Upstreams of an Ingress are verified by a Secret.
fn verified(ingress: &str) -> Options {
    let mut policy = RoutePolicy::default();
    policy.selector.ingress = Some(ObjectName::new("default", ingress));
    let secret = SecretRef(ObjectName::new("default", "upstream-ca"));
    policy.settings.upstream.authorities = Some(UpstreamAuthorities::Secret(secret));
    Options {
        policies: RoutePolicies::new(vec![policy]),
        ..Options::default()
    }
}

fn secret(pem: &str) -> String {
    let content = serde_json::to_string(pem).unwrap();
    format!(
        "---\n{{apiVersion: v1, kind: Secret, metadata: {{name: upstream-ca}}, \
         stringData: {{ca.crt: {content}}}}}\n"
    )
}

fn trusted(index: &Index) -> Option<Arc<str>> {
    policy(index, "a.example").tls.authorities.clone()
}

#[test]
fn upstreams_are_verified_by_a_secret_that_comes_and_changes() {
    let mut index = index(verified("a"), &two_ingresses());
    index.update().unwrap();
    let wanted = index.newly_wanted_secrets().unwrap();
    assert!(wanted.contains(&ObjectName::new("default", "upstream-ca")));
    assert_eq!(trusted(&index).as_deref(), Some(""), "nobody is trusted");
    let told = problems(&index).concat();
    assert!(
        told.contains("Secret default/upstream-ca does not exist"),
        "{told}"
    );
    assert!(told.contains("with 503 until then, on a.example"), "{told}");

    let [one, other] = ["one", "other"].map(|name| Authority::new(name).unwrap().pem());
    let a = HostPattern::Exact("a.example".into());
    let changes = apply(&mut index, &secret(&one));
    assert_eq!(changes.hosts, BTreeSet::from([a.clone()]));
    assert_eq!(trusted(&index).as_deref(), Some(&*one));
    let told = problems(&index).concat();
    assert!(!told.contains("Secret"), "{told}");

    apply(&mut index, &secret(&other));
    assert_eq!(trusted(&index).as_deref(), Some(&*other));
    apply(&mut index, &secret("garbage"));
    assert_eq!(
        trusted(&index).as_deref(),
        Some(&*other),
        "the last good ones"
    );
    let told = problems(&index).concat();
    assert!(
        told.contains("its last good authorities stay in use"),
        "{told}"
    );

    let changes = delete(&mut index, Kind::Secret, CA);
    assert_eq!(changes.hosts, BTreeSet::from([a]));
    assert_eq!(trusted(&index).as_deref(), Some(""));
}

#[test]
fn a_secret_that_no_upstream_needs_any_more_is_forgotten() {
    let pem = Authority::new("one").unwrap().pem();
    let mut index = index(verified("a"), &(two_ingresses() + &secret(&pem)));
    index.update().unwrap();
    assert_eq!(trusted(&index).as_deref(), Some(&*pem));
    assert_eq!(index.newly_wanted_secrets().unwrap().len(), 1);
    index.set_policies(RoutePolicies::default());
    index.update().unwrap();
    assert_eq!(trusted(&index), None);
    assert_eq!(index.newly_wanted_secrets().unwrap(), BTreeSet::new());
}

/// Nobody but the policy names the Service: it is told of the Ingress, and looked at when it comes.
#[test]
fn a_backend_by_policy_that_cannot_answer_is_told() {
    let mut policy = RoutePolicy::default();
    policy.selector.ingress = Some(ObjectName::new("default", "a"));
    let next = BackendShare {
        service: Some("next".into()),
        port: None,
        weight: 1,
    };
    policy.settings.backends = Some(vec![next]);
    let mut index = index(Options::default(), &two_ingresses());
    index.update().unwrap();
    let of_next = |index: &Index| {
        let problems = index.problems().map(ToString::to_string);
        let problems = problems.filter(|problem| problem.contains("\"default/next\""));
        problems.collect::<Vec<_>>()
    };
    assert!(of_next(&index).is_empty());

    index.set_policies(RoutePolicies::new(vec![policy]));
    index.update().unwrap();
    let problems = of_next(&index);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("Ingress default/a spec.rules[0]")
            && problems[0].contains("a backend by policy, does not exist"),
        "{problems:?}"
    );
    apply(
        &mut index,
        &super::super::service("next", "{ports: [{port: 80}]}"),
    );
    let problems = of_next(&index);
    assert!(
        problems[0].contains("no pod behind Service"),
        "{problems:?}"
    );

    index.set_policies(RoutePolicies::default());
    index.update().unwrap();
    assert!(of_next(&index).is_empty());
}
