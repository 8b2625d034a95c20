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

/// Why one rule comes before another that matches the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advantage {
    /// A whole path before a regular expression before a prefix.
    KindOfPath,
    /// The longer path.
    LongerPath,
    /// It asks for a method.
    Method,
    /// It asks for more headers.
    MoreHeaders,
    /// It asks for more query parameters.
    MoreParameters,
    /// They are equals, and it stands first: the older object, then the name, then the position.
    First,
}

impl Precedence {
    /// Why this one comes before the other.
    pub(super) fn advantage_over(self, other: Self) -> Advantage {
        let same_kind = std::mem::discriminant(&self.path) == std::mem::discriminant(&other.path);
        if !same_kind {
            Advantage::KindOfPath
        } else if self.path != other.path {
            Advantage::LongerPath
        } else if self.method != other.method {
            Advantage::Method
        } else if self.headers != other.headers {
            Advantage::MoreHeaders
        } else if self.query != other.query {
            Advantage::MoreParameters
        } else {
            Advantage::First
        }
    }
}
