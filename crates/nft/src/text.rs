//! A [`Ruleset`] as text in nft's language: for `fairway render`, for people, and for comparison
//! with what `nft list table` prints.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};

use fairway_plan::{Chain, Family, Hook, HookPoint, Rule, Ruleset, TABLE};

use self::element::{ElementText, TypeOf, Types};
use self::statement::RuleText;
use crate::wire::constants::chain_type;

mod element;
mod statement;
#[cfg(test)]
mod tests;

/// nft takes comments of up to 128 bytes with the closing zero.
const COMMENT_LIMIT: usize = 127;

/// nft prints keys of up to so many fields by example, longer ones by their types.
pub(crate) const LONGEST_TYPEOF: usize = 4;

/// Renders a ruleset. `nft -f` loads the text; apart from spacing and the order of elements it is
/// what `nft list table` prints of the same ruleset.
pub fn render(ruleset: &Ruleset) -> String {
    let mut out = String::new();
    write_table(&mut out, ruleset).expect("writing to a String cannot fail");
    out
}

fn write_table(out: &mut String, ruleset: &Ruleset) -> fmt::Result {
    let family = ruleset.family;
    writeln!(out, "table {family} {TABLE} {{")?;
    for (index, (name, elements)) in ruleset.sets.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let kind = if name.shape().value.is_empty() {
            "set"
        } else {
            "map"
        };
        writeln!(out, "\t{kind} {name} {{")?;
        match name.shape().key.len() {
            ..=LONGEST_TYPEOF => writeln!(out, "\t\ttypeof {}", TypeOf(*name, family))?,
            _ => writeln!(out, "\t\ttype {}", Types(family, &name.shape().key))?,
        }
        if name.shape().has_networks() {
            writeln!(out, "\t\tflags interval")?;
        }
        if let Some((capacity, timeout)) = name.capacity().zip(name.timeout()) {
            writeln!(out, "\t\tsize {capacity}")?;
            writeln!(out, "\t\tflags dynamic,timeout")?;
            writeln!(out, "\t\ttimeout {}", Time(timeout))?;
        }
        if name.counts() {
            writeln!(out, "\t\tcounter")?;
        }
        let mut separator = "\t\telements = { ";
        for (key, value) in elements {
            write!(out, "{separator}{}", ElementText(family, *name, key, value))?;
            separator = ",\n\t\t\t     ";
        }
        if !elements.is_empty() {
            writeln!(out, " }}")?;
        }
        writeln!(out, "\t}}")?;
    }
    for chain in &ruleset.chains {
        writeln!(out)?;
        write_chain(out, family, chain)?;
    }
    writeln!(out, "}}")
}

fn write_chain(out: &mut String, family: Family, chain: &Chain) -> fmt::Result {
    writeln!(out, "\tchain {} {{", chain.name)?;
    if let Some(hook) = chain.hook {
        writeln!(out, "\t\t{}", hook_text(hook))?;
    }
    for rule in &chain.rules {
        writeln!(out, "\t\t{}", RuleText(family, rule))?;
    }
    writeln!(out, "\t}}")
}

pub(crate) fn hook_text(hook: Hook) -> String {
    let kind = chain_type(hook.kind);
    let point = point(hook.point);
    let priority = Priority(hook);
    format!("type {kind} hook {point} priority {priority}; policy accept;")
}

/// The comment of a rule as nft can hold it: no quotation marks, no control characters, not too long.
pub(crate) fn comment(rule: &Rule) -> Cow<'static, str> {
    let text = rule.comment;
    let fits = |text: &str| {
        text.len() <= COMMENT_LIMIT && !text.contains(|c: char| c == '"' || c.is_control())
    };
    if fits(text) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(COMMENT_LIMIT);
    for character in text.chars() {
        let character = match character {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        };
        if clean.len() + character.len_utf8() > COMMENT_LIMIT {
            break;
        }
        clean.push(character);
    }
    Cow::Owned(clean)
}

/// Seconds as nft prints them: `3h`, `1m30s`.
struct Time(u32);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            let count = rest / seconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= seconds;
        }
        Ok(())
    }
}

fn point(point: HookPoint) -> &'static str {
    match point {
        HookPoint::Prerouting => "prerouting",
        HookPoint::Input => "input",
        HookPoint::Forward => "forward",
        HookPoint::Output => "output",
        HookPoint::Postrouting => "postrouting",
    }
}

/// A priority by the name that nft 1.0.6 prints: the nearest standard one within ten, with the rest.
struct Priority(Hook);

impl Display for Priority {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Hook {
            point, priority, ..
        } = self.0;
        let standard = [
            ("raw", -300),
            ("mangle", -150),
            ("dstnat", -100),
            ("filter", 0),
            ("security", 50),
            ("srcnat", 100),
        ];
        let near = standard
            .into_iter()
            .find(|(_, value)| priority.saturating_sub(*value).unsigned_abs() <= 10);
        let fits = |name| match name {
            "dstnat" => point == HookPoint::Prerouting,
            "srcnat" => point == HookPoint::Postrouting,
            _ => true,
        };
        match near {
            Some((name, value)) if fits(name) => match priority - value {
                0 => f.write_str(name),
                rest if rest > 0 => write!(f, "{name} + {rest}"),
                rest => write!(f, "{name} - {}", rest.unsigned_abs()),
            },
            _ => priority.fmt(f),
        }
    }
}
