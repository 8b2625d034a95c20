//! Figures as Markdown and as CSV.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use crate::measure::{Figure, Figures, Series};
use crate::site::{ENDPOINTS, Table, Way};

/// Median, smallest and largest of some rounds.
#[derive(Clone, Copy, Debug)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        Self {
            median: values[values.len() / 2],
            least: values[0],
            most: values[values.len() - 1],
        }
    }

    /// How many times as much the first is, round by round.
    fn of_ratios(of: &Series, to: &Series, figure: Figure) -> Self {
        let pairs = of.values(figure).zip(to.values(figure));
        Self::of(pairs.map(|(of, to)| of / to))
    }

    fn ratio(self) -> String {
        let Self {
            median,
            least,
            most,
        } = self;
        format!("{median:.2} ({least:.2} to {most:.2})")
    }
}

/// A table for each figure.
pub(crate) fn markdown(figures: &Figures) -> String {
    let mut text = format!(
        "{} Services. Medians of the rounds; ratios are of the same round: median (least to most).\n",
        figures.services
    );
    // Writing to a String does not fail.
    for figure in Figure::ALL {
        let (what, unit) = figure.describe();
        let _ = writeln!(
            text,
            "\n| {what} | {unit} | of plain routing | of kube-proxy's layout |\n| --- | ---: | ---: | ---: |"
        );
        for series in &figures.series {
            let value = number(Spread::of(series.values(figure)).median);
            let [plain, peer] = ratios(figures, series, figure)
                .map(|spread| spread.map_or("-".to_owned(), Spread::ratio));
            let _ = writeln!(text, "| {} | {value} | {plain} | {peer} |", name(series));
        }
    }
    text
}

/// How far what is aimed at is away.
pub(crate) fn verdict(figures: &Figures) -> String {
    let mut text = format!(
        "{} Services, CPU of a new connection (the bar is 1.0 of kube-proxy's layout, through a ClusterIP):",
        figures.services
    );
    let ours = figures.series.iter();
    let ours = ours.filter(|it| it.table == Table::Fairway && it.way != Way::Pod);
    for series in ours {
        let tracked = figures.of(Table::Tracking, Way::Pod);
        let tracked = tracked.map(|to| Spread::of_ratios(series, to, Figure::ConnectionCpu));
        let [plain, peer] = ratios(figures, series, Figure::ConnectionCpu);
        let [plain, peer, tracked] =
            [plain, peer, tracked].map(|spread| spread.map_or("-".to_owned(), Spread::ratio));
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n  {}: {peer} of kube-proxy's, {plain} of plain routing, {tracked} of plain routing that is tracked",
            name(series)
        );
    }
    text
}

/// To plain routing, and to the same way through the peer's table.
fn ratios(figures: &Figures, series: &Series, figure: Figure) -> [Option<Spread>; 2] {
    let plain = figures.of(Table::None, Way::Pod);
    let peer = figures.of(Table::KubeProxy, series.way);
    let peer = peer.filter(|_| series.table == Table::Fairway);
    [plain, peer].map(|to| Some(Spread::of_ratios(series, to?, figure)))
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

/// Three digits are more than the noise leaves.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

const HEADER: &str = "date,kernel,machine,services,figure,unit,way,median,least,most,\
    of_plain,of_plain_least,of_plain_most,of_kube_proxy,of_kube_proxy_least,of_kube_proxy_most";

/// Adds lines to a file, which gets a header if it is new.
pub(crate) fn append_csv(file: &Path, all: &[Figures]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    if file.metadata()?.len() == 0 {
        writeln!(file, "{HEADER}")?;
    }
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let machine = machine();
    for figures in all {
        for figure in Figure::ALL {
            let (what, unit) = figure.describe();
            for series in &figures.series {
                let services = figures.services;
                let name = name(series);
                write!(
                    file,
                    "{date},{kernel},{machine},{services},\"{what}\",{unit},\"{name}\""
                )?;
                let value = Spread::of(series.values(figure));
                let ratios = ratios(figures, series, figure);
                for spread in [Some(value)].into_iter().chain(ratios) {
                    match spread {
                        Some(it) => {
                            write!(file, ",{:.4},{:.4},{:.4}", it.median, it.least, it.most)?
                        }
                        None => write!(file, ",,,")?,
                    }
                }
                writeln!(file)?;
            }
        }
    }
    Ok(())
}

/// The processor and how many cores there are, without commas.
fn machine() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = about.lines().filter(|line| line.starts_with("model name"));
    let name = names.clone().next().and_then(|line| line.split_once(": "));
    let name = name.map_or("unknown", |(_, name)| name).replace(',', " ");
    format!("{name} x {}", names.by_ref().count().max(1))
}
