use std::sync::Arc;

/// A change to the request or response on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Sets a request header for the upstream, replacing what the client sent.
    SetRequestHeader(Arc<str>, Arc<str>),
    /// Adds a request header for the upstream, beside those of this name.
    AddRequestHeader(Arc<str>, Arc<str>),
    /// Removes a request header.
    RemoveRequestHeader(Arc<str>),
    /// Sets a response header for the client.
    SetResponseHeader(Arc<str>, Arc<str>),
    /// Adds a response header for the client, beside those of this name.
    AddResponseHeader(Arc<str>, Arc<str>),
    /// Removes a response header.
    RemoveResponseHeader(Arc<str>),
    /// Asks the upstream for another path than the client asked for. The last one counts.
    RewritePath(PathRewrite),
}

/// Another path in place of the one that was asked for; the query stays.
///
/// Paths are looked at in the form in which they are matched, and the new one is brought to that form
/// before it is used: it cannot climb out of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// This one.
    Full(Arc<str>),
    /// These elements in place of those that the rule's prefix matched; the whole path where the rule has
    /// no prefix.
    Prefix(Arc<str>),
    /// Where the expression matches from the start of the path: this text, with `$1` to `$9` for what
    /// its groups matched, in place of the whole path.
    Regex {
        /// The expression.
        pattern: Arc<str>,
        /// What takes the path's place; starts with `/`.
        replacement: Arc<str>,
    },
}
