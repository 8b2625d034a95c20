use std::sync::Arc;

use fairway_model::{
    Changes, HostPattern, HostRoutes, NameMatch, PathMatch, Rule, Snapshot, TextMatch, WildcardSpan,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};

use super::conditions::Sent;
use crate::fixture::{exact_host, label, regex, rule, wildcard};
use crate::index::naive;
use crate::{Builder, Host, Path, Request};

const HOSTS: [&str; 6] = ["c", "b.c", "a.b.c", "x.b.c", "a.a.b.c", "10.0.0.1"];
/// Some sort before `/`, some after; one is the beginning of others.
const ELEMENTS: [&str; 6] = ["a", "b", "a-", "a.", "ab", "a%2Fb"];
const REGEXES: [&str; 5] = ["/a", "/a/b$", "/(a|b)/", "/.*b", "b"];
const METHODS: [&str; 3] = ["GET", "POST", "get"];

fn patterns() -> impl Strategy<Value = HostPattern> {
    let span = select(vec![WildcardSpan::OneLabel, WildcardSpan::OneOrMoreLabels]);
    prop_oneof![
        select(&HOSTS[..]).prop_map(exact_host),
        (select(vec!["c", "b.c", "a.b.c"]), span).prop_map(|(suffix, span)| wildcard(suffix, span)),
        Just(HostPattern::Any),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    let elements = vec(select(&ELEMENTS[..]), 0..4);
    (elements, any::<bool>()).prop_map(|(elements, slash)| {
        let end = if slash && !elements.is_empty() {
            "/"
        } else {
            ""
        };
        format!("/{}{end}", elements.join("/"))
    })
}

fn path_matches() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        3 => paths().prop_map(|path| PathMatch::Exact(path.into())),
        6 => paths().prop_map(|path| PathMatch::Prefix(path.into())),
        1 => select(&REGEXES[..]).prop_map(regex),
    ]
}

/// Mostly none, as they make rules fail.
fn field_matches() -> impl Strategy<Value = Vec<NameMatch>> {
    let value = prop_oneof![
        select(vec!["0", "1"]).prop_map(|text| TextMatch::Exact(text.into())),
        select(vec!["0|1", "[12]"]).prop_map(|pattern| TextMatch::Regex(pattern.into())),
    ];
    let field = (select(vec!["x", "y"]), value).prop_map(|(name, value)| NameMatch {
        name: name.into(),
        value,
    });
    prop_oneof![3 => Just(Vec::new()), 1 => vec(field, 1..3)]
}

fn rules() -> impl Strategy<Value = Rule> {
    let method = option::weighted(0.2, select(vec!["GET", "POST"]));
    (path_matches(), method, field_matches(), field_matches()).prop_map(
        |(path, method, headers, query)| {
            let mut rule = rule(path, "");
            rule.matches.method = method.map(Arc::from);
            rule.matches.headers = headers;
            rule.matches.query = query;
            rule
        },
    )
}

fn tables() -> impl Strategy<Value = Snapshot> {
    let default = option::weighted(0.3, Just(rule(PathMatch::Prefix("/".into()), "default")));
    let hosts = vec((patterns(), vec(rules(), 0..12), default), 0..6);
    hosts.prop_map(|hosts| {
        let mut snapshot = Snapshot::default();
        for (host, mut rules, default) in hosts {
            for (position, rule) in rules.iter_mut().enumerate() {
                rule.id.field = format!("{host} {position}").into();
            }
            let routes = HostRoutes {
                rules,
                default,
                tls: None,
            };
            snapshot.routes.hosts.insert_mut(host, Arc::new(routes));
        }
        snapshot
    })
}

/// Rarely a host that nothing was declared for.
fn requests() -> impl Strategy<Value = (Pick, String, &'static str, Sent)> {
    let field = || (select(vec!["x", "y"]), select(vec!["0", "1", "2"]));
    let sent = (vec(field(), 0..3), vec(field(), 0..3));
    let sent = sent.prop_map(|(headers, query)| Sent { headers, query });
    (any::<Pick>(), paths(), select(&METHODS[..]), sent)
}

proptest! {
    #[test]
    fn the_index_agrees_with_a_naive_search(
        snapshot in tables(),
        requests in vec(requests(), 32),
    ) {
        let index = Builder::new().apply(&snapshot, &Changes::everything(&snapshot));
        for (host, path, method, sent) in &requests {
            let request = Request {
                host: &Host::parse(host.get(&HOSTS).as_bytes()).unwrap(),
                path: &Path::parse(path).unwrap(),
                method,
            };
            let found = index.find_with(request, sent).map(label);
            let expected = naive::find(&snapshot.routes, request, sent).map(|rule| &*rule.id.field);
            prop_assert_eq!(found, expected, "{} {:?} {} {:?}", method, request.host, path, sent);

            let traced = index.trace(request, sent);
            let chosen = traced.as_ref().and_then(|trace| trace.chosen()).map(label);
            prop_assert_eq!(chosen, found);
            for it in traced.iter().flat_map(|trace| &trace.considered) {
                let declared = it.rule.map(|rule| &*rule.id.field);
                prop_assert_eq!(declared, Some(label(it.route)));
            }
            let entries = index.entries_for(request.host);
            let used = traced.map(|trace| trace.routes);
            let first = entries.first().map(|entry| &*snapshot.routes.hosts[entry]);
            prop_assert_eq!(used, first);
        }
    }
}
