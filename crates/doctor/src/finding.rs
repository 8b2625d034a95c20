use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// What one look came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// Why it matters; empty where all is well.
    pub why: String,
    /// What to do; empty where all is well.
    pub fix: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and may cease to, or costs something.
    Warning,
    /// Traffic fails by it.
    Fault,
}

impl Finding {
    pub(crate) fn ok(check: &str, found: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, found, "", "")
    }

    pub(crate) fn warning(
        check: &str,
        found: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Warning, found, why, fix)
    }

    pub(crate) fn fault(
        check: &str,
        found: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Fault, found, why, fix)
    }

    fn new(
        check: &str,
        level: Level,
        found: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            check: check.to_owned(),
            level,
            found: found.into(),
            why: why.into(),
            fix: fix.into(),
        }
    }
}

/// The findings for people, what is well in one line each.
pub fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding {
            check,
            level,
            found,
            why,
            fix,
        } = finding;
        let word = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Fault => "FAULT",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{word:8} {check}: {found}");
        if !why.is_empty() {
            let _ = writeln!(text, "         why: {why}");
        }
        if !fix.is_empty() {
            let _ = writeln!(text, "         do:  {fix}");
        }
    }
    let count = |wanted| findings.iter().filter(|it| it.level == wanted).count();
    let (faults, warnings) = (count(Level::Fault), count(Level::Warning));
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let counts = [
        plural(faults, "fault"),
        plural(warnings, "warning"),
        plural(findings.len(), "check"),
    ];
    let _ = writeln!(text, "\n{}", counts.join(", "));
    text
}
