use std::borrow::Cow;
use std::sync::Arc;

use fairway_model::{NameMatch, RequestMatch, TextMatch};
use regex::bytes::{Regex, RegexBuilder};

use super::{Fields, RuleError};

/// The longest regular expression that is read. Those of published Ingresses stay below 200 bytes.
const MAX_PATTERN: usize = 4096;

/// The most memory that one compiled regular expression may take, and one thread's scratch space for
/// it, in bytes. An ordinary path pattern compiles to some 2 KiB. The limit also bounds the time that a
/// match takes for each byte of a path.
const MAX_COMPILED: usize = 64 * 1024;

/// What a rule asks of a request besides its path.
#[derive(Debug)]
pub(super) struct Conditions {
    method: Option<Arc<str>>,
    headers: Box<[FieldCondition]>,
    query: Box<[FieldCondition]>,
}

#[derive(Debug)]
struct FieldCondition {
    name: Arc<str>,
    value: ValueCondition,
}

#[derive(Debug)]
enum ValueCondition {
    Exact(Arc<str>),
    Regex(Regex),
}

/// What a rule asks for and a request has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// This method.
    Method(Arc<str>),
    /// This header, with another value or at all.
    Header(Arc<str>),
    /// This query parameter, with another value or at all.
    Parameter(Arc<str>),
}

/// A request of which neither headers nor query are known.
pub(super) struct NoFields;

impl Conditions {
    pub(super) fn compile(matches: &RequestMatch) -> Result<Self, RuleError> {
        Ok(Self {
            method: matches.method.clone(),
            headers: compile_fields(&matches.headers)?,
            query: compile_fields(&matches.query)?,
        })
    }

    /// Whether these are the conditions of a match: variants of a rule differ in nothing else.
    pub(super) fn are_of(&self, matches: &RequestMatch) -> bool {
        let same = |fields: &[FieldCondition], matches: &[NameMatch]| {
            fields.len() == matches.len()
                && (fields.iter().zip(matches)).all(|(field, it)| field.is_of(it))
        };
        self.method == matches.method
            && same(&self.headers, &matches.headers)
            && same(&self.query, &matches.query)
    }

    /// The first that does not hold; none where [`Conditions::hold`].
    pub(super) fn unmet(&self, method: &str, fields: &dyn Fields) -> Option<Unmet> {
        let wanted = self.method.as_ref();
        if let Some(wanted) = wanted.filter(|wanted| ***wanted != *method) {
            return Some(Unmet::Method(wanted.clone()));
        }
        let header = |it: &&FieldCondition| !it.holds(fields.header(&it.name));
        if let Some(header) = self.headers.iter().find(header) {
            return Some(Unmet::Header(header.name.clone()));
        }
        let parameter = |it: &&FieldCondition| !it.holds(fields.query_parameter(&it.name));
        let parameter = self.query.iter().find(parameter);
        parameter.map(|it| Unmet::Parameter(it.name.clone()))
    }

    pub(super) fn hold(&self, method: &str, fields: &dyn Fields) -> bool {
        let is_method = self.method.as_deref().is_none_or(|wanted| wanted == method);
        is_method
            && (self.headers.iter()).all(|header| header.holds(fields.header(&header.name)))
            && (self.query.iter()).all(|query| query.holds(fields.query_parameter(&query.name)))
    }
}

fn compile_fields(matches: &[NameMatch]) -> Result<Box<[FieldCondition]>, RuleError> {
    let conditions = matches.iter().map(|field| {
        Ok(FieldCondition {
            name: field.name.clone(),
            value: match &field.value {
                TextMatch::Exact(text) => ValueCondition::Exact(text.clone()),
                TextMatch::Regex(pattern) => ValueCondition::Regex(regex_of_whole_text(pattern)?),
            },
        })
    });
    conditions.collect()
}

impl FieldCondition {
    fn is_of(&self, matches: &NameMatch) -> bool {
        self.name == matches.name
            && match (&self.value, &matches.value) {
                (ValueCondition::Exact(text), TextMatch::Exact(wanted)) => text == wanted,
                (ValueCondition::Regex(regex), TextMatch::Regex(pattern)) => {
                    regex.as_str() == whole_text(pattern)
                }
                _ => false,
            }
    }

    fn holds(&self, value: Option<Cow<'_, [u8]>>) -> bool {
        value.is_some_and(|value| match &self.value {
            ValueCondition::Exact(text) => *value == *text.as_bytes(),
            ValueCondition::Regex(regex) => regex.is_match(&value),
        })
    }
}

impl Fields for NoFields {
    fn header(&self, _name: &str) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn query_parameter(&self, _name: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// A regular expression that must match from the first byte on.
pub(crate) fn regex_from_start(pattern: &str) -> Result<Regex, RuleError> {
    compile(pattern, |pattern| format!(r"\A(?:{pattern})"))
}

fn regex_of_whole_text(pattern: &str) -> Result<Regex, RuleError> {
    compile(pattern, whole_text)
}

fn whole_text(pattern: &str) -> String {
    format!(r"\A(?:{pattern})\z")
}

/// Compiles a pattern by itself, so that `a)|(b` cannot escape from the anchors, and then with them.
fn compile(pattern: &str, anchor: fn(&str) -> String) -> Result<Regex, RuleError> {
    if pattern.len() > MAX_PATTERN {
        let reason = format!("it is longer than {MAX_PATTERN} bytes");
        return Err(RuleError::regex(pattern, reason));
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .unicode(false) // paths are ASCII, and the character classes stay small
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .build()
    };
    build(pattern)
        .and_then(|_| build(&anchor(pattern)))
        .map_err(|error| RuleError::regex(pattern, reason(&error)))
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("it takes more than {limit} bytes of memory")
        }
        // A drawing of the place, then a line that says what is wrong there.
        error => {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}
