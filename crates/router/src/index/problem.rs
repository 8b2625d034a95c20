use fairway_model::{HostPattern, RuleId};

/// A rule that can match nothing as it is written. The other rules of its host work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {error}", rule.object, rule.field)]
pub struct Problem {
    /// Where the rule was declared.
    pub rule: RuleId,
    /// The host entry it belongs to.
    pub host: HostPattern,
    /// What is wrong.
    pub error: RuleError,
}

/// Why a rule can match nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No request can have the path.
    #[error(
        "no request can have the path {path:?}: it must start with \"/\", write \"%\" as \"%25\" \
         and not climb above the root"
    )]
    Path {
        /// The beginning of the path.
        path: String,
    },
    /// The regular expression is malformed or too large.
    #[error("the regular expression {pattern:?} cannot be used: {reason}")]
    Regex {
        /// The beginning of the expression.
        pattern: String,
        /// What is wrong with it, in one line.
        reason: String,
    },
    /// The new path of a rewrite is none.
    #[error("the path cannot be rewritten to {replacement:?}: {reason}")]
    Replacement {
        /// The new path, with its groups.
        replacement: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RuleError {
    pub(crate) fn path(path: &str) -> Self {
        Self::Path {
            path: beginning(path),
        }
    }

    pub(crate) fn replacement(replacement: &str, reason: String) -> Self {
        Self::Replacement {
            replacement: beginning(replacement),
            reason,
        }
    }

    pub(super) fn regex(pattern: &str, reason: impl Into<String>) -> Self {
        Self::Regex {
            pattern: beginning(pattern),
            reason: reason.into(),
        }
    }
}

/// As much as fits in a line of a log; the text itself can be as long as an API object.
fn beginning(text: &str) -> String {
    const MAX_CHARACTERS: usize = 80;
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
