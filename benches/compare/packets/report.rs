//! Figures of packets as tables, bars and a chart.

use std::fmt::Write as _;

use crate::chart::bars::{self, Group};
use crate::packets::measure::{Figure, Figures, Series};
use crate::packets::site::{ENDPOINTS, Table, Way};
use crate::report::{self, Bar, Chart, Limit, Section};
use crate::spread::{Spread, number};

pub(crate) fn section(all: &[Figures]) -> Section {
    let mut text = "From pod to pod on one node; kube-proxy's layout is the chains, maps and rules of its nftables mode, loaded by \
         `nft -f -`. One thread on one core is client, server and node, so CPU is that of the whole way, without what else ran. \
         Medians; in brackets how many times as much as plain routing, and as the same way through \
         kube-proxy's layout, with the least and the most of single rounds.\n"
        .to_owned();
    for figures in all {
        text.push_str(&table(figures));
    }
    Section {
        title: "Packets through Services",
        text,
        bars: all.iter().flat_map(bars_of).collect(),
        figures: all.iter().flat_map(lines).collect(),
        charts: vec![chart(all)],
    }
}

/// A line for each way.
fn table(figures: &Figures) -> String {
    let mut out = format!("\n| {} Services |", figures.services);
    // Writing to a String does not fail.
    for figure in Figure::ALL {
        let (what, unit) = figure.describe();
        let _ = write!(out, " {what}, {unit} |");
    }
    let _ = writeln!(out, "\n| --- |{}", " ---: |".repeat(Figure::ALL.len()));
    for series in &figures.series {
        let _ = write!(out, "| {} |", name(series));
        for figure in Figure::ALL {
            let value = Spread::of(series.values(figure));
            let value = value.map_or("-".to_owned(), |it| number(it.median));
            let ratios = ratios(figures, series, figure).into_iter().flatten();
            let ratios: Vec<_> = ratios.map(|it| it.to_string()).collect();
            let _ = match series.table {
                Table::None => write!(out, " {value} |"),
                _ => write!(out, " {value} [{}] |", ratios.join("; ")),
            };
        }
        out.push('\n');
    }
    out
}

fn bars_of(figures: &Figures) -> impl Iterator<Item = Bar> {
    let ways = [Way::ClusterIp, Way::WideClusterIp];
    ways.into_iter().map(|way| {
        let ours = figures.of(Table::Fairway, way);
        let ratio = ours.and_then(|ours| ratios(figures, ours, Figure::ConnectionCpu)[1]);
        let endpoints = match way {
            Way::WideClusterIp => format!("{ENDPOINTS} endpoints"),
            _ => "one endpoint".to_owned(),
        };
        let what = format!(
            "CPU of a new connection through a ClusterIP of {endpoints}, {} Services, to kube-proxy's layout",
            figures.services
        );
        Bar::new(what, Limit::AtMost(1.0), "", ratio)
    })
}

fn lines(figures: &Figures) -> Vec<report::Figure> {
    let mut lines = Vec::new();
    for figure in Figure::ALL {
        let (what, unit) = figure.describe();
        let what = format!("{what}, {} Services", figures.services);
        for series in &figures.series {
            let who = name(series);
            lines.extend(report::Figure::new(
                &what,
                unit,
                &who,
                series.values(figure),
            ));
            let ratios = ratios(figures, series, figure);
            for (ratio, to) in ratios
                .into_iter()
                .zip(["plain routing", "kube-proxy's layout"])
            {
                lines.extend(ratio.map(|it| report::Figure::ratio(&what, &who, to, it)));
            }
        }
    }
    lines
}

fn chart(all: &[Figures]) -> Chart {
    let ways = [
        ("plain routing", Table::None, Way::Pod),
        ("plain, tracked", Table::Tracking, Way::Pod),
        ("fairway", Table::Fairway, Way::ClusterIp),
        ("kube-proxy's layout", Table::KubeProxy, Way::ClusterIp),
    ];
    let shown = [
        Figure::ConnectionCpu,
        Figure::AnswerMedian,
        Figure::StreamCpu,
    ];
    let groups = all.iter().flat_map(|figures| {
        shown.map(|figure| Group {
            label: format!("{}, {} Services", figure.describe().0, figures.services),
            values: ways
                .iter()
                .map(|(_, table, way)| {
                    let series = figures.of(*table, *way)?;
                    Some(Spread::of(series.values(figure))?.median)
                })
                .collect(),
        })
    });
    let groups: Vec<_> = groups.collect();
    let title = "What packets pay through a ClusterIP, the least = 1";
    Chart {
        name: "packets",
        title,
        svg: bars::draw(title, &ways.map(|(name, ..)| name), &groups),
    }
}

/// To plain routing, and to the same way through the peer's table.
fn ratios(figures: &Figures, series: &Series, figure: Figure) -> [Option<Spread>; 2] {
    let plain = figures.of(Table::None, Way::Pod);
    let peer = figures.of(Table::KubeProxy, series.way);
    let peer = peer.filter(|_| series.table == Table::Fairway);
    [plain, peer].map(|to| ratio(series, to?, figure))
}

/// How many times as much the first is, round by round.
fn ratio(of: &Series, to: &Series, figure: Figure) -> Option<Spread> {
    let pairs = of.values(figure).zip(to.values(figure));
    Spread::of(pairs.map(|(of, to)| of / to))
}

fn name(series: &Series) -> String {
    let table = match series.table {
        Table::None => "plain routing",
        Table::Tracking => "plain routing, tracked",
        Table::Fairway => "fairway",
        Table::KubeProxy => "kube-proxy's layout",
    };
    let way = match (series.table, series.way) {
        (Table::None | Table::Tracking, _) => return table.to_owned(),
        (_, Way::Pod) => "past all Services",
        (_, Way::ClusterIp) => "ClusterIP",
        (_, Way::WideClusterIp) => return format!("{table}, ClusterIP of {ENDPOINTS} endpoints"),
        (_, Way::NodePort) => "NodePort",
    };
    format!("{table}, {way}")
}
