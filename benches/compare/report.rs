//! What all sections found, as one: the bars first, then each section's tables, and every figure as CSV.

use std::fmt::Write as _;
use std::time::Duration;

use crate::spread::{Spread, number};

/// A part of the comparison.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Markdown, below the title.
    pub(crate) text: String,
    pub(crate) bars: Vec<Bar>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) charts: Vec<Chart>,
}

/// What the project aims at, and how far it is.
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) limit: Limit,
    pub(crate) unit: &'static str,
    /// None if it was not measured in this run.
    pub(crate) measured: Option<Spread>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// A line for programs.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// Whose it is.
    pub(crate) who: String,
    /// If it is a ratio of same rounds: to whose.
    pub(crate) to: Option<String>,
    pub(crate) spread: Spread,
}

/// A picture of a section's figures.
pub(crate) struct Chart {
    /// Of its file, without an ending.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) svg: String,
}

/// When and where all of it was measured.
pub(crate) struct About {
    /// RFC 3339, to the second.
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) machine: String,
    /// The rest, for people.
    pub(crate) note: String,
}

/// How to get from the Markdown to the other files.
pub(crate) struct Links {
    /// Before each chart's file name.
    pub(crate) charts: &'static str,
    pub(crate) csv: String,
}

impl Bar {
    pub(crate) fn new(
        what: impl Into<String>,
        limit: Limit,
        unit: &'static str,
        measured: Option<Spread>,
    ) -> Self {
        Self {
            what: what.into(),
            limit,
            unit,
            measured,
        }
    }

    /// Whether the median reaches it, by the digits that are shown.
    fn is_met(&self) -> Option<bool> {
        let shown: f64 = number(self.measured?.median).parse().ok()?;
        Some(match self.limit {
            Limit::AtMost(limit) => shown <= limit,
            Limit::AtLeast(limit) => shown >= limit,
        })
    }

    fn line(&self) -> String {
        let Self { what, unit, .. } = self;
        let limit = match self.limit {
            Limit::AtMost(limit) => format!("at most {limit}{unit}"),
            Limit::AtLeast(limit) => format!("at least {limit}{unit}"),
        };
        let (measured, ends) = match self.measured {
            Some(spread) => (format!("{}{unit}", number(spread.median)), spread.ends()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        format!("| {what} | {limit} | {measured} | {ends} | {met} |")
    }
}

impl Figure {
    /// None of no rounds.
    pub(crate) fn new(
        what: &str,
        unit: &'static str,
        who: &str,
        rounds: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let spread = Spread::of(rounds)?;
        Some(Self::of(what, unit, who, spread))
    }

    pub(crate) fn of(what: &str, unit: &'static str, who: &str, spread: Spread) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            who: who.to_owned(),
            to: None,
            spread,
        }
    }

    pub(crate) fn ratio(what: &str, who: &str, to: &str, spread: Spread) -> Self {
        Self {
            what: what.to_owned(),
            unit: "ratio",
            who: who.to_owned(),
            to: Some(to.to_owned()),
            spread,
        }
    }
}

/// The whole table, for people.
pub(crate) fn markdown(sections: &[Section], about: &About, links: &Links) -> String {
    let About {
        date,
        kernel,
        machine,
        note,
    } = about;
    let mut out = format!(
        "## The comparison\n\nDate: {date}. Kernel {kernel}, {machine}. {note} Figures are medians of rounds in which all \
         took turns; ratios are of the same round. All of them, with their spread, are in [the CSV]({}).\n\n\
         | figure | bar | measured | spread | met? |\n| --- | ---: | ---: | ---: | --- |\n",
        links.csv
    );
    for bar in sections.iter().flat_map(|section| &section.bars) {
        out.push_str(&bar.line());
        out.push('\n');
    }
    for section in sections {
        // Writing to a String does not fail.
        let _ = write!(out, "\n## {}\n\n{}\n", section.title, section.text.trim());
        for chart in &section.charts {
            let _ = writeln!(
                out,
                "\n![{}]({}{}.svg)",
                chart.title, links.charts, chart.name
            );
        }
    }
    out
}

/// Every figure, for programs.
pub(crate) fn csv(sections: &[Section], about: &About) -> String {
    let About {
        date,
        kernel,
        machine,
        ..
    } = about;
    let mut out =
        String::from("date,kernel,machine,section,figure,unit,who,to,median,least,most\n");
    for section in sections {
        for figure in &section.figures {
            let Spread {
                median,
                least,
                most,
            } = figure.spread;
            // Writing to a String does not fail.
            let _ = writeln!(
                out,
                "{date},{kernel},\"{machine}\",\"{}\",\"{}\",{},\"{}\",\"{}\",{median:.4},{least:.4},{most:.4}",
                section.title,
                figure.what,
                figure.unit,
                figure.who,
                figure.to.as_deref().unwrap_or_default(),
            );
        }
    }
    out
}

/// For people.
pub(crate) fn short(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 1e-3 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} us", seconds * 1e6),
    }
}

/// KiB, for people.
pub(crate) fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// The middle one.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
