use fairway_model::{Changes, HostPattern};

use crate::fixture::{build_paths, exact, get, prefix, regex, routes, rule, snapshot};
use crate::{Builder, Index};

fn find<'a>(index: &'a Index, path: &str) -> Option<&'a str> {
    get(index, "example.com", path)
}

#[test]
fn the_longest_prefix_wins_wherever_it_stands() {
    let index = build_paths([
        rule(prefix("/"), "root"),
        rule(prefix("/a/b/c"), "abc"),
        rule(prefix("/a"), "a"),
        rule(prefix("/a-b"), "a-b"),
        rule(prefix("/a.b/c"), "a.b/c"),
    ]);
    for (path, expected) in [
        ("/", "root"),
        ("/b", "root"),
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/b", "a"),
        ("/a/b/", "a"),
        ("/a/b/c", "abc"),
        ("/a/b/c/d", "abc"),
        ("/a/b/cd", "a"),
        ("/a/z", "a"),
        ("/a-b/c", "a-b"),
        ("/a-", "root"),
        ("/a.b", "root"),
        ("/a.b/c/", "a.b/c"),
    ] {
        assert_eq!(find(&index, path), Some(expected), "{path}");
    }
}

#[test]
fn a_prefix_with_a_slash_is_longer_than_without() {
    for rules in [["/foo", "/foo/"], ["/foo/", "/foo"]] {
        let index = build_paths(rules.map(|path| rule(prefix(path), path)));
        assert_eq!(find(&index, "/foo"), Some("/foo/"));
        assert_eq!(find(&index, "/foo/x"), Some("/foo/"));
    }
}

#[test]
fn exact_stands_before_regex_before_prefix() {
    let index = build_paths([
        rule(prefix("/foo/bar/"), "prefix"),
        rule(regex("/fo"), "short"),
        rule(regex("/foo/(bar|baz)"), "long"),
        rule(exact("/foo/bar"), "exact"),
        rule(exact("/"), "root"),
        rule(prefix("/"), "all"),
    ]);
    assert_eq!(find(&index, "/foo/bar"), Some("exact"));
    assert_eq!(find(&index, "/foo/bar/x"), Some("long"));
    assert_eq!(find(&index, "/foo/x"), Some("short"));
    assert_eq!(find(&index, "/"), Some("root"));
    assert_eq!(find(&index, "/x/foo"), Some("all"));
}

#[test]
fn of_equals_the_first_wins() {
    let index = build_paths([
        rule(exact("/a"), "first exact"),
        rule(exact("/a"), "second exact"),
        rule(prefix("/a"), "first prefix"),
        rule(prefix("/a"), "second prefix"),
        rule(regex("/b."), "first regex"),
        rule(regex("/.c"), "second regex"),
    ]);
    assert_eq!(find(&index, "/a"), Some("first exact"));
    assert_eq!(find(&index, "/a/b"), Some("first prefix"));
    assert_eq!(find(&index, "/bc"), Some("first regex"));
}

#[test]
fn paths_are_matched_in_their_one_interpretation() {
    let index = build_paths([
        rule(prefix("/admin"), "admin"),
        rule(prefix("/café"), "café"),
        rule(exact("/a b"), "a b"),
        rule(prefix("/foo"), "foo"),
    ]);
    for (path, expected) in [
        ("//admin", Some("admin")),
        ("/%61dmin/x", Some("admin")),
        ("/x/%2e%2e/admin", Some("admin")),
        ("/admin;x", None),
        ("/caf%c3%a9/menu", Some("café")),
        ("/a%20b", Some("a b")),
        ("/foo%2Fbar", None),
        ("/foo%2fbar/x", None),
    ] {
        assert_eq!(find(&index, path), expected, "{path}");
    }
}

#[test]
fn an_empty_path_is_the_root() {
    let index = build_paths([rule(prefix(""), "all")]);
    assert_eq!(find(&index, "/x"), Some("all"));
    assert_eq!(find(&index, ""), Some("all"));
}

#[test]
fn a_regex_cannot_escape_from_its_anchor() {
    let index = build_paths([
        rule(regex("/api|/v1"), "either"),
        rule(regex(r"(?i)/Docs/\d+$"), "docs"),
    ]);
    assert_eq!(find(&index, "/v1/x"), Some("either"));
    assert_eq!(find(&index, "/x/v1"), None);
    assert_eq!(find(&index, "/DOCS/42"), Some("docs"));
    assert_eq!(find(&index, "/docs/42/x"), None);
}

/// The problems that these rules have, beside one that works.
fn problems(path: fairway_model::PathMatch) -> Vec<String> {
    let rules = [rule(path, "bad"), rule(prefix("/"), "good")];
    let snapshot = snapshot([(HostPattern::Any, routes(rules))]);
    let mut builder = Builder::new();
    let index = builder.apply(&snapshot, &Changes::everything(&snapshot));
    for path in ["/a", "/x", "/)|(", "/aaaa"] {
        assert_eq!(find(&index, path), Some("good"));
    }
    builder.problems().map(ToString::to_string).collect()
}

#[test]
fn rules_that_can_match_nothing_are_reported() {
    assert_eq!(
        problems(regex("/a)|(/x")),
        [
            r#"Ingress default/web bad: the regular expression "/a)|(/x" cannot be used: unopened group"#
        ]
    );
    assert_eq!(
        problems(regex("/a{1000}{1000}")),
        [
            r#"Ingress default/web bad: the regular expression "/a{1000}{1000}" cannot be used: it takes more than 65536 bytes of memory"#
        ]
    );
    assert_eq!(
        problems(prefix("/100%")),
        [
            r#"Ingress default/web bad: no request can have the path "/100%": it must start with "/", write "%" as "%25" and not climb above the root"#
        ]
    );
    assert!(problems(exact("/a/../..")).len() == 1);
    assert!(problems(prefix("/%25")).is_empty());
}

#[test]
fn huge_rules_make_short_messages() {
    for path in [
        regex(&"(".repeat(1000)),
        regex(&"x".repeat(64 * 1024)),
        regex(&format!("/{}\n[", "é".repeat(1000))),
        prefix(&"%".repeat(64 * 1024)),
    ] {
        let problems = problems(path);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].len() < 500 && !problems[0].contains('\n'),
            "{}",
            problems[0]
        );
    }
}

#[test]
fn a_thousand_nested_prefixes() {
    let mut path = String::new();
    let rules: Vec<_> = (0..1000)
        .map(|depth| {
            path.push_str("/a");
            rule(prefix(&path), &depth.to_string())
        })
        .collect();
    let index = build_paths(rules);
    assert_eq!(find(&index, "/a"), Some("0"));
    assert_eq!(find(&index, &format!("{path}/b")), Some("999"));
    assert_eq!(
        find(&index, &format!("{}/b", "/a".repeat(500))),
        Some("499")
    );
    assert_eq!(find(&index, "/b"), None);
}
