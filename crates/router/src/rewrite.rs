use std::sync::Arc;

use fairway_model::{PathMatch, PathRewrite};
use regex::bytes::{Captures, Regex};

use crate::index::{RuleError, regex_from_start};
use crate::{InvalidPath, Path};

#[cfg(test)]
mod tests;

/// Longest path that a rewrite may make, in bytes: a few times what servers take.
const LONGEST: usize = 64 * 1024;

/// Another path in place of the one that was asked for.
///
/// What comes out is as final as the path of a request after it was read: groups that are put together
/// to a dot element or an escape are refused.
#[derive(Clone, Debug)]
pub struct Rewrite(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Full(Box<str>),
    Prefix {
        /// How many elements of the path the rule's prefix matched; all where there is none.
        elements: usize,
        replacement: Box<str>,
    },
    Regex {
        regex: Regex,
        replacement: Box<[Part]>,
    },
}

/// A piece of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Group(usize),
}

impl Rewrite {
    /// Compiles a rewrite for requests that a rule matches by `path`.
    ///
    /// # Errors
    ///
    /// When the new path, or its pattern, cannot be one.
    pub fn compile(rewrite: &PathRewrite, path: &PathMatch) -> Result<Self, RuleError> {
        let literal = |text: &Arc<str>| match Path::parse(text) {
            Ok(path) if text.starts_with('/') => Ok(path.forwarded.into()),
            _ => Err(RuleError::path(text)),
        };
        Ok(Self(match rewrite {
            PathRewrite::Full(path) => Kind::Full(literal(path)?),
            PathRewrite::Prefix(replacement) => Kind::Prefix {
                elements: match path {
                    PathMatch::Prefix(prefix) => elements(prefix).count(),
                    PathMatch::Exact(_) | PathMatch::Regex(_) => usize::MAX,
                },
                replacement: literal(replacement)?.trim_end_matches('/').into(),
            },
            PathRewrite::Regex {
                pattern,
                replacement,
            } => {
                let regex = regex_from_start(pattern)?;
                let replacement = parse_replacement(replacement, regex.captures_len())
                    .map_err(|reason| RuleError::replacement(replacement, reason))?;
                Kind::Regex { regex, replacement }
            }
        }))
    }

    /// The new path; None where it stays as it is.
    ///
    /// # Errors
    ///
    /// When what comes out is no path that a request could have.
    pub fn apply(&self, path: &Path<'_>) -> Result<Option<String>, InvalidPath> {
        let rewritten = match &self.0 {
            Kind::Full(path) => return Ok(Some(path.to_string())),
            Kind::Prefix {
                elements,
                replacement,
            } => {
                let rest = after(&path.forwarded, *elements);
                // Two slashes at the start would be read as the name of a host by some.
                let rest = match (replacement.is_empty(), rest) {
                    (true, rest) => &format!("/{}", rest.trim_start_matches('/')),
                    (false, rest) => rest,
                };
                format!("{replacement}{rest}")
            }
            Kind::Regex { regex, replacement } => {
                let Some(captures) = regex.captures(path.matched.as_bytes()) else {
                    return Ok(None);
                };
                expand(replacement, &captures)?
            }
        };
        let is_final =
            rewritten.len() <= LONGEST && Path::parse(&rewritten)?.forwarded == rewritten;
        is_final.then_some(Some(rewritten)).ok_or(InvalidPath)
    }
}

fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|element| !element.is_empty())
}

/// What follows so many elements, however many slashes there are between them.
fn after(path: &str, elements: usize) -> &str {
    let mut rest = path;
    for _ in 0..elements {
        let element = rest.trim_start_matches('/');
        if element.is_empty() {
            return "";
        }
        rest = &element[element.find('/').unwrap_or(element.len())..];
    }
    rest
}

/// `$1` to `$9` are groups, of which there are `groups`, with the whole match; everything else is text.
fn parse_replacement(text: &str, groups: usize) -> Result<Box<[Part]>, String> {
    if !text.starts_with('/') {
        return Err("it does not start with /".to_owned());
    }
    let mut pieces = text.split('$');
    let mut parts = Vec::new();
    let first = pieces.next().unwrap_or_default();
    parts.push(Part::Text(first.into()));
    for piece in pieces {
        let number = piece.bytes().next().filter(u8::is_ascii_digit);
        let Some(number) = number.map(|digit| usize::from(digit - b'0')) else {
            return Err("a $ is followed by a digit; write a $ itself as %24".to_owned());
        };
        if number == 0 || number >= groups {
            return Err(format!("the expression has no group {number}"));
        }
        parts.push(Part::Group(number));
        parts.push(Part::Text(piece[1..].into()));
    }
    let sample: String = parts.iter().map(Part::sample).collect();
    match Path::parse(&sample) {
        Err(_) => return Err("no request can have such a path".to_owned()),
        Ok(path) if path.forwarded != sample => {
            return Err(format!(
                "write it like {:?}, with x for a group",
                path.forwarded
            ));
        }
        Ok(_) => {}
    }
    parts.retain(|part| *part != Part::Text("".into()));
    Ok(parts.into())
}

impl Part {
    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Group(_) => "x",
        }
    }
}

/// Never longer than it has to be to be seen to be too long.
fn expand(parts: &[Part], captures: &Captures<'_>) -> Result<String, InvalidPath> {
    let mut path = String::new();
    for part in parts {
        match part {
            Part::Text(text) => path.push_str(text),
            Part::Group(number) => {
                let group = captures
                    .get(*number)
                    .map_or(&[][..], |group| group.as_bytes());
                path.push_str(std::str::from_utf8(group).map_err(|_| InvalidPath)?);
            }
        }
        if path.len() > LONGEST {
            return Err(InvalidPath);
        }
    }
    Ok(path)
}
