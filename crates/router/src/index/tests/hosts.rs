use fairway_model::{HostPattern, WildcardSpan};

use crate::fixture::{build, exact_host, get, prefix, routes, rule, wildcard};
use crate::{Host, Path, Request};

const ONE: WildcardSpan = WildcardSpan::OneLabel;
const MORE: WildcardSpan = WildcardSpan::OneOrMoreLabels;

#[test]
fn spelling_does_not_matter() {
    let index = build([(
        exact_host("foo.bar.com"),
        routes([rule(prefix("/"), "foo")]),
    )]);
    for host in [
        "foo.bar.com",
        "FOO.Bar.com",
        "foo.bar.com:8443",
        "foo.bar.com:",
        "foo.bar.com.",
    ] {
        assert_eq!(get(&index, host, "/"), Some("foo"), "{host}");
    }
}

#[test]
fn the_most_specific_entry_is_used() {
    let all = |label| routes([rule(prefix("/"), label)]);
    let index = build([
        (HostPattern::Any, all("any")),
        (wildcard("com", MORE), all("more-com")),
        (wildcard("foo.com", MORE), all("more-foo-com")),
        (wildcard("foo.com", ONE), all("one-foo-com")),
        (exact_host("bar.foo.com"), all("exact")),
    ]);
    for (host, expected) in [
        ("bar.foo.com", "exact"),
        ("baz.foo.com", "one-foo-com"),
        ("_x.foo.com", "one-foo-com"),
        ("a.baz.foo.com", "more-foo-com"),
        ("foo.com", "more-com"),
        ("a.b.c.d.com", "more-com"),
        ("com", "any"),
        ("foo.org", "any"),
        ("xfoo.org", "any"),
        ("10.0.0.1:80", "any"),
        ("[2001:db8::1]:80", "any"),
    ] {
        assert_eq!(get(&index, host, "/"), Some(expected), "{host}");
    }
}

#[test]
fn hosts_that_are_no_names_use_the_hostless_entry_only() {
    let all = |label| routes([rule(prefix("/"), label)]);
    let label = "a".repeat(64);
    let index = build([
        (exact_host("10.0.0.1"), all("address")),
        (wildcard("0.0.1", ONE), all("wildcard")),
        (wildcard("com", MORE), all("com")),
        (HostPattern::Any, all("any")),
    ]);
    assert_eq!(get(&index, "10.0.0.1", "/"), Some("any"));
    assert_eq!(get(&index, &format!("{label}.com"), "/"), Some("any"));
    let request = Request {
        host: &Host::none(),
        path: &Path::parse("/").unwrap(),
        method: "GET",
    };
    assert_eq!(index.find(request).unwrap().host, HostPattern::Any);
}

#[test]
fn what_an_entry_does_not_route_is_not_looked_for_elsewhere() {
    let index = build([
        (
            exact_host("a.foo.com"),
            routes([rule(prefix("/a"), "exact")]),
        ),
        (exact_host("empty.foo.com"), routes([])),
        (
            wildcard("foo.com", ONE),
            routes([rule(prefix("/w"), "wildcard")]),
        ),
        (HostPattern::Any, routes([rule(prefix("/"), "any")])),
    ]);
    assert_eq!(get(&index, "a.foo.com", "/a"), Some("exact"));
    assert_eq!(get(&index, "a.foo.com", "/w"), None);
    assert_eq!(get(&index, "empty.foo.com", "/w"), None);
    assert_eq!(get(&index, "b.foo.com", "/w"), Some("wildcard"));
    assert_eq!(get(&index, "b.foo.com", "/b"), None);
    assert_eq!(get(&index, "foo.com", "/b"), Some("any"));
}

#[test]
fn the_default_answers_what_no_rule_matches() {
    let mut with_default = routes([rule(prefix("/a"), "a")]);
    with_default.default = Some(rule(prefix("/"), "default"));
    let mut only_default = routes([]);
    only_default.default = Some(rule(prefix("/"), "catch-all"));
    let index = build([
        (exact_host("foo.com"), with_default),
        (HostPattern::Any, only_default),
    ]);
    assert_eq!(get(&index, "foo.com", "/a/b"), Some("a"));
    assert_eq!(get(&index, "foo.com", "/b"), Some("default"));
    assert_eq!(get(&index, "bar.com", "/b"), Some("catch-all"));
}

#[test]
fn an_empty_index_routes_nothing() {
    assert_eq!(get(&build([]), "foo.com", "/"), None);
}
