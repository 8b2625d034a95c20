//! Rounds in which all ways take turns.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::packets::site::{Site, Table, Way};
use crate::packets::traffic::{ask, connect, cost, flood, stream};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    /// After one that does not count.
    rounds: usize,
    connections: u32,
    questions: usize,
    bytes: usize,
    /// Sent one after the other, without an answer.
    datagrams: usize,
}

impl Amount {
    /// To see that it works.
    pub(crate) const SMOKE: Self = Self {
        rounds: 3,
        connections: 50,
        questions: 50,
        bytes: 1 << 20,
        datagrams: 64,
    };

    /// All in less than a minute for each number of Services.
    pub(crate) const QUICK: Self = Self {
        rounds: 21,
        ..Self::FULL
    };

    /// A turn takes some ten milliseconds of each kind: longer than the scheduler's slices, shorter than
    /// the machine's moods.
    pub(crate) const FULL: Self = Self {
        rounds: 41,
        connections: 400,
        questions: 2_000,
        bytes: 64 << 20,
        datagrams: 4_096,
    };
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    ConnectionCpu,
    Connections,
    AnswerMedian,
    Answer99,
    StreamCpu,
    Stream,
    DatagramCpu,
}

impl Figure {
    pub(crate) const ALL: [Self; 7] = [
        Self::ConnectionCpu,
        Self::Connections,
        Self::AnswerMedian,
        Self::Answer99,
        Self::StreamCpu,
        Self::Stream,
        Self::DatagramCpu,
    ];

    /// For people: what, and in which unit.
    pub(crate) fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnectionCpu => ("CPU of a new TCP connection", "us"),
            Self::Connections => ("new TCP connections", "1/s"),
            Self::AnswerMedian => ("UDP question and answer, median", "us"),
            Self::Answer99 => ("UDP question and answer, 99 %", "us"),
            Self::StreamCpu => ("CPU of a MiB over TCP", "us"),
            Self::Stream => ("TCP stream", "Gbit/s"),
            Self::DatagramCpu => ("CPU of a UDP datagram of 1,200 bytes", "us"),
        }
    }
}

/// One way through one table, in all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) table: Table,
    pub(crate) way: Way,
    /// In the order of [`Figure::ALL`].
    rounds: Vec<[f64; Figure::ALL.len()]>,
}

impl Series {
    /// The figure of each round.
    pub(crate) fn values(&self, figure: Figure) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(move |round| round[figure as usize])
    }
}

/// All ways with one number of Services.
pub(crate) struct Figures {
    pub(crate) services: usize,
    pub(crate) series: Vec<Series>,
}

impl Figures {
    pub(crate) fn take(services: usize, sites: &[&Site], amount: Amount) -> Self {
        let ways: Vec<_> = sites
            .iter()
            .flat_map(|site| site.ways().iter().map(move |way| (*site, *way)))
            .collect();
        let mut series: Vec<_> = ways
            .iter()
            .map(|(site, way)| Series {
                table: site.table,
                way: *way,
                rounds: Vec::new(),
            })
            .collect();
        for round in 0..=amount.rounds {
            for ((site, way), series) in ways.iter().zip(&mut series) {
                let figures = site.in_client(|| turn(site, *way, amount));
                if round > 0 {
                    series.rounds.push(figures);
                }
            }
        }
        Self { services, series }
    }

    /// Whether the thread's CPU time is all that the connections took: it never waits, so in the best round
    /// nearly all time is CPU time.
    pub(crate) fn cpu_is_whole(&self) -> bool {
        self.series.iter().all(|series| {
            let cpu = series.values(Figure::ConnectionCpu);
            let rates = series.values(Figure::Connections);
            cpu.zip(rates).any(|(cpu, rate)| cpu * rate > 0.8e6)
        })
    }

    /// One of them.
    pub(crate) fn of(&self, table: Table, way: Way) -> Option<&Series> {
        let mut series = self.series.iter();
        series.find(|series| series.table == table && series.way == way)
    }
}

/// The figures of one turn, in the order of [`Figure::ALL`].
fn turn(site: &Site, way: Way, amount: Amount) -> [f64; Figure::ALL.len()] {
    let target = site.destination(way);
    let connected = cost(|| connect(amount.connections, target, &site.listener));
    let mut times = Vec::with_capacity(amount.questions);
    ask(amount.questions, target, &site.answerers, &mut times);
    times.sort_unstable();
    let streamed = cost(|| stream(amount.bytes, target, &site.listener));

    let flooded = cost(|| flood(amount.datagrams, target, &site.answerers));

    let connections = f64::from(amount.connections);
    let bytes = amount.bytes as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    [
        micros(connected.cpu) / connections,
        connections / connected.wall.as_secs_f64(),
        micros(times[times.len() / 2]),
        micros(times[times.len() * 99 / 100]),
        micros(streamed.cpu) / (bytes / f64::from(1 << 20)),
        bytes * 8.0 / streamed.wall.as_secs_f64() / 1e9,
        micros(flooded.cpu) / amount.datagrams as f64,
    ]
}

/// Keeps this thread, and those that it starts, on one core: the last one, because interrupts of devices tend to
/// come to the first. None where that is not allowed.
pub(crate) fn pin() -> Option<usize> {
    let allowed = sched_getaffinity(None).ok()?;
    let core = (0..CpuSet::MAX_CPU)
        .rev()
        .find(|core| allowed.is_set(*core))?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).ok()?;
    Some(core)
}
