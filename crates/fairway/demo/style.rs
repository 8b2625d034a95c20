//! Colours for people at a terminal, and figures as people write them.

use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::time::Duration;

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Headings, names of machines.
    Strong,
    /// What a person would type.
    Command,
    /// What explains the rest.
    Aside,
    Good,
    Bad,
}

/// Whether to colour at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colour: bool,
}

/// A piece of text in its colour.
pub(super) struct Painted<T>(T, Option<Role>);

impl Style {
    /// Colours on a terminal that has them, unless refused (see no-color.org).
    pub(super) fn of_stdout() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|terminal| terminal == "dumb");
        Self {
            colour: std::io::stdout().is_terminal() && !dumb && set("NO_COLOR").is_none(),
        }
    }

    /// The text in the colour of its role. Align it before: colours have no width.
    pub(super) fn paint<T: Display>(self, role: Role, text: T) -> Painted<T> {
        Painted(text, self.colour.then_some(role))
    }
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(role) = self.1 else {
            return self.0.fmt(f);
        };
        let code = match role {
            Role::Strong => "1",
            Role::Command => "36",
            Role::Aside => "2",
            Role::Good => "32",
            Role::Bad => "1;31",
        };
        write!(f, "\x1b[{code}m{}\x1b[0m", self.0)
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In milliseconds: everything here takes some of them.
pub(super) fn milliseconds(duration: Duration) -> String {
    let number = duration.as_secs_f64() * 1000.0;
    if number < 10.0 {
        format!("{number:.1} ms")
    } else {
        format!("{number:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_easily() {
        assert_eq!(
            [0, 999, 1000, 12345, 1_234_567].map(count),
            ["0", "999", "1,000", "12,345", "1,234,567"]
        );
        assert_eq!(milliseconds(Duration::from_micros(1234)), "1.2 ms");
        assert_eq!(milliseconds(Duration::from_secs(2)), "2000 ms");
    }

    #[test]
    fn without_colours_text_is_just_text() {
        let plain = Style { colour: false };
        assert_eq!(plain.paint(Role::Good, "x").to_string(), "x");
        let colourful = Style { colour: true };
        let painted = colourful.paint(Role::Good, "x").to_string();
        assert_eq!(painted, "\x1b[32mx\x1b[0m");
    }
}
