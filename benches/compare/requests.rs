//! fairway's ingress router beside nginx, HAProxy, Envoy and Caddy, on the same two cores: the peer on one, the origin
//! and the load on the other.
//!
//! CPU time is that of all threads of all of a peer's processes. Every peer serves in each round. All write an access
//! log, to nowhere; fairway and Envoy count metrics, too.

mod install;
mod load;
mod peers;
mod process;
mod report;
mod route_change;
mod scenario;
mod stage;

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::plan::{Effort, Plan};
use crate::report::Section;
pub(crate) use install::Programs;
use load::{idle, open_loop};
pub(crate) use peers::version_of;
use peers::{Peer, Running};
use report::{Figures, Memory};
use scenario::Scenario;
use stage::{LOAD_CORE, Stage};

const HOSTS: usize = 10;
/// Idle ones, at most.
const MOST_CLIENTS: usize = 10_000;
const MANY_HOSTS: usize = 10_000;

/// How much of everything.
struct Amount {
    rounds: usize,
    seconds: f64,
    /// At fixed rates: many short ones, because a round's p99 is a whole number of the timer's ticks.
    latency_rounds: usize,
    latency_seconds: f64,
    idle: usize,
    changes: usize,
    many_hosts: usize,
}

impl Amount {
    fn of(effort: Effort) -> Self {
        match effort {
            Effort::Smoke => Self {
                rounds: 1,
                seconds: 0.2,
                latency_rounds: 1,
                latency_seconds: 0.2,
                idle: 100,
                changes: 1,
                // The one that is moved is among them.
                many_hosts: route_change::MOVED + 1,
            },
            Effort::Quick => Self {
                rounds: 3,
                seconds: 1.0,
                latency_rounds: 7,
                latency_seconds: 0.7,
                idle: MOST_CLIENTS,
                changes: 3,
                many_hosts: MANY_HOSTS,
            },
            Effort::Full => Self {
                rounds: 7,
                seconds: 3.0,
                latency_rounds: 15,
                latency_seconds: 2.0,
                idle: MOST_CLIENTS,
                changes: 9,
                many_hosts: MANY_HOSTS,
            },
        }
    }
}

pub(crate) fn measure(plan: &Plan, programs: &Programs) -> Result<Section> {
    let mut amount = Amount::of(plan.effort());
    keep_to_own_core()?;
    let clients = more_open_files()?;
    amount.idle = amount.idle.min(clients);
    let stage = Stage::new(clients)?;
    let bench = Bench {
        plan,
        programs,
        amount,
        stage,
    };
    let mut figures = Figures::default();
    bench.few_hosts(&mut figures)?;
    if bench.includes(Scenario::ManyHosts) {
        bench.many_hosts(&mut figures)?;
    }
    Ok(figures.section())
}

struct Bench<'a> {
    plan: &'a Plan,
    programs: &'a Programs,
    amount: Amount,
    stage: Stage,
}

impl Bench<'_> {
    fn includes(&self, scenario: Scenario) -> bool {
        let name = format!("{scenario:?}").to_lowercase();
        let mut wanted = self.plan.requests.iter();
        self.includes_rest() || wanted.any(|it| name.starts_with(&it.to_lowercase()))
    }

    fn includes_rest(&self) -> bool {
        self.plan.requests.is_empty()
    }

    fn start(&self, hosts: usize) -> Result<Vec<Running>> {
        let start = |peer: Peer| {
            eprintln!("starting {} with {hosts} hosts", peer.name());
            peer.start(&self.stage, self.programs, hosts)
        };
        Peer::found(self.programs).map(start).collect()
    }

    fn few_hosts(&self, figures: &mut Figures) -> Result<()> {
        let peers = self.start(HOSTS)?;
        for scenario in Scenario::FEW_HOSTS {
            if self.includes(scenario) {
                self.load(&peers, scenario, figures)?;
            }
        }
        if !self.includes_rest() {
            return Ok(());
        }
        let mut slowest = f64::INFINITY;
        for running in &peers {
            let most = figures.median(Scenario::Kept, running.peer);
            let most = most.context("it was measured")?.rate;
            slowest = slowest.min(most);
            figures.own_rates.insert(running.peer, most * OWN_SHARE);
        }
        // The same for all, with room for the slowest.
        figures.common_rate = slowest * OWN_SHARE;
        for round in 0..self.amount.latency_rounds {
            for running in in_turn(&peers, round) {
                let own = figures.own_rates.get(&running.peer).copied();
                let own = own.context("it was inserted")?;
                let latencies = self.open_loop(running, own)?;
                figures
                    .at_own_rate
                    .entry(running.peer)
                    .or_default()
                    .push(latencies);
                let latencies = self.open_loop(running, figures.common_rate)?;
                figures
                    .at_common_rate
                    .entry(running.peer)
                    .or_default()
                    .push(latencies);
            }
        }
        for running in &peers {
            figures.memory.insert(running.peer, self.memory(running)?);
        }
        Ok(())
    }

    fn open_loop(&self, running: &Running, rate: f64) -> Result<open_loop::Latencies> {
        eprintln!("open loop: {} at {rate:.0}/s", running.peer.name());
        let duration = Duration::from_secs_f64(self.amount.latency_seconds);
        open_loop::run(&self.stage, running, rate, duration)
    }

    /// With TLS last: what is left of the connections before is used again, and all is held against before.
    fn memory(&self, running: &Running) -> Result<Memory> {
        let connections = self.amount.idle;
        eprintln!("{connections} idle connections: {}", running.peer.name());
        let tree = running.tree();
        let without = tree.memory();
        let clear = idle::open(&self.stage, running, connections)?;
        let with_clear = tree.memory();
        drop(clear);
        let tls = idle::open_tls(&self.stage, running, connections)?;
        let with_tls = tree.memory();
        drop(tls);
        Ok(Memory {
            connections,
            without,
            with_clear,
            with_tls,
        })
    }

    fn many_hosts(&self, figures: &mut Figures) -> Result<()> {
        let peers = self.start(self.amount.many_hosts)?;
        self.load(&peers, Scenario::ManyHosts, figures)?;
        if !self.includes_rest() {
            return Ok(());
        }
        for running in &peers {
            if matches!(running.peer, Peer::Fairway | Peer::Nginx | Peer::Haproxy) {
                eprintln!("changing a host: {}", running.peer.name());
                let change = route_change::measure(&self.stage, running, self.amount.changes)?;
                figures.changes.insert(running.peer, change);
            }
        }
        Ok(())
    }

    fn load(&self, peers: &[Running], scenario: Scenario, figures: &mut Figures) -> Result<()> {
        let seconds = self.amount.seconds;
        for round in 0..self.amount.rounds {
            for running in in_turn(peers, round) {
                if round == 0 {
                    scenario.warm_up(&self.stage, running, seconds / 5.0)?;
                }
                let name = running.peer.name();
                let measured = scenario.measure(&self.stage, running, seconds);
                let measured = measured.with_context(|| format!("{}: {name}", scenario.name()))?;
                eprintln!(
                    "{}, round {}: {name} {:.1} us, {:.0}/s, {} failed",
                    scenario.name(),
                    round + 1,
                    measured.micros(),
                    measured.rate,
                    measured.failed
                );
                figures
                    .loads
                    .entry((scenario, running.peer))
                    .or_default()
                    .push(measured);
            }
        }
        Ok(())
    }
}

/// Of the most that a peer can do.
const OWN_SHARE: f64 = 0.7;

/// All of them, another one first in each round.
fn in_turn(peers: &[Running], round: usize) -> impl Iterator<Item = &Running> {
    let first = round % peers.len().max(1);
    peers[first..].iter().chain(&peers[..first])
}

/// The peers are started on the other one.
fn keep_to_own_core() -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE);
    sched_setaffinity(None, &cores).context("two cores are needed")
}

/// Enough for 10,000 clients and as many connections to the origin, or as many as may be had. Returns how many
/// clients that is enough for: HAProxy counts two files for each.
fn more_open_files() -> Result<usize> {
    let wanted = Some(1 << 17);
    let enough = Rlimit {
        current: wanted,
        maximum: wanted,
    };
    if setrlimit(Resource::Nofile, enough).is_ok() {
        return Ok(MOST_CLIENTS);
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let files = limit
        .maximum
        .map_or(MOST_CLIENTS, |files| files as usize / 2);
    setrlimit(Resource::Nofile, limit)?;
    Ok(files.saturating_sub(500).min(MOST_CLIENTS))
}
