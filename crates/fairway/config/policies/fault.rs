//! What becomes of a policy that cannot be used: without it, a host that it protects must not be open.

#[cfg(test)]
mod tests;

use fairway_model::{RoutePolicy, RouteSelector, RouteSettings, TlsSettings};
use serde_json::{Map, Value};

use super::{SelectorDocument, Wrong};
use crate::config::file::decode_field;

/// The fields that protect nothing. Any other one may: one that is not known can be a misspelled
/// `clientCertificates`.
const HARMLESS: [&str; 11] = [
    "selector",
    "match",
    "upstream",
    "backends",
    "redirect",
    "rewrite",
    "requestHeaders",
    "responseHeaders",
    "redirectToHttps",
    "maxBodySize",
    "upgrades",
];

/// A policy that cannot be used.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Which field is wrong, and how.
    pub(crate) problem: String,
    /// What is done where the list is in force all the same.
    pub(crate) effect: &'static str,
}

impl Fault {
    pub(super) fn new(at: usize, (field, problem): Wrong, closes: bool) -> Self {
        let field = match field.as_str() {
            "" | "." => String::new(),
            field => format!(".{field}"),
        };
        Self {
            problem: format!("policies[{at}]{field}: {problem}"),
            effect: match closes {
                true => {
                    "the hosts that it selects are closed, because it may be what protects them"
                }
                false => "this policy is left out",
            },
        }
    }
}

/// What lets nobody into the hosts that a faulty policy selects; None where it protects nothing. Where it
/// cannot be told which those are, it is all of them.
pub(super) fn closing(content: &Value) -> Option<RoutePolicy> {
    if !may_protect(content) {
        return None;
    }
    let mut selector = content.get("selector").cloned().unwrap_or_default();
    if let Value::Object(selector) = &mut selector {
        // TLS is of whole hosts.
        selector.remove("path");
    }
    let selector: SelectorDocument = decode_field(selector).unwrap_or_default();
    Some(RoutePolicy {
        selector: RouteSelector {
            ingress: selector.ingress,
            host: selector.host,
            path: None,
        },
        settings: RouteSettings {
            tls: TlsSettings {
                refuse: true,
                ..TlsSettings::default()
            },
            ..RouteSettings::default()
        },
        ..RoutePolicy::default()
    })
}

fn may_protect(content: &Value) -> bool {
    let verifies = |fields: &Map<String, Value>| {
        let upstream = fields.get("upstream");
        upstream.is_some_and(|upstream| upstream.get("tls").is_some())
    };
    match content {
        Value::Null => false,
        Value::Object(fields) => {
            verifies(fields)
                || fields
                    .keys()
                    .any(|field| !HARMLESS.contains(&field.as_str()))
        }
        _ => true,
    }
}
