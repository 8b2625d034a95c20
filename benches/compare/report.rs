//! Figures as Markdown, CSV and the bars that they are held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::load::open_loop::Latencies;
use crate::peers::Peer;
use crate::route_change::Change;
use crate::scenario::{Measured, Scenario};

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Figures {
    /// One a round.
    pub(crate) loads: BTreeMap<(Scenario, Peer), Vec<Measured>>,
    /// At 70 % of what each can do.
    pub(crate) latencies: BTreeMap<Peer, Vec<(f64, Latencies)>>,
    /// In KiB: without connections, and with so many that wait.
    pub(crate) memory: BTreeMap<Peer, (u64, u64, usize)>,
    pub(crate) changes: BTreeMap<Peer, Change>,
}

/// Ratios of rounds: the middle one and its neighbours at the ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

/// A bar of the project's, and how far it is.
struct Bar {
    what: &'static str,
    /// At most this.
    limit: f64,
    measured: Option<Spread>,
}

const BEST: [Peer; 2] = [Peer::Nginx, Peer::Haproxy];

impl Spread {
    fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: *ratios.get(ratios.len() / 2)?,
            least: *ratios.first()?,
            most: *ratios.last()?,
        })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.2} ({least:.2} to {most:.2})")
    }
}

impl Figures {
    /// fairway's CPU by that of the cheapest of these in the same round.
    pub(crate) fn ratio(&self, scenario: Scenario, to: &[Peer]) -> Option<Spread> {
        let ours = self.loads.get(&(scenario, Peer::Fairway))?;
        let ratios = ours.iter().enumerate().filter_map(|(round, ours)| {
            let theirs = to.iter().filter_map(|peer| {
                let loads = self.loads.get(&(scenario, *peer))?;
                Some(loads.get(round)?.cpu)
            });
            Some(ours.cpu.as_secs_f64() / theirs.min()?.as_secs_f64())
        });
        Spread::of(ratios.collect())
    }

    /// The median round's CPU and rate.
    pub(crate) fn median(&self, scenario: Scenario, peer: Peer) -> Option<Measured> {
        let mut rounds = self.loads.get(&(scenario, peer))?.clone();
        rounds.sort_by_key(|measured| measured.cpu);
        rounds.get(rounds.len() / 2).copied()
    }

    fn slow(&self, percent: f64, peer: Peer) -> Option<f64> {
        let rounds = self.latencies.get(&peer)?;
        let mut micros: Vec<_> = rounds
            .iter()
            .map(|(_, found)| found.latency.value_at_quantile(percent / 100.0))
            .collect();
        micros.sort_unstable();
        Some(*micros.get(micros.len() / 2)? as f64)
    }

    fn slow_ratio(&self) -> Option<Spread> {
        let rounds = self.latencies.get(&Peer::Fairway)?;
        let p99 = |latencies: &Latencies| latencies.latency.value_at_quantile(0.99) as f64;
        let ratios = rounds.iter().enumerate().filter_map(|(round, (_, ours))| {
            let others = self
                .latencies
                .iter()
                .filter(|(peer, _)| **peer != Peer::Fairway);
            let theirs = others.filter_map(|(_, rounds)| Some(p99(&rounds.get(round)?.1)));
            let best = theirs.min_by(f64::total_cmp)?;
            Some(p99(ours) / best)
        });
        Spread::of(ratios.collect())
    }

    fn bars(&self) -> Vec<Bar> {
        let others = &Peer::ALL[1..];
        let bar = |what, limit, measured| Bar {
            what,
            limit,
            measured,
        };
        let served = self.changes.get(&Peer::Fairway).and_then(|change| {
            let millis = |time: &Duration| time.as_secs_f64() * 1e3;
            Spread::of(change.until_served.iter().map(millis).collect())
        });
        vec![
            bar(
                "HTTP/1.1, 64 B: CPU a request, to the best of nginx and HAProxy",
                1.0,
                self.ratio(Scenario::Kept, &BEST),
            ),
            bar(
                "the same to Envoy",
                0.25,
                self.ratio(Scenario::Kept, &[Peer::Envoy]),
            ),
            bar(
                "the same to Caddy",
                0.15,
                self.ratio(Scenario::Kept, &[Peer::Caddy]),
            ),
            bar(
                "p99 at 70 % of its own most, to the best peer",
                1.0,
                self.slow_ratio(),
            ),
            bar(
                "CPU a full TLS handshake, to the best peer",
                1.0,
                self.ratio(Scenario::FullHandshake, others),
            ),
            bar(
                "HTTP/2: CPU a request, to the best peer",
                1.0,
                self.ratio(Scenario::Http2, others),
            ),
            bar(
                "1 MiB: CPU a byte, to the best peer",
                1.1,
                self.ratio(Scenario::KeptLarge, others),
            ),
            bar("one of 10,000 Ingresses until served, ms", 10.0, served),
        ]
    }

    /// Tables for people.
    pub(crate) fn markdown(&self, about: &str) -> String {
        let mut out = format!("{about}\n\n| CPU | ");
        // Writing to a String does not fail.
        for peer in Peer::ALL {
            let _ = write!(out, "{} | ", peer.name());
        }
        out.push_str("to the best of nginx and HAProxy | to the best peer |\n| --- |");
        out.push_str(&" ---: |".repeat(Peer::ALL.len() + 2));
        for scenario in Scenario::FEW_HOSTS.into_iter().chain([Scenario::ManyHosts]) {
            let _ = write!(out, "\n| {} |", scenario.name());
            for peer in Peer::ALL {
                match self.median(scenario, peer) {
                    Some(Measured { cpu, rate, .. }) => {
                        let micros = cpu.as_nanos() as f64 / 1e3;
                        let _ = write!(out, " {micros:.1} us, {rate:.0}/s |");
                    }
                    None => out.push_str(" - |"),
                }
            }
            for to in [&BEST[..], &Peer::ALL[1..]] {
                match self.ratio(scenario, to) {
                    Some(ratio) => {
                        let _ = write!(out, " {ratio} |");
                    }
                    None => out.push_str(" - |"),
                }
            }
        }
        self.tables_of_rest(&mut out);
        out.push_str("\n\n| bar | at most | measured | met |\n| --- | ---: | ---: | --- |");
        for bar in self.bars() {
            let (measured, met) = match bar.measured {
                Some(spread) if spread.median <= bar.limit => (spread.to_string(), "yes"),
                Some(spread) => (spread.to_string(), "no"),
                None => ("-".to_owned(), "-"),
            };
            let _ = write!(
                out,
                "\n| {} | {} | {measured} | {met} |",
                bar.what, bar.limit
            );
        }
        out.push_str(&self.failures());
        out.push('\n');
        out
    }

    fn tables_of_rest(&self, out: &mut String) {
        // Writing to a String does not fail.
        out.push_str("\n\n| at 70 % of its own most | requests a second | p50 | p99 | p99.9 |\n");
        out.push_str("| --- | ---: | ---: | ---: | ---: |");
        for (peer, rounds) in &self.latencies {
            let rate = rounds.first().map_or(0.0, |(rate, _)| *rate);
            let _ = write!(out, "\n| {} | {rate:.0} |", peer.name());
            for percent in [50.0, 99.0, 99.9] {
                let _ = write!(out, " {:.0} us |", self.slow(percent, *peer).unwrap_or(0.0));
            }
        }
        out.push_str("\n\n| memory | without connections | with idle ones | KiB each |\n");
        out.push_str("| --- | ---: | ---: | ---: |");
        for (peer, (without, with, number)) in &self.memory {
            let mib = |kib: &u64| *kib as f64 / 1024.0;
            let each = with.saturating_sub(*without) as f64 / *number as f64;
            let name = peer.name();
            let _ = write!(
                out,
                "\n| {name} | {:.1} MiB | {number}: {:.1} MiB | {each:.1} |",
                mib(without),
                mib(with)
            );
        }
        out.push_str("\n\n| one of 10,000 hosts changed | until served | others' p99 before | and meanwhile | failed |\n");
        out.push_str("| --- | ---: | ---: | ---: | ---: |");
        for (peer, change) in &self.changes {
            let mut times = change.until_served.clone();
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let p99 = |found: &Latencies| found.latency.value_at_quantile(0.99);
            let _ = write!(
                out,
                "\n| {} | {:.1} ms | {} us | {} us | {} |",
                peer.name(),
                median.as_secs_f64() * 1e3,
                p99(&change.calm),
                p99(&change.meanwhile),
                change.meanwhile.failed,
            );
        }
    }

    /// What makes figures worthless, if there is any.
    fn failures(&self) -> String {
        let mut out = String::new();
        for ((scenario, peer), rounds) in &self.loads {
            let failed: u64 = rounds.iter().map(|measured| measured.failed).sum();
            if failed > 0 {
                let _ = write!(
                    out,
                    "\n\n{failed} failed: {}, {}",
                    peer.name(),
                    scenario.name()
                );
            }
        }
        for (peer, rounds) in &self.latencies {
            let failed: u64 = rounds.iter().map(|(_, found)| found.failed).sum();
            if failed > 0 {
                let _ = write!(out, "\n\n{failed} failed: {}, at 70 %", peer.name());
            }
        }
        out
    }

    /// Every round, for programs.
    pub(crate) fn csv(&self, date: &str) -> String {
        let mut out = String::from("date,scenario,peer,round,cpu_us,per_second,failed\n");
        for ((scenario, peer), rounds) in &self.loads {
            for (round, measured) in rounds.iter().enumerate() {
                let micros = measured.cpu.as_nanos() as f64 / 1e3;
                let Measured { rate, failed, .. } = measured;
                // Writing to a String does not fail.
                let _ = writeln!(
                    out,
                    "{date},\"{}\",{},{round},{micros:.3},{rate:.1},{failed}",
                    scenario.name(),
                    peer.name()
                );
            }
        }
        for (peer, rounds) in &self.latencies {
            for (round, (rate, found)) in rounds.iter().enumerate() {
                for percent in [50.0, 99.0, 99.9] {
                    let micros = found.latency.value_at_quantile(percent / 100.0);
                    let _ = writeln!(
                        out,
                        "{date},\"p{percent} at 70 %, us\",{},{round},{micros},{rate:.1},{}",
                        peer.name(),
                        found.failed
                    );
                }
            }
        }
        out
    }
}
