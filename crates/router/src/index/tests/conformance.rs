//! The scenarios of the Ingress controller conformance suite that are about hosts and paths.

use fairway_model::WildcardSpan;

use crate::fixture::{build, build_paths, exact, exact_host, get, prefix, routes, rule, wildcard};

#[test]
fn host_rules() {
    let index = build([
        (
            exact_host("foo.bar.com"),
            routes([rule(prefix("/"), "foo-bar-com")]),
        ),
        (
            wildcard("foo.com", WildcardSpan::OneLabel),
            routes([rule(prefix("/"), "wildcard-foo-com")]),
        ),
    ]);
    for (host, expected) in [
        ("foo.bar.com", Some("foo-bar-com")),
        ("subdomain.bar.com", None),
        ("bar.foo.com", Some("wildcard-foo-com")),
        ("baz.bar.foo.com", None),
        ("foo.com", None),
    ] {
        assert_eq!(get(&index, host, "/"), expected, "{host}");
    }
}

#[test]
fn path_rules() {
    let exact_foo = || rule(exact("/foo"), "exact-foo");
    let prefix_foo = || rule(prefix("/foo"), "prefix-foo");
    let aaa = || rule(prefix("/aaa"), "aaa");
    let aaa_bbb = || rule(prefix("/aaa/bbb"), "aaa-bbb");
    let aaa_bbb_slash = || rule(prefix("/aaa/bbb/"), "aaa-bbb-slash");
    let exact_foo_slash = || rule(exact("/foo/"), "exact-foo-slash");
    for (rules, path, expected) in [
        (vec![exact_foo()], "/foo", Some("exact-foo")),
        (vec![exact_foo()], "/foo/", None),
        (vec![exact_foo()], "/FOO", None),
        (vec![exact_foo()], "/bar", None),
        (vec![prefix_foo()], "/foo", Some("prefix-foo")),
        (vec![prefix_foo()], "/foo/", Some("prefix-foo")),
        (vec![prefix_foo()], "/FOO", None),
        (vec![aaa(), aaa_bbb()], "/aaa/bbb", Some("aaa-bbb")),
        (vec![aaa(), aaa_bbb()], "/aaa/bbb/ccc", Some("aaa-bbb")),
        (vec![aaa(), aaa_bbb()], "/aaa/ccc", Some("aaa")),
        (vec![aaa(), aaa_bbb()], "/aaaccc", None),
        (vec![prefix_foo(), exact_foo()], "/foo", Some("exact-foo")),
        (vec![aaa_bbb_slash()], "/aaa/bbb", Some("aaa-bbb-slash")),
        (vec![aaa_bbb_slash()], "/aaa/bbb/", Some("aaa-bbb-slash")),
        (vec![exact_foo_slash()], "/foo", None),
    ] {
        let index = build_paths(rules);
        assert_eq!(get(&index, "foo.bar.com", path), expected, "{path}");
    }
}
