//! The index in the plainest terms, as the oracle of its tests: look at every host and every rule, keep
//! those that match, take the one of the greatest precedence, of equals the first.

use fairway_model::{
    HostPattern, NameMatch, PathMatch, RequestMatch, RouteTable, Rule, TextMatch, WildcardSpan,
};
use regex::Regex;

use super::precedence::{PathPrecedence, Precedence};
use super::{Cow, Fields, Request};

pub(super) fn find<'a>(
    routes: &'a RouteTable,
    request: Request<'_>,
    fields: &dyn Fields,
) -> Option<&'a Rule> {
    let entries = routes.hosts.iter().filter_map(|(pattern, routes)| {
        let specificity = match_host(pattern, request.host.as_str())?;
        Some((specificity, routes))
    });
    let (_, entry) = entries.max_by_key(|(specificity, _)| *specificity)?;

    let mut best: Option<(Precedence, &Rule)> = None;
    for rule in &entry.rules {
        let precedence = match_rule(&rule.matches, request, fields);
        if precedence > best.map(|(precedence, _)| precedence) {
            best = precedence.map(|precedence| (precedence, rule));
        }
    }
    best.map(|(_, rule)| rule).or(entry.default.as_ref())
}

/// The greater, the more specific.
fn match_host(pattern: &HostPattern, host: Option<&str>) -> Option<(u8, usize)> {
    let stars = |suffix: &str| host?.strip_suffix(&format!(".{suffix}"));
    match pattern {
        HostPattern::Exact(name) => (host == Some(name)).then_some((3, 0)),
        HostPattern::Wildcard { suffix, span } => match span {
            WildcardSpan::OneLabel => (!stars(suffix)?.contains('.')).then_some((2, 0)),
            WildcardSpan::OneOrMoreLabels => stars(suffix).map(|_| (1, suffix.len())),
        },
        HostPattern::Any => Some((0, 0)),
    }
}

fn match_rule(
    matches: &RequestMatch,
    request: Request<'_>,
    fields: &dyn Fields,
) -> Option<Precedence> {
    let path = match_path(&matches.path, &request.path.matched)?;
    let holds = matches
        .method
        .as_deref()
        .is_none_or(|method| method == request.method)
        && matches
            .headers
            .iter()
            .all(|header| match_text(header, fields.header(&header.name)))
        && matches
            .query
            .iter()
            .all(|query| match_text(query, fields.query_parameter(&query.name)));
    holds.then(|| Precedence::new(path, matches))
}

fn match_path(rule: &PathMatch, path: &str) -> Option<PathPrecedence> {
    match rule {
        PathMatch::Exact(rule) => (**rule == *path).then_some(PathPrecedence::Exact),
        PathMatch::Prefix(rule) => {
            let mut elements = path.split('/').filter(|element| !element.is_empty());
            let mut wanted = rule.split('/').filter(|element| !element.is_empty());
            let matches = wanted.all(|wanted| elements.next() == Some(wanted));
            matches.then_some(PathPrecedence::Prefix(rule.len()))
        }
        PathMatch::Regex(rule) => {
            let regex = Regex::new(&format!("^(?:{rule})")).unwrap();
            regex
                .is_match(path)
                .then_some(PathPrecedence::Regex(rule.len()))
        }
    }
}

fn match_text(wanted: &NameMatch, value: Option<Cow<'_, [u8]>>) -> bool {
    value.is_some_and(|value| match &wanted.value {
        TextMatch::Exact(text) => text.as_bytes() == &*value,
        TextMatch::Regex(pattern) => {
            let regex = Regex::new(&format!("^(?:{pattern})$")).unwrap();
            regex.is_match(std::str::from_utf8(&value).unwrap())
        }
    })
}
