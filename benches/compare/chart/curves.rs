//! Seconds by a number, both by powers of ten.

use std::fmt::Write as _;
use std::time::Duration;

use super::{COLOURS, frame, legend};
use crate::report::short;

const SIZE: [f64; 2] = [760.0, 380.0];
/// Of the field: left, top, right, bottom.
const FIELD: [f64; 4] = [70.0, 56.0, 740.0, 350.0];

pub(crate) struct Curve {
    pub(crate) name: &'static str,
    /// A number and seconds.
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) fn draw(title: &str, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let across = Axis::around(points().map(|point| point.0));
    let up = Axis::around(points().map(|point| point.1));
    let [left, top, right, bottom] = FIELD;
    let x = |value| left + across.place(value) * (right - left);
    let y = |value| bottom - up.place(value) * (bottom - top);
    let mut drawn = legend(curves.iter().map(|curve| curve.name), 8.0, 36.0, 185.0);
    // Writing to a String does not fail.
    for value in across.marks() {
        let at = x(value);
        let _ = writeln!(
            drawn,
            "<path d=\"M{at:.0} {top}V{bottom}\" stroke=\"#8884\"/>\
             <text x=\"{at:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{value:.0}</text>",
            bottom + 18.0
        );
    }
    for value in up.marks() {
        let at = y(value);
        let _ = writeln!(
            drawn,
            "<path d=\"M{left} {at:.0}H{right}\" stroke=\"#8884\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            short(Duration::from_secs_f64(value)),
        );
    }
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = curve.points.iter().map(|point| (x(point.0), y(point.1)));
        let line = points.clone().map(|(x, y)| format!("{x:.1},{y:.1}"));
        let line: Vec<_> = line.collect();
        let _ = writeln!(
            drawn,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(
                drawn,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
    }
    frame(SIZE, title, &drawn)
}

/// From one power of ten to another.
#[derive(Clone, Copy)]
struct Axis {
    least: i32,
    most: i32,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let logs: Vec<_> = values.filter(|it| *it > 0.0).map(f64::log10).collect();
        let least = logs.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0);
        let most = logs.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0);
        let least = least.floor() as i32;
        Self {
            least,
            most: (most.ceil() as i32).max(least + 1),
        }
    }

    /// From 0 to 1.
    fn place(self, value: f64) -> f64 {
        (value.log10() - f64::from(self.least)) / f64::from(self.most - self.least)
    }

    fn marks(self) -> impl Iterator<Item = f64> {
        (self.least..=self.most).map(|power| 10f64.powi(power))
    }
}
