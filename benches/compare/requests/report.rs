//! Figures of requests as tables, bars and a chart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::report::{Bar, Limit, Section, mib};
use crate::requests::load::open_loop::Latencies;
use crate::requests::peers::Peer;
use crate::requests::route_change::Change;
use crate::requests::scenario::{Measured, Scenario};
use crate::spread::{Spread, number};

mod charts;
mod lines;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Figures {
    /// One a round.
    pub(crate) loads: BTreeMap<(Scenario, Peer), Vec<Measured>>,
    /// 70 % of the most that each does, in requests a second.
    pub(crate) own_rates: BTreeMap<Peer, f64>,
    pub(crate) at_own_rate: BTreeMap<Peer, Vec<Latencies>>,
    /// 70 % of the most that the slowest does.
    pub(crate) common_rate: f64,
    pub(crate) at_common_rate: BTreeMap<Peer, Vec<Latencies>>,
    pub(crate) memory: BTreeMap<Peer, Memory>,
    pub(crate) changes: BTreeMap<Peer, Change>,
}

/// In KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// How many wait.
    pub(crate) connections: usize,
    pub(crate) without: u64,
    pub(crate) with_clear: u64,
    pub(crate) with_tls: u64,
}

const BEST: [Peer; 2] = [Peer::Nginx, Peer::Haproxy];
const OURS: &str = Peer::Fairway.name();
const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];

impl Memory {
    fn each(&self, with: u64) -> f64 {
        with.saturating_sub(self.without) as f64 / self.connections as f64
    }
}

fn micros(found: &Latencies, percent: f64) -> f64 {
    found.latency.value_at_quantile(percent / 100.0) as f64
}

fn spread(rounds: &[Latencies], percent: f64) -> Option<Spread> {
    Spread::of(rounds.iter().map(|found| micros(found, percent)))
}

impl Figures {
    pub(crate) fn section(&self) -> Section {
        Section {
            title: "Requests, beside other proxies",
            text: self.text(),
            bars: self.bars(),
            figures: self.lines(),
            charts: self.charts(),
        }
    }

    /// fairway's CPU by that of the cheapest of these in the same round.
    fn ratio(&self, scenario: Scenario, to: &[Peer]) -> Option<Spread> {
        let ours = self.loads.get(&(scenario, Peer::Fairway))?;
        let ratios = ours.iter().enumerate().filter_map(|(round, ours)| {
            let theirs = to.iter().filter_map(|peer| {
                let loads = self.loads.get(&(scenario, *peer))?;
                Some(loads.get(round)?.cpu)
            });
            Some(ours.cpu.as_secs_f64() / theirs.min()?.as_secs_f64())
        });
        Spread::of(ratios)
    }

    /// The median round's CPU and rate.
    pub(crate) fn median(&self, scenario: Scenario, peer: Peer) -> Option<Measured> {
        let mut rounds = self.loads.get(&(scenario, peer))?.clone();
        rounds.sort_by_key(|measured| measured.cpu);
        rounds.get(rounds.len() / 2).copied()
    }

    /// fairway's latency by that of the best of others in the same round.
    fn slow_ratio(rounds: &BTreeMap<Peer, Vec<Latencies>>, percent: f64) -> Option<Spread> {
        let ours = rounds.get(&Peer::Fairway)?;
        let ratios = ours.iter().enumerate().filter_map(|(round, ours)| {
            let others = rounds.iter().filter(|(peer, _)| **peer != Peer::Fairway);
            let theirs = others.filter_map(|(_, rounds)| Some(micros(rounds.get(round)?, percent)));
            Some(micros(ours, percent) / theirs.min_by(f64::total_cmp)?)
        });
        Spread::of(ratios)
    }

    fn bars(&self) -> Vec<Bar> {
        let others = &Peer::ALL[1..];
        let at_most =
            |what: &str, limit, measured| Bar::new(what, Limit::AtMost(limit), "", measured);
        let millis = |time: &Duration| time.as_secs_f64() * 1e3;
        let change = self.changes.get(&Peer::Fairway);
        let served = change.and_then(|it| Spread::of(it.until_served.iter().map(millis)));
        let unmoved = change
            .and_then(|it| Spread::of([micros(&it.meanwhile, 99.0) / micros(&it.calm, 99.0)]));
        let failed = change.and_then(|it| Spread::of([it.meanwhile.failed as f64]));
        vec![
            at_most(
                "HTTP/1.1, 64 B: CPU a request, to the best of nginx and HAProxy",
                1.0,
                self.ratio(Scenario::Kept, &BEST),
            ),
            at_most(
                "the same to Envoy",
                0.25,
                self.ratio(Scenario::Kept, &[Peer::Envoy]),
            ),
            at_most(
                "the same to Caddy",
                0.15,
                self.ratio(Scenario::Kept, &[Peer::Caddy]),
            ),
            at_most(
                "p99 at 70 % of its own most, to the best peer",
                1.0,
                Self::slow_ratio(&self.at_own_rate, 99.0),
            ),
            at_most(
                "CPU a full TLS handshake (ECDSA P-256), to the best peer",
                1.0,
                self.ratio(Scenario::FullHandshake, others),
            ),
            at_most(
                "HTTP/2: CPU a request, to the best peer",
                1.0,
                self.ratio(Scenario::Http2, others),
            ),
            at_most(
                "1 MiB: CPU a byte, to the best peer",
                1.1,
                self.ratio(Scenario::KeptLarge, others),
            ),
            Bar::new(
                "one Ingress changed among 10,000 until served",
                Limit::AtMost(10.0),
                " ms",
                served,
            ),
            at_most("requests that fail meanwhile", 0.0, failed),
            // Seconds of a few thousand requests are not told apart more finely.
            at_most("others' p99 meanwhile, to before", 1.2, unmoved),
        ]
    }

    fn text(&self) -> String {
        let mut out = "The proxy has one core; the origin (nginx) and the load have the other, which bounds requests a second and \
             latencies of the fast ones. CPU is that of all of the proxy's threads. All keep connections to the origin and write an \
             access log to nowhere.\n\n"
            .to_owned();
        self.loads_table(&mut out);
        self.latency_table(&mut out);
        self.memory_table(&mut out);
        self.change_table(&mut out);
        self.failures(&mut out);
        out
    }

    fn loads_table(&self, out: &mut String) {
        out.push_str("| CPU |");
        // Writing to a String does not fail.
        for peer in Peer::ALL {
            let _ = write!(out, " {} |", peer.name());
        }
        out.push_str(" to the best of nginx and HAProxy | to the best peer |\n| --- |");
        out.push_str(&" ---: |".repeat(Peer::ALL.len() + 2));
        for scenario in Scenario::all() {
            let _ = write!(out, "\n| {} |", scenario.name());
            for peer in Peer::ALL {
                let cell = self
                    .median(scenario, peer)
                    .map(|it| format!("{} us, {:.0}/s", number(it.micros()), it.rate));
                let _ = write!(out, " {} |", or_dash(cell));
            }
            for to in [&BEST[..], &Peer::ALL[1..]] {
                let ratio = self.ratio(scenario, to).map(|it| it.to_string());
                let _ = write!(out, " {} |", or_dash(ratio));
            }
        }
    }

    fn latency_table(&self, out: &mut String) {
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "\n\nFrom a client that sends at a fixed rate whether or not it is answered: at 70 % of the most that each does, \
             where the other core is full, too; and at {:.0} requests a second for all, where it is not. HTTP/1.1, 64 B, in us.\n\n\
             | | requests a second | p50 | p99 | p99.9 | the same rate for all: p50 | p99 | p99.9 |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            self.common_rate
        );
        for (peer, rate) in &self.own_rates {
            let _ = write!(out, "\n| {} | {rate:.0} |", peer.name());
            for rounds in [&self.at_own_rate, &self.at_common_rate] {
                for percent in PERCENTS {
                    let found = rounds.get(peer).and_then(|rounds| spread(rounds, percent));
                    let _ = write!(out, " {} |", or_dash(found.map(|it| number(it.median))));
                }
            }
        }
        out.push_str(
            "\n\n| fairway, to the best peer | p50 | p99 | p99.9 |\n| --- | ---: | ---: | ---: |",
        );
        let rates = [
            ("at the own rate", &self.at_own_rate),
            ("at the same rate", &self.at_common_rate),
        ];
        for (name, rounds) in rates {
            let _ = write!(out, "\n| {name} |");
            for percent in PERCENTS {
                let ratio = Self::slow_ratio(rounds, percent).map(|it| it.to_string());
                let _ = write!(out, " {} |", or_dash(ratio));
            }
        }
    }

    fn memory_table(&self, out: &mut String) {
        out.push_str(
            "\n\n| memory | without connections | idle ones | in clear text | KiB each | with TLS | KiB each |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        );
        for (peer, memory) in &self.memory {
            // Writing to a String does not fail.
            let _ = write!(
                out,
                "\n| {} | {} | {} | {} | {:.1} | {} | {:.1} |",
                peer.name(),
                mib(memory.without),
                memory.connections,
                mib(memory.with_clear),
                memory.each(memory.with_clear),
                mib(memory.with_tls),
                memory.each(memory.with_tls),
            );
        }
    }

    fn change_table(&self, out: &mut String) {
        out.push_str(
            "\n\nOne of 10,000 hosts is led elsewhere while others ask 2,000 times a second; nginx and HAProxy reload, and until \
             served counts from the signal.\n\n\
             | one of 10,000 hosts changed | until served, ms | others' p99 before | and meanwhile | failed |\n\
             | --- | ---: | ---: | ---: | ---: |",
        );
        for (peer, change) in &self.changes {
            let served = change.until_served.iter().map(|it| it.as_secs_f64() * 1e3);
            let served = Spread::of(served).map(|it| it.to_string());
            // Writing to a String does not fail.
            let _ = write!(
                out,
                "\n| {} | {} | {:.0} us | {:.0} us | {} |",
                peer.name(),
                or_dash(served),
                micros(&change.calm, 99.0),
                micros(&change.meanwhile, 99.0),
                change.meanwhile.failed,
            );
        }
    }

    /// What makes figures worthless, if there is any.
    fn failures(&self, out: &mut String) {
        let loads = self.loads.iter().map(|((scenario, peer), rounds)| {
            let failed: u64 = rounds.iter().map(|measured| measured.failed).sum();
            (failed, peer, scenario.name())
        });
        let rates = [
            (&self.at_own_rate, "at 70 %"),
            (&self.at_common_rate, "at the same rate"),
        ];
        let latencies = rates.into_iter().flat_map(|(peers, name)| {
            peers.iter().map(move |(peer, rounds)| {
                let failed: u64 = rounds.iter().map(|found| found.failed).sum();
                (failed, peer, name)
            })
        });
        for (failed, peer, what) in loads.chain(latencies) {
            if failed > 0 {
                // Writing to a String does not fail.
                let _ = write!(out, "\n\n{failed} failed: {}, {what}", peer.name());
            }
        }
    }
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}
