//! Groups of bars, each as long as its value by that of the least in its group.

use std::fmt::Write as _;

use super::{COLOURS, frame, legend};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 300.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
const TOP: f64 = 56.0;
/// Longer bars are cut, and say so.
const MOST: f64 = 8.0;

pub(crate) struct Group {
    pub(crate) label: String,
    /// One for each name, or none.
    pub(crate) values: Vec<Option<f64>>,
}

impl Group {
    /// By how much the largest is more than the least.
    fn longest(&self) -> Option<f64> {
        let values = || self.values.iter().flatten().copied();
        Some(values().max_by(f64::total_cmp)? / values().min_by(f64::total_cmp)?)
    }
}

/// Bars of the same name have the same colour.
pub(crate) fn draw(title: &str, names: &[&str], groups: &[Group]) -> String {
    let mut drawn = legend(names.iter().copied(), 8.0, 36.0, 150.0);
    let longest = groups.iter().filter_map(Group::longest);
    let longest = longest.fold(2.0, f64::max).min(MOST);
    let mut y = TOP;
    for group in groups {
        let bars = group.values.iter().enumerate();
        let bars = bars.filter_map(|(number, value)| Some((number, (*value)?)));
        let bars: Vec<_> = bars.collect();
        let Some(least) = bars.iter().map(|(_, value)| *value).min_by(f64::total_cmp) else {
            continue;
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            drawn,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            LABELS - 8.0,
            y + BAR * bars.len() as f64 / 2.0 + 4.0,
            group.label
        );
        for (number, value) in bars {
            let times = value / least;
            let width = times.min(longest) / longest * (WIDTH - LABELS - 60.0);
            let more = if times > MOST { " >" } else { "" };
            let _ = writeln!(
                drawn,
                "<rect x=\"{LABELS}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{}\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\" class=\"n\">{times:.2}{more}</text>",
                BAR - 1.0,
                COLOURS[number % COLOURS.len()],
                LABELS + width + 4.0,
                y + BAR - 2.0,
            );
            y += BAR;
        }
        y += GAP;
    }
    frame([WIDTH, y], title, &drawn)
}
