//! Bars as SVG: one group a scenario, one bar a peer, as long as its CPU by that of the cheapest.

use std::fmt::Write as _;

use crate::peers::Peer;
use crate::report::Figures;
use crate::scenario::Scenario;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 300.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// Longer bars are cut, and say so.
const MOST: f64 = 8.0;

/// Colours that are told apart by all, on white and on black.
fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Fairway => "#0072b2",
        Peer::Nginx => "#009e73",
        Peer::Haproxy => "#e69f00",
        Peer::Envoy => "#cc79a7",
        Peer::Caddy => "#888888",
    }
}

/// CPU a request of each, the cheapest being 1.
pub(crate) fn draw(figures: &Figures) -> String {
    let mut groups = String::new();
    let mut y = 44.0;
    for scenario in Scenario::FEW_HOSTS.into_iter().chain([Scenario::ManyHosts]) {
        let of = |peer| {
            figures
                .median(scenario, peer)
                .map(|found| found.cpu.as_secs_f64())
        };
        let all = Peer::ALL
            .into_iter()
            .filter_map(|peer| Some((peer, of(peer)?)));
        let all: Vec<_> = all.collect();
        let Some(least) = all.iter().map(|(_, cpu)| *cpu).min_by(f64::total_cmp) else {
            continue;
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            groups,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            LABELS - 8.0,
            y + BAR * all.len() as f64 / 2.0 + 4.0,
            scenario.name()
        );
        for (peer, cpu) in all {
            let times = cpu / least;
            let width = times.min(MOST) / MOST * (WIDTH - LABELS - 60.0);
            let more = if times > MOST { " >" } else { "" };
            let _ = writeln!(
                groups,
                "<rect x=\"{LABELS}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{}\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\" class=\"n\">{times:.1}{more}</text>",
                BAR - 1.0,
                colour(peer),
                LABELS + width + 4.0,
                y + BAR - 2.0,
            );
            y += BAR;
        }
        y += GAP;
    }
    let mut legend = String::new();
    for (number, peer) in Peer::ALL.into_iter().enumerate() {
        let x = LABELS + 90.0 * number as f64;
        let _ = writeln!(
            legend,
            "<rect x=\"{x:.0}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{:.0}\" y=\"22\">{}</text>",
            colour(peer),
            x + 17.0,
            peer.name()
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {y:.0}\" role=\"img\" \
         aria-label=\"CPU time by request, compared with the cheapest\">\n\
         <style>text{{font:12px sans-serif;fill:#555}}.n{{font-size:9px}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ccc}}}}</style>\n\
         <text x=\"8\" y=\"22\">CPU time, the cheapest = 1</text>\n{legend}{groups}</svg>\n"
    )
}
