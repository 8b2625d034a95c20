//! Errors as the log tells them.

use std::error::Error;

/// An error and its causes on one line, each said once: many errors, also those of libraries, quote
/// their cause already.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Who quotes a long explanation quotes its first line.
        let essence = text.lines().next().unwrap_or_default();
        if !line.contains(essence) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot read it: {0}; check it")]
        Quotes(#[source] io::Error),
        #[error("cannot read it")]
        Leaves(#[source] io::Error),
    }

    #[test]
    fn a_cause_is_said_once() {
        let cause = || io::Error::other("no disk\n  in drive A");
        let said = |error: Outer| with_causes(&error);
        assert_eq!(
            said(Outer::Leaves(cause())),
            "cannot read it: no disk\n  in drive A"
        );
        assert_eq!(
            said(Outer::Quotes(io::Error::other("no disk"))),
            "cannot read it: no disk; check it"
        );
        let error = anyhow::Error::from(Outer::Leaves(cause())).context("cannot start");
        assert_eq!(
            with_causes(error.as_ref()),
            "cannot start: cannot read it: no disk\n  in drive A"
        );
    }
}
