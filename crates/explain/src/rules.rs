//! Rules in words.

use fairway_model as model;
use fairway_model::{PathMatch, RequestMatch, TextMatch};
use fairway_router::{Advantage, Considered, Trace, Unmet};

use crate::{Beaten, Rule};

/// The path of a rule as its Ingress declares it.
pub(crate) fn path(matched: &PathMatch) -> String {
    match matched {
        PathMatch::Exact(path) => format!("Exact {path}"),
        PathMatch::Prefix(path) => format!("Prefix {path}"),
        PathMatch::Regex(pattern) => format!("regular expression {pattern}"),
    }
}

/// A rule in words.
pub(crate) fn rule(rule: &model::Rule) -> Rule {
    Rule {
        object: rule.id.object.to_string(),
        field: rule.id.field.to_string(),
        path: path(&rule.matches.path),
        conditions: conditions(&rule.matches),
    }
}

/// What answers in words: the winner of those considered, or else the default.
pub(crate) fn chosen(trace: &Trace<'_>) -> Option<Rule> {
    match winner(&trace.considered) {
        Some(winner) => winner.rule.map(rule),
        None => trace.default.and(trace.routes.default.as_ref()).map(rule),
    }
}

fn winner<'a, 'b>(considered: &'b [Considered<'a>]) -> Option<&'b Considered<'a>> {
    considered.iter().find(|it| it.unmet.is_none())
}

fn conditions(matches: &RequestMatch) -> Vec<String> {
    let text = |value: &TextMatch| match value {
        TextMatch::Exact(text) => format!("= {text}"),
        TextMatch::Regex(pattern) => format!("~ {pattern}"),
    };
    let method = matches
        .method
        .iter()
        .map(|method| format!("method {method}"));
    let headers = matches.headers.iter();
    let headers = headers.map(|it| format!("header {} {}", it.name, text(&it.value)));
    let query = matches.query.iter();
    let query = query.map(|it| format!("query {} {}", it.name, text(&it.value)));
    method.chain(headers).chain(query).collect()
}

/// Of the rules whose path matches, those that do not answer, and why.
pub(crate) fn beaten(considered: &[Considered<'_>]) -> Vec<Beaten> {
    let winner = winner(considered);
    let others = considered.iter();
    let others = others.filter(|it| winner.is_none_or(|winner| !std::ptr::eq(*it, winner)));
    others
        .map(|it| Beaten {
            rule: it.rule.map(rule).unwrap_or_default(),
            why: match (&it.unmet, winner) {
                (Some(unmet), _) => unmet_condition(unmet),
                (None, Some(winner)) => advantage(winner.advantage_over(it)),
                // Who asks for nothing that is missing has won.
                (None, None) => String::new(),
            },
        })
        .collect()
}

fn unmet_condition(unmet: &Unmet) -> String {
    match unmet {
        Unmet::Method(method) => format!("it is for method {method} only"),
        Unmet::Header(name) => format!("the request's header {name} is not what it asks for"),
        Unmet::Parameter(name) => {
            format!("the request's query parameter {name} is not what it asks for")
        }
    }
}

fn advantage(advantage: Advantage) -> String {
    match advantage {
        Advantage::KindOfPath => {
            "a whole path (Exact) comes before regular expressions, and these before prefixes"
        }
        Advantage::LongerPath => "the longer path comes first",
        Advantage::Method => "a rule for the method comes first",
        Advantage::MoreHeaders => "a rule with more header conditions comes first",
        Advantage::MoreParameters => "a rule with more query conditions comes first",
        Advantage::First => "they are equals, and the older object comes first",
    }
    .to_owned()
}
