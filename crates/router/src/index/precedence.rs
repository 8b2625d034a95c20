use fairway_model::RequestMatch;

/// How specific a match is; of the rules that match a request the greatest wins, and of equals the one
/// that stands first in its host's list. The fields are compared in the order they stand in.
///
/// This order is the specification: the compiled index only finds its maximum faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    path: PathPrecedence,
    method: bool,
    headers: usize,
    query: usize,
}

/// Whole paths before regular expressions before prefixes; the length is that of the rule's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathPrecedence {
    /// `/foo/` before `/foo` where both match.
    Prefix(usize),
    /// Longer texts first, as nginx sorts them.
    Regex(usize),
    /// All that match one request are equally long.
    Exact,
}

impl Precedence {
    pub(super) fn new(path: PathPrecedence, matches: &RequestMatch) -> Self {
        Self {
            path,
            method: matches.method.is_some(),
            headers: matches.headers.len(),
            query: matches.query.len(),
        }
    }
}
