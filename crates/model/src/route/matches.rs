use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

/// Conditions on a request; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatch {
    /// The path.
    pub path: PathMatch,
    /// The method, upper-case.
    pub method: Option<Arc<str>>,
    /// Request headers, names lower-case.
    pub headers: Vec<NameMatch>,
    /// Query parameters.
    pub query: Vec<NameMatch>,
}

impl RequestMatch {
    /// Every request.
    pub fn any() -> Self {
        Self::path(PathMatch::Prefix("/".into()))
    }

    /// Every request whose path matches.
    pub fn path(path: PathMatch) -> Self {
        Self {
            path,
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }
}

/// How a path is matched. Always case-sensitive; the query is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// The whole path, trailing slash included.
    Exact(Arc<str>),
    /// Whole elements from the start: `/foo` and `/foo/` both match `/foo`, `/foo/` and `/foo/x`, never `/foobar`.
    Prefix(Arc<str>),
    /// A regular expression from the start of the path.
    Regex(Arc<str>),
}

/// What a path is for: two of the same match the same requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatchedPaths<'a>(Discriminant<PathMatch>, &'a str);

impl PathMatch {
    /// To a prefix, slashes at its end make no difference.
    pub fn matched(&self) -> MatchedPaths<'_> {
        let text = match self {
            Self::Prefix(path) => path.trim_end_matches('/'),
            Self::Exact(text) | Self::Regex(text) => text,
        };
        MatchedPaths(discriminant(self), text)
    }

    /// The path or expression, as declared.
    pub fn as_str(&self) -> &Arc<str> {
        match self {
            Self::Exact(path) | Self::Prefix(path) | Self::Regex(path) => path,
        }
    }
}

/// A header or query parameter condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMatch {
    /// Header or parameter name.
    pub name: Arc<str>,
    /// Condition on the value.
    pub value: TextMatch,
}

/// A condition on a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Exactly this.
    Exact(Arc<str>),
    /// A regular expression over the whole text.
    Regex(Arc<str>),
}
