//! What is asked for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// fairway beside its peers: nftables as kube-proxy uses it, nginx, HAProxy, Envoy and Caddy.
#[derive(Parser)]
pub(crate) struct Plan {
    /// All of it in less than ten minutes: fewer rounds, and the peers' tables with 10,000 Services at most
    #[arg(long)]
    quick: bool,
    /// One moment of everything with the peers that are there, to see that it works; installs nothing
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Some parts; all unless told, but `first-packet` and `certificates` with --quick
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Numbers of Services, for all parts that have several
    #[arg(long, value_delimiter = ',')]
    pub(crate) services: Vec<usize>,
    /// Most Services that `nft -f -` has to program; from 30,000 on it takes minutes
    #[arg(long, default_value_t = 10_000)]
    pub(crate) peer: usize,
    /// Some kinds of requests, by what their names begin with in the code, such as `kept,http2`
    #[arg(long, value_delimiter = ',')]
    pub(crate) requests: Vec<String>,
    /// Where `compare.md`, the CSV and the charts go
    #[arg(long, default_value = "target/compare")]
    pub(crate) out: PathBuf,
    /// Puts them into docs/performance.md, docs/images and benches/results as well: this run is to be committed
    #[arg(long)]
    pub(crate) record: bool,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Planner and netlink beside `nft -f -`
    Programming,
    /// The whole agent, from the API server to the kernel
    Changes,
    /// The agent's memory
    Memory,
    /// What the first packet of a connection pays, with the whole agent
    FirstPacket,
    /// Hosts with a certificate each
    Certificates,
    /// What packets pay
    Packets,
    /// What requests cost
    Requests,
}

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Once, to see that it works.
    Smoke,
    /// All of it in less than ten minutes.
    Quick,
    Full,
}

impl Plan {
    pub(crate) fn effort(&self) -> Effort {
        match (self.smoke, self.quick) {
            (true, _) => Effort::Smoke,
            (_, true) => Effort::Quick,
            _ => Effort::Full,
        }
    }

    pub(crate) fn includes(&self, part: Part) -> bool {
        let slow = matches!(part, Part::FirstPacket | Part::Certificates);
        match self.only.is_empty() {
            true => !(slow && self.quick),
            false => self.only.contains(&part),
        }
    }

    /// The numbers of Services that were asked for, or those of the effort.
    pub(crate) fn sizes(&self, smoke: &[usize], quick: &[usize], full: &[usize]) -> Vec<usize> {
        match self.effort() {
            _ if !self.services.is_empty() => self.services.clone(),
            Effort::Smoke => smoke.to_vec(),
            Effort::Quick => quick.to_vec(),
            Effort::Full => full.to_vec(),
        }
    }
}
