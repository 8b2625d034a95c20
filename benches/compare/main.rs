//! fairway's ingress router beside nginx, HAProxy, Envoy and Caddy, in one run on the same two cores: the
//! peer on one, the origin and the load on the other.
//!
//! `cargo bench --profile dist --bench compare [-- OPTIONS]`, as root. What is missing of the peers is
//! installed, from Debian and PyPI, and said.
//!
//! * `--quick`: two short rounds, some five minutes; five rounds otherwise
//! * `--smoke`: one moment of everything with fairway and the peers that are there, to see that it works
//! * `--only kept,http2`: some scenarios, by what their names begin with in the code
//! * `--out DIR`: where `compare.md`, `compare.csv` and `compare.svg` go; `target/compare` unless told
//!
//! CPU time is that of all threads of all of a peer's processes. Every peer serves in each round, so that
//! what else the machine does strikes all alike, and ratios are of one round. All write an access log, to
//! nowhere; fairway and Envoy count metrics, too.

mod chart;
mod install;
mod load;
mod peers;
mod process;
mod report;
mod route_change;
mod scenario;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use install::Programs;
use load::{idle, open_loop};
use peers::{Peer, Running};
use report::Figures;
use scenario::Scenario;
use stage::{LOAD_CORE, Stage};

const HOSTS: usize = 10;
/// Idle ones, at most.
const MOST_CLIENTS: usize = 10_000;
const MANY_HOSTS: usize = 10_000;

fn main() -> Result<()> {
    let mut plan = Plan::from_arguments();
    let programs = match plan.installs {
        true => Programs::installed()?,
        false => Programs::found(),
    };
    if let Err(error) = fairway_testkit::lab::enter() {
        anyhow::bail!("{error}");
    }
    keep_to_own_core()?;
    let clients = more_open_files()?;
    plan.idle = plan.idle.min(clients);
    let stage = Stage::new(clients)?;
    let mut figures = Figures::default();
    few_hosts(&plan, &stage, &programs, &mut figures)?;
    if plan.includes(Scenario::ManyHosts) {
        many_hosts(&plan, &stage, &programs, &mut figures)?;
    }
    let text = figures.markdown(&about(&programs));
    println!("{text}");
    fs::create_dir_all(&plan.out)?;
    let date = jiff::Timestamp::now().to_string();
    fs::write(plan.out.join("compare.md"), text)?;
    fs::write(plan.out.join("compare.csv"), figures.csv(&date))?;
    fs::write(plan.out.join("compare.svg"), chart::draw(&figures))?;
    eprintln!("written to {}", plan.out.display());
    Ok(())
}

/// What was asked for.
struct Plan {
    installs: bool,
    rounds: usize,
    seconds: f64,
    idle: usize,
    changes: usize,
    many_hosts: usize,
    only: Vec<String>,
    out: PathBuf,
}

impl Plan {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        let only = value("--only").unwrap_or_default().to_lowercase();
        let plan = Self {
            installs: !has("--smoke"),
            rounds: 5,
            seconds: 3.0,
            idle: 10_000,
            changes: 9,
            many_hosts: MANY_HOSTS,
            only: only
                .split(',')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
            out: value("--out").map_or_else(|| "target/compare".into(), PathBuf::from),
        };
        match (has("--smoke"), has("--quick")) {
            (true, _) => Self {
                rounds: 1,
                seconds: 0.2,
                idle: 100,
                changes: 1,
                // The one that is moved is among them.
                many_hosts: route_change::MOVED + 1,
                ..plan
            },
            (_, true) => Self {
                rounds: 2,
                seconds: 2.0,
                changes: 3,
                ..plan
            },
            _ => plan,
        }
    }

    fn includes(&self, scenario: Scenario) -> bool {
        let name = format!("{scenario:?}").to_lowercase();
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|wanted| name.starts_with(wanted.as_str()))
    }

    fn includes_rest(&self) -> bool {
        self.only.is_empty()
    }
}

fn few_hosts(plan: &Plan, stage: &Stage, programs: &Programs, figures: &mut Figures) -> Result<()> {
    let peers = Peer::found(programs).map(|peer| peer.start(stage, programs, HOSTS));
    let peers: Vec<_> = peers.collect::<Result<_>>()?;
    for scenario in Scenario::FEW_HOSTS {
        if plan.includes(scenario) {
            measure(plan, stage, &peers, scenario, figures)?;
        }
    }
    if !plan.includes_rest() {
        return Ok(());
    }
    for round in 0..plan.rounds {
        for running in in_turn(&peers, round) {
            let most = figures
                .median(Scenario::Kept, running.peer)
                .context("it was measured")?;
            let rate = most.rate * 0.7;
            eprintln!(
                "70 %, round {}: {} at {rate:.0}/s",
                round + 1,
                running.peer.name()
            );
            let duration = Duration::from_secs_f64(plan.seconds);
            let found = open_loop::run(stage, running, rate, duration)?;
            figures
                .latencies
                .entry(running.peer)
                .or_default()
                .push((rate, found));
        }
    }
    for running in &peers {
        let tree = running.tree();
        let without = tree.memory();
        let connections = idle::open(stage, running, plan.idle)?;
        let with = tree.memory();
        eprintln!(
            "{} idle connections: {}",
            connections.len(),
            running.peer.name()
        );
        figures
            .memory
            .insert(running.peer, (without, with, plan.idle));
    }
    Ok(())
}

fn many_hosts(
    plan: &Plan,
    stage: &Stage,
    programs: &Programs,
    figures: &mut Figures,
) -> Result<()> {
    let peers = Peer::found(programs).map(|peer| {
        eprintln!("starting {} with {} hosts", peer.name(), plan.many_hosts);
        peer.start(stage, programs, plan.many_hosts)
    });
    let peers: Vec<_> = peers.collect::<Result<_>>()?;
    measure(plan, stage, &peers, Scenario::ManyHosts, figures)?;
    if !plan.includes_rest() {
        return Ok(());
    }
    for running in &peers {
        if matches!(running.peer, Peer::Fairway | Peer::Nginx | Peer::Haproxy) {
            eprintln!("changing a host: {}", running.peer.name());
            let change = route_change::measure(stage, running, plan.changes)?;
            figures.changes.insert(running.peer, change);
        }
    }
    Ok(())
}

fn measure(
    plan: &Plan,
    stage: &Stage,
    peers: &[Running],
    scenario: Scenario,
    figures: &mut Figures,
) -> Result<()> {
    for round in 0..plan.rounds {
        for running in in_turn(peers, round) {
            let measured = scenario.measure(stage, running, plan.seconds);
            let name = running.peer.name();
            let measured = measured.with_context(|| format!("{}: {name}", scenario.name()))?;
            eprintln!(
                "{}, round {}: {name} {:.1} us, {:.0}/s, {} failed",
                scenario.name(),
                round + 1,
                measured.cpu.as_nanos() as f64 / 1e3,
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

/// When and where this was measured.
fn about(programs: &Programs) -> String {
    let today = jiff::Zoned::now().date();
    let kernel = rustix::system::uname();
    let kernel = kernel.release().to_string_lossy().into_owned();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let name = names.next().map_or("an unknown processor", |name| {
        name.trim_start_matches(['\t', ' ', ':'])
    });
    let versions =
        Peer::found(programs).map(|peer| format!("{} {}", peer.name(), peer.version(programs)));
    let versions: Vec<_> = versions.collect();
    format!(
        "Date: {today}. Kernel {kernel}, {name}, one core for the proxy. {}.",
        versions.join(", ")
    )
}
