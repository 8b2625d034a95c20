use std::borrow::Cow;

use fairway_model::{Action, HostPattern, NameMatch, Rule, TextMatch};

use crate::fixture::{backend, build, build_paths, exact, find, label, prefix, routes, rule};
use crate::{Fields, Host, Index, Path, Request, Target};

/// Headers and query parameters as pairs.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) query: Vec<(&'static str, &'static str)>,
}

fn value_of(pairs: &[(&'static str, &'static str)], name: &str) -> Option<Cow<'static, [u8]>> {
    let found = pairs.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_bytes().into())
}

impl Fields for Sent {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        value_of(&self.headers, name)
    }

    fn query_parameter(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        value_of(&self.query, name)
    }
}

fn is(name: &str, value: &str) -> NameMatch {
    NameMatch {
        name: name.into(),
        value: TextMatch::Exact(value.into()),
    }
}

fn is_like(name: &str, pattern: &str) -> NameMatch {
    NameMatch {
        name: name.into(),
        value: TextMatch::Regex(pattern.into()),
    }
}

fn with_method(mut rule: Rule, method: &str) -> Rule {
    rule.matches.method = Some(method.into());
    rule
}

fn with_headers(mut rule: Rule, headers: impl IntoIterator<Item = NameMatch>) -> Rule {
    rule.matches.headers.extend(headers);
    rule
}

fn with_query(mut rule: Rule, query: impl IntoIterator<Item = NameMatch>) -> Rule {
    rule.matches.query.extend(query);
    rule
}

fn find_with<'a>(index: &'a Index, path: &str, sent: &Sent) -> Option<&'a str> {
    let request = Request {
        host: &Host::none(),
        path: &Path::parse(path).unwrap(),
        method: "GET",
    };
    index.find_with(request, sent).map(label)
}

#[test]
fn methods_are_compared_as_sent() {
    let index = build_paths([
        rule(prefix("/a"), "any"),
        with_method(rule(prefix("/a"), "post"), "POST"),
        with_method(rule(exact("/a/b"), "exact put"), "PUT"),
    ]);
    assert_eq!(find(&index, "GET", "x", "/a/b"), Some("any"));
    assert_eq!(find(&index, "POST", "x", "/a/b"), Some("post"));
    assert_eq!(find(&index, "PUT", "x", "/a/b"), Some("exact put"));
    assert_eq!(find(&index, "post", "x", "/a/b"), Some("any"));
}

#[test]
fn a_path_whose_conditions_fail_yields_to_a_shorter_one() {
    let index = build_paths([
        rule(prefix("/"), "root"),
        with_method(rule(prefix("/a/b"), "deep"), "POST"),
        with_method(rule(prefix("/a"), "middle"), "PUT"),
    ]);
    assert_eq!(find(&index, "POST", "x", "/a/b/c"), Some("deep"));
    assert_eq!(find(&index, "PUT", "x", "/a/b/c"), Some("middle"));
    assert_eq!(find(&index, "GET", "x", "/a/b/c"), Some("root"));
}

#[test]
fn unknown_fields_match_no_condition() {
    let index = build_paths([
        with_headers(rule(prefix("/"), "header"), [is("x-a", "1")]),
        with_query(rule(prefix("/"), "query"), [is_like("q", ".*")]),
    ]);
    assert_eq!(find(&index, "GET", "x", "/"), None);
}

#[test]
fn more_conditions_win_headers_before_query() {
    let index = build_paths([
        rule(prefix("/"), "none"),
        with_query(
            rule(prefix("/"), "two queries"),
            [is("p", "1"), is("q", "2")],
        ),
        with_headers(rule(prefix("/"), "one header"), [is("x-a", "1")]),
        with_headers(
            rule(prefix("/"), "two headers"),
            [is("x-a", "1"), is_like("x-b", "[a-c]+")],
        ),
    ]);
    let sent = |headers: &[_], query: &[_]| Sent {
        headers: headers.to_vec(),
        query: query.to_vec(),
    };
    for (sent, expected) in [
        (sent(&[], &[]), "none"),
        (sent(&[], &[("p", "1")]), "none"),
        (sent(&[], &[("p", "1"), ("q", "2")]), "two queries"),
        (
            sent(&[("x-a", "1")], &[("p", "1"), ("q", "2")]),
            "one header",
        ),
        (sent(&[("x-a", "1"), ("x-b", "abc")], &[]), "two headers"),
        (sent(&[("x-a", "1"), ("x-b", "abcd")], &[]), "one header"),
        (sent(&[("x-a", "2"), ("x-b", "abc")], &[]), "none"),
    ] {
        assert_eq!(find_with(&index, "/", &sent), Some(expected), "{sent:?}");
    }
}

#[test]
fn backends_without_weight_get_nothing() {
    let weighted = |weights: [u32; 2]| {
        let backends = ["a", "b"]
            .into_iter()
            .zip(weights)
            .map(|(service, weight)| {
                let mut backend = backend(service, 80);
                backend.weight = weight;
                backend
            });
        let mut rule = rule(prefix("/"), "weighted");
        rule.action = Action::Forward(backends.collect());
        rule
    };
    let target = |rule| {
        let index = build([(HostPattern::Any, routes([rule]))]);
        let request = Request {
            host: &Host::none(),
            path: &Path::parse("/").unwrap(),
            method: "GET",
        };
        match &index.find(request).unwrap().target {
            Target::Forward(backends) => Ok(backends
                .iter()
                .map(|(weight, upstream)| (*weight, upstream.key.service.name.to_string()))
                .collect::<Vec<_>>()),
            Target::Respond(status) => Err(*status),
            Target::Redirect(_) => panic!("the rule redirects nothing"),
        }
    };
    assert_eq!(target(weighted([0, 3])), Ok(vec![(3, "b".to_owned())]));
    assert_eq!(target(weighted([0, 0])), Err(503));
}
