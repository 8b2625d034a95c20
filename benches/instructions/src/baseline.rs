//! The committed counts, and what today's are beside them.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(test)]
mod tests;

/// How much more than the baseline a count may be, in percent.
pub const TOLERANCE: f64 = 5.0;

/// The same where compiler, C library or processor are others than the baseline's: they move counts by a
/// tenth and more, so only what is clearly ours can be told.
pub const WIDE_TOLERANCE: f64 = 25.0;

/// How to make today's counts the baseline.
pub const ACCEPT: &str = "cargo bench -p fairway-instructions -- --accept";

const HEADER: &str = "work,instructions";

/// Instructions of each piece of work, and what they were counted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// See [`describe`](crate::toolchain::describe).
    pub toolchain: String,
    /// For one time that the work is done.
    pub counts: BTreeMap<String, u64>,
}

/// A baseline cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the baseline is not `name,number`: {text}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl Baseline {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut baseline = Self {
            toolchain: String::new(),
            counts: BTreeMap::new(),
        };
        for (line, text) in (1..).zip(text.lines()) {
            if let Some(toolchain) = text.strip_prefix("# toolchain: ") {
                toolchain.clone_into(&mut baseline.toolchain);
            }
            if text.starts_with('#') || text == HEADER || text.is_empty() {
                continue;
            }
            let fields = text.split_once(',');
            let count = fields.and_then(|(name, count)| Some((name, count.parse().ok()?)));
            let (name, count) = count.ok_or_else(|| Malformed {
                line,
                text: text.to_owned(),
            })?;
            baseline.counts.insert(name.to_owned(), count);
        }
        Ok(baseline)
    }

    /// Compares today's counts with these.
    pub fn judge(&self, today: &Self) -> Report {
        let lines = today.counts.iter().map(|(name, count)| Line {
            name: name.clone(),
            before: self.counts.get(name).copied(),
            now: Some(*count),
        });
        let gone = self.counts.iter();
        let gone = gone.filter(|(name, _)| !today.counts.contains_key(*name));
        let gone = gone.map(|(name, count)| Line {
            name: name.clone(),
            before: Some(*count),
            now: None,
        });
        let same = self.toolchain == today.toolchain;
        Report {
            toolchains: (!same).then(|| [self.toolchain.clone(), today.toolchain.clone()]),
            lines: lines.chain(gone).collect(),
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions by callgrind; `{ACCEPT}` writes this file."
        )?;
        writeln!(f, "# toolchain: {}", self.toolchain)?;
        writeln!(f, "{HEADER}")?;
        for (name, count) in &self.counts {
            writeln!(f, "{name},{count}")?;
        }
        Ok(())
    }
}

/// A piece of work in the baseline and today.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    before: Option<u64>,
    now: Option<u64>,
}

impl Line {
    /// In percent of what it was.
    fn growth(&self) -> Option<f64> {
        let (before, now) = (self.before? as f64, self.now? as f64);
        Some((now - before) / before * 100.0)
    }

    /// What is wrong with it, for people.
    fn complaint(&self, tolerance: f64) -> Option<String> {
        match (self.before, self.now, self.growth()) {
            (None, _, _) => Some(format!("{} is not in the baseline", self.name)),
            (_, None, _) => Some(format!(
                "{} is in the baseline, but is no work any more",
                self.name
            )),
            (Some(before), Some(now), Some(growth)) if growth > tolerance => Some(format!(
                "{} takes {growth:.1} % more instructions than before: {now}, not {before}",
                self.name
            )),
            _ => None,
        }
    }
}

/// The comparison: a table as Markdown, and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The baseline's and today's, where they differ.
    toolchains: Option<[String; 2]>,
    lines: Vec<Line>,
}

impl Report {
    /// Whether nothing has grown beyond the tolerance, and the baseline knows all there is.
    pub fn is_good(&self) -> bool {
        self.complaints().next().is_none()
    }

    fn tolerance(&self) -> f64 {
        match self.toolchains {
            None => TOLERANCE,
            Some(_) => WIDE_TOLERANCE,
        }
    }

    fn complaints(&self) -> impl Iterator<Item = String> {
        let tolerance = self.tolerance();
        let lines = self.lines.iter();
        lines.filter_map(move |line| line.complaint(tolerance))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| work | instructions | baseline | change |")?;
        writeln!(f, "| --- | ---: | ---: | ---: |")?;
        let number = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
        for line in &self.lines {
            let growth = line.growth();
            let growth = growth.map_or("-".to_owned(), |growth| format!("{growth:+.1} %"));
            let (now, before) = (number(line.now), number(line.before));
            writeln!(f, "| {} | {now} | {before} | {growth} |", line.name)?;
        }
        let tolerance = self.tolerance();
        if let Some([before, now]) = &self.toolchains {
            writeln!(
                f,
                "\nThe baseline was counted with other tools, so {tolerance} % are allowed instead of \
                 {TOLERANCE} %:\n  then: {before}\n  now:  {now}\n\
                 To judge by {TOLERANCE} % again, accept the counts of the last commit that is good."
            )?;
        }
        if self.is_good() {
            return writeln!(f, "\nNothing has grown by more than {tolerance} %.");
        }
        writeln!(f)?;
        for complaint in self.complaints() {
            writeln!(f, "{complaint}")?;
        }
        writeln!(
            f,
            "\nIf that is what the change is worth, accept it and commit the file with the change:\n  {ACCEPT}\n\
             If not, this shows where they go, after the run:\n  \
             callgrind_annotate target/instructions/WORK.callgrind | head -40"
        )
    }
}
