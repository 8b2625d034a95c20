use super::*;

fn prefix(text: &str) -> PathMatch {
    PathMatch::Prefix(text.into())
}

fn apply(rewrite: PathRewrite, rule: &PathMatch, path: &str) -> Option<String> {
    let rewrite = Rewrite::compile(&rewrite, rule).unwrap();
    rewrite.apply(&Path::parse(path).unwrap()).unwrap()
}

fn regex(pattern: &str, replacement: &str) -> PathRewrite {
    PathRewrite::Regex {
        pattern: pattern.into(),
        replacement: replacement.into(),
    }
}

#[test]
fn a_prefix_is_replaced_by_elements() {
    for (rule, replacement, path, expected) in [
        ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz", "/foo", "/xyz"),
        ("/foo", "/xyz", "/foo/", "/xyz/"),
        ("/foo", "/", "/foo/bar", "/bar"),
        ("/foo", "/", "/foo/", "/"),
        ("/foo", "/", "/foo", "/"),
        ("/", "/xyz", "/bar", "/xyz/bar"),
        ("/", "/xyz", "/", "/xyz/"),
        ("/a/b", "/c", "//a///b//x//y", "/c//x//y"),
        ("/a", "/", "/a//evil.example/x", "/evil.example/x"),
        ("/a", "/b", "/a/%2Fx", "/b/%2Fx"),
    ] {
        let rewritten = apply(PathRewrite::Prefix(replacement.into()), &prefix(rule), path);
        assert_eq!(
            rewritten.as_deref(),
            Some(expected),
            "{rule} {replacement} {path}"
        );
    }
    for rule in [
        PathMatch::Exact("/a/b".into()),
        PathMatch::Regex("/a".into()),
    ] {
        let rewritten = apply(PathRewrite::Prefix("/c".into()), &rule, "/a/b");
        assert_eq!(rewritten.as_deref(), Some("/c"));
    }
}

/// Scenarios 40 and 41: `rewrite-target` as ingress-nginx has it.
#[test]
fn groups_take_their_places() {
    for (pattern, replacement, path, expected) in [
        ("/api(/|$)(.*)", "/$2", "/api", Some("/")),
        ("/api(/|$)(.*)", "/$2", "/api/", Some("/")),
        ("/api(/|$)(.*)", "/$2", "/api/x/y", Some("/x/y")),
        ("/api(/|$)(.*)", "/$2", "/apis", None),
        ("/app", "/", "/app/anything", Some("/")),
        ("/(?i)API/(.*)", "/v1/$1", "/api/x", Some("/v1/x")),
        ("/(a)(b)?", "/$1$2c", "/a", Some("/ac")),
        ("/(.*)", "/$10", "/x", Some("/x0")),
        ("(.*)", "/p$1", "//a", Some("/p/a")),
    ] {
        let rewritten = apply(regex(pattern, replacement), &prefix("/"), path);
        assert_eq!(
            rewritten.as_deref(),
            expected,
            "{pattern} {replacement} {path}"
        );
    }
}

#[test]
fn what_comes_out_cannot_climb() {
    for (pattern, replacement, path) in [
        ("/a(.)b(.)(.*)", "/in/$1$2$3", "/a.b./x"),
        ("/a(.)b(.)(.*)", "/$1$2$3", "/a.b./x"),
        ("/(.*%2)F(.*)", "/in/$1E$2", "/%2F/x"),
        ("/(.*)F", "/$1", "/x%2F"),
    ] {
        let rewrite = Rewrite::compile(&regex(pattern, replacement), &prefix("/")).unwrap();
        let path = Path::parse(path).unwrap();
        assert_eq!(rewrite.apply(&path), Err(InvalidPath), "{replacement}");
    }
}

#[test]
fn a_path_stays_of_bounded_length() {
    let all = format!("/{}", "$1".repeat(1000));
    let rewrite = Rewrite::compile(&regex("/(.*)", &all), &prefix("/")).unwrap();
    let long = format!("/{}", "x".repeat(16 * 1024));
    assert_eq!(
        rewrite.apply(&Path::parse(&long).unwrap()),
        Err(InvalidPath)
    );
}

#[test]
fn what_can_be_no_path_is_told() {
    for (rewrite, expected) in [
        (
            PathRewrite::Full("x".into()),
            "no request can have the path \"x\"",
        ),
        (
            PathRewrite::Full("/a b".into()),
            "no request can have the path",
        ),
        (
            PathRewrite::Prefix("/../x".into()),
            "no request can have the path",
        ),
        (
            regex("/(", "/"),
            "the regular expression \"/(\" cannot be used",
        ),
        (regex("/(a)", "$1"), "it does not start with /"),
        (regex("/(a)", "/$2"), "the expression has no group 2"),
        (regex("/(a)", "/$0"), "the expression has no group 0"),
        (regex("/(a)", "/$uri"), "a $ is followed by a digit"),
        (regex("/(a)", "/?x=$1"), "no request can have such a path"),
        (
            regex("/(a)", "/%7e$1/%2f"),
            "write it like \"/~x/%2F\", with x for a group",
        ),
    ] {
        let error = Rewrite::compile(&rewrite, &prefix("/"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{rewrite:?}: {error}");
    }
}
