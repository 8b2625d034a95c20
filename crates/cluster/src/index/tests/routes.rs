//! Ingresses in, routes out, seen through a router that searches the table the slow way.

mod certificates;
mod claims;
mod classes;
mod news;
mod policies;

use std::fmt::Write;

use fairway_model::{Action, HostPattern, HostRoutes, PathMatch, RouteTable, Rule, WildcardSpan};
use serde_json::{Value, json};

use super::super::*;
use super::{apply, delete, index, problems};

const CLASS: &str = "---\n{apiVersion: networking.k8s.io/v1, kind: IngressClass, \
                     metadata: {name: fairway}, spec: {controller: fairway.dev/ingress}}\n";

/// What the table says about a request: the Service of the backend, or a status.
fn route(routes: &RouteTable, host: &str, path: &str) -> String {
    let exact = HostPattern::Exact(host.into());
    let wildcard = host
        .split_once('.')
        .map(|(_, suffix)| HostPattern::Wildcard {
            suffix: suffix.into(),
            span: WildcardSpan::OneLabel,
        });
    let mut patterns = [Some(exact), wildcard, Some(HostPattern::Any)]
        .into_iter()
        .flatten();
    let Some(entry) = patterns.find_map(|pattern| routes.hosts.get(&pattern)) else {
        return "404".to_owned();
    };
    let rule = best(entry, path).or(entry.default.as_ref());
    match rule.map(|rule| &rule.action) {
        None => "404".to_owned(),
        Some(Action::Respond(status)) => status.to_string(),
        Some(Action::Forward(backends)) => backends[0].service.name.to_string(),
        Some(other) => panic!("{other:?}"),
    }
}

fn best<'a>(entry: &'a HostRoutes, path: &str) -> Option<&'a Rule> {
    let rules = entry
        .rules
        .iter()
        .filter_map(|rule| match &rule.matches.path {
            PathMatch::Exact(text) => (**text == *path).then_some((text.len(), true, rule)),
            PathMatch::Prefix(text) => {
                let elements = text.strip_suffix('/').unwrap_or(text);
                let rest = path.strip_prefix(elements)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((text.len(), false, rule))
            }
            PathMatch::Regex(_) => panic!("none in Ingress"),
        });
    let best = rules.max_by_key(|(length, exact, _)| (*length, *exact));
    best.map(|(_, _, rule)| rule)
}

/// An Ingress of our class, created that many seconds into 2026.
fn ingress(name: &str, age: u32, spec: &str) -> String {
    let class = "ingressClassName: fairway";
    format!(
        "---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, \
         creationTimestamp: '2026-01-01T00:00:{age:02}Z'}}, spec: {{{class}, {spec}}}}}\n"
    )
}

/// A rule for a host (none when empty), its paths written `Type path service`.
fn rule(host: &str, paths: &[&str]) -> String {
    let mut text = String::from("{");
    if !host.is_empty() {
        write!(text, "host: '{host}', ").unwrap();
    }
    text += "http: {paths: [";
    for path in paths {
        let [path_type, path, service] = path.split(' ').collect::<Vec<_>>()[..] else {
            panic!("three words, not {path:?}")
        };
        let backend = format!("{{service: {{name: {service}, port: {{number: 80}}}}}}");
        write!(
            text,
            "{{path: '{path}', pathType: {path_type}, backend: {backend}}},"
        )
        .unwrap();
    }
    text + "]}}"
}

fn rules(rules: &[String]) -> String {
    format!("rules: [{}]", rules.join(", "))
}

fn default(service: &str) -> String {
    format!("defaultBackend: {{service: {{name: {service}, port: {{number: 80}}}}}}")
}

fn with(yaml: &[String]) -> Index {
    let yaml = format!("{CLASS}{}", yaml.concat());
    let mut index = index(Options::default(), &yaml);
    index.update().unwrap();
    index
}

fn get(index: &Index, host: &str, path: &str) -> String {
    route(&index.snapshot.routes, host, path)
}

/// The rows of the ingress controller conformance suite that a route table can show.
#[test]
fn conformance() {
    let hosts = ingress(
        "hosts",
        0,
        &rules(&[
            rule("*.foo.com", &["Prefix / wildcard-foo-com"]),
            rule("foo.bar.com", &["Prefix / foo-bar-com"]),
        ]),
    );
    let paths = ingress(
        "paths",
        0,
        &rules(&[
            rule("exact-path-rules", &["Exact /foo foo-exact"]),
            rule(
                "prefix-path-rules",
                &[
                    "Prefix /foo foo-prefix",
                    "Prefix /aaa/bbb aaa-slash-bbb-prefix",
                    "Prefix /aaa aaa-prefix",
                ],
            ),
            rule(
                "mixed-path-rules",
                &["Prefix /foo foo-prefix", "Exact /foo foo-exact"],
            ),
            rule(
                "trailing-slash-path-rules",
                &[
                    "Prefix /aaa/bbb/ aaa-slash-bbb-slash-prefix",
                    "Exact /foo/ foo-slash-exact",
                ],
            ),
        ]),
    );
    let index = with(&[hosts, paths]);
    for (host, path, expected) in [
        ("foo.bar.com", "/", "foo-bar-com"),
        ("subdomain.bar.com", "/", "404"),
        ("bar.foo.com", "/", "wildcard-foo-com"),
        ("baz.bar.foo.com", "/", "404"),
        ("foo.com", "/", "404"),
        ("exact-path-rules", "/foo", "foo-exact"),
        ("exact-path-rules", "/foo/", "404"),
        ("exact-path-rules", "/FOO", "404"),
        ("exact-path-rules", "/bar", "404"),
        ("prefix-path-rules", "/foo", "foo-prefix"),
        ("prefix-path-rules", "/foo/", "foo-prefix"),
        ("prefix-path-rules", "/FOO", "404"),
        ("prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"),
        ("prefix-path-rules", "/aaa/bbb/ccc", "aaa-slash-bbb-prefix"),
        ("prefix-path-rules", "/aaa/ccc", "aaa-prefix"),
        ("prefix-path-rules", "/aaaccc", "404"),
        ("mixed-path-rules", "/foo", "foo-exact"),
        (
            "trailing-slash-path-rules",
            "/aaa/bbb",
            "aaa-slash-bbb-slash-prefix",
        ),
        (
            "trailing-slash-path-rules",
            "/aaa/bbb/",
            "aaa-slash-bbb-slash-prefix",
        ),
        ("trailing-slash-path-rules", "/foo", "404"),
    ] {
        assert_eq!(get(&index, host, path), expected, "{host}{path}");
    }
    let index = with(&[ingress("only-default", 0, &default("echo"))]);
    assert_eq!(get(&index, "my-host", "/sub-path"), "echo");
}

#[test]
fn an_exact_host_hides_the_wildcard_and_both_the_rules_for_any() {
    let index = with(&[ingress(
        "web",
        0,
        &rules(&[
            rule("bar.foo.com", &["Prefix /a exact"]),
            rule("*.foo.com", &["Prefix / wildcard"]),
            rule("", &["Prefix / any"]),
        ]),
    )]);
    assert_eq!(get(&index, "bar.foo.com", "/a"), "exact");
    assert_eq!(get(&index, "bar.foo.com", "/b"), "404");
    assert_eq!(get(&index, "other.foo.com", "/b"), "wildcard");
    assert_eq!(get(&index, "foo.com", "/b"), "any");
}

#[test]
fn a_change_touches_its_own_hosts_only() {
    let web = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| rule(host, &["Prefix / web"]));
        ingress("web", 0, &rules(&hosts.collect::<Vec<_>>()))
    };
    let other = ingress("other", 0, &rules(&[rule("o.com", &["Prefix / other"])]));
    let mut index = with(&[web(&["a.com", "b.com"]), other]);
    let before = index.snapshot.clone();
    let changes = apply(&mut index, &web(&["b.com", "c.com"]));
    // b.com is listed because its rule has another position now.
    let hosts: Vec<_> = changes.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["a.com", "b.com", "c.com"]);
    let host = HostPattern::Exact("o.com".into());
    let kept = [&before, &index.snapshot].map(|snapshot| snapshot.routes.hosts[&host].clone());
    assert!(Arc::ptr_eq(&kept[0], &kept[1]));
    assert_eq!(route(&before.routes, "a.com", "/"), "web");
}

#[test]
fn two_thousand_hosts_and_one_with_ten_thousand_paths() {
    let backend = |name: String| json!({"service": {"name": name, "port": {"number": 80}}});
    let path = |path: String, name: String| json!({"path": path, "pathType": "Prefix", "backend": backend(name)});
    let rule = |host: String, paths: Vec<Value>| json!({"host": host, "http": {"paths": paths}});
    let mut rules: Vec<Value> = (0..2000)
        .map(|number| {
            rule(
                format!("h{number}.com"),
                vec![path("/".into(), "web".into())],
            )
        })
        .collect();
    let paths = (0..10_000).map(|number| path(format!("/{number}"), format!("p{number}")));
    rules.push(rule("p.com".into(), paths.collect()));
    let ingress = json!({
        "metadata": {"name": "huge", "namespace": "default"},
        "spec": {"ingressClassName": "fairway", "rules": rules},
    });
    let mut index = with(&[]);
    let ingress = serde_json::from_value(ingress).expect("an Ingress");
    index.apply(Event::Apply(crate::Object::Ingress(ingress)));
    let update = index.update().expect("routes");
    assert_eq!(update.changes.hosts.len(), 2001);
    assert_eq!(get(&index, "h1999.com", "/"), "web");
    assert_eq!(get(&index, "p.com", "/9999/x"), "p9999");
    // Every one of the backends is missing; a line for each would be twelve thousand.
    assert!(problems(&index).len() < 50);
}
