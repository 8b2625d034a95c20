use fairway_model::RequestMatch;

use super::RuleError;
use super::compile::PathPattern;
use super::condition::Conditions;

/// Whether a rule could be compiled with these conditions, for who wants to know before there is a rule.
///
/// # Errors
///
/// What is wrong with the path or with a regular expression.
pub fn check(matches: &RequestMatch) -> Result<(), RuleError> {
    PathPattern::compile(&matches.path)?;
    Conditions::compile(matches).map(drop)
}
