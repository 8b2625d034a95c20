//! Settings of routes that are not in their Ingresses.

use std::time::Duration;

use fairway_model::{RoutePolicies, RoutePolicy, UpstreamPolicy};

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
