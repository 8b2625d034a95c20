//! The whole agent, from the API server to the kernel, in clusters of several sizes: what it takes in
//! memory, how long changes take and what they cost, and what the first packet of a connection pays.
//!
//! `cargo bench --bench scale [-- OPTIONS]`, as root, with Debian's nftables for the peer:
//!
//! * `--sizes 1000,10000`: numbers of Services, each with 2 endpoints; 1,000 to 100,000 unless told
//! * `--only memory|changes|first-packet|certificates`
//! * `--certificates 1000,10000`: numbers of hosts with a Secret each
//! * `--peer 30000`: most Services that the peer has to program; 10,000 unless told, more take minutes
//! * `--quick`: 100 Services and one of everything, to see in seconds that it works
//!
//! Prints Markdown. Each side has a network namespace of its own. Absolute times are those of the
//! machine, which also runs the API server; ratios hold when its speed drifts.

mod certificates;
#[path = "../chain_per_service.rs"]
mod chain_per_service;
mod changes;
mod first_packet;
mod population;
mod process;
mod report;
mod site;

use population::Population;
use process::Memory;
use report::Effort;
use site::{Feed, Site};

/// Ingresses beside the Services where memory is measured.
const INGRESSES: usize = 1_000;

fn main() {
    if let Err(error) = fairway_testkit::lab::enter() {
        eprintln!("{error}");
        std::process::exit(1);
    }
    let plan = Plan::from_arguments();
    if plan.includes("memory") {
        memory(&plan);
    }
    if plan.includes("changes") {
        changes(&plan);
    }
    if plan.includes("certificates") {
        println!("\n{}", certificates::HEADER);
        for count in &plan.certificates {
            println!("{}", certificates::measure(*count));
        }
    }
    if plan.includes("first-packet") {
        first_packet::measure(&plan.first_packet_sizes(), plan.effort);
    }
}

/// What was asked for.
struct Plan {
    effort: Effort,
    sizes: Vec<usize>,
    only: Option<String>,
    /// Most Services for the peer.
    peer: usize,
    /// Hosts with a Secret each.
    certificates: Vec<usize>,
}

impl Plan {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let effort = match arguments.iter().any(|argument| argument == "--quick") {
            true => Effort::Quick,
            false => Effort::Full,
        };
        let numbers = |name: &str| -> Option<Vec<usize>> {
            let numbers = value(name)?;
            let numbers = numbers.split(',').map(str::parse::<usize>);
            Some(numbers.map(|it| it.expect("numbers and commas")).collect())
        };
        let or = |numbers: Option<Vec<usize>>, quick: &[usize], full: &[usize]| {
            numbers.unwrap_or_else(|| match effort {
                Effort::Quick => quick.to_vec(),
                Effort::Full => full.to_vec(),
            })
        };
        let sizes = or(
            numbers("--sizes"),
            &[100],
            &[1_000, 10_000, 30_000, 100_000],
        );
        let certificates = or(numbers("--certificates"), &[20], &[1_000, 10_000]);
        Self {
            effort,
            sizes,
            certificates,
            only: value("--only"),
            peer: value("--peer").map_or(changes::PEER_SERVICES, |most| {
                most.parse().expect("--peer: a number")
            }),
        }
    }

    fn includes(&self, section: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == section)
    }

    /// The sizes, and few endpoints that are many of one Service.
    fn populations(&self) -> Vec<Population> {
        let sizes = self.sizes.iter();
        let mut populations: Vec<_> = sizes.map(|size| Population::new(*size, 2)).collect();
        populations.push(match self.effort {
            Effort::Quick => Population::new(1, 150),
            Effort::Full => Population::new(1, 1_000),
        });
        if self.effort == Effort::Full && self.sizes.iter().any(|size| *size >= 30_000) {
            populations.push(Population::new(250, 1_000));
        }
        populations
    }

    fn first_packet_sizes(&self) -> Vec<usize> {
        match self.effort {
            Effort::Quick => vec![10, 100],
            Effort::Full => vec![10, 1_000, 30_000],
        }
    }
}

fn memory(plan: &Plan) {
    println!("\n{}", report::MEMORY_HEADER);
    let mut sizes = plan.sizes.clone();
    sizes.insert(0, 0);
    for size in sizes {
        for ingresses in [0, INGRESSES] {
            let population = Population {
                ingresses,
                ..Population::new(size, 2)
            };
            if size == 0 && ingresses > 0 {
                continue;
            }
            let objects = format!("{size} Services x 2, {ingresses} Ingresses");
            for (feed, name) in [(Feed::Api, "API server"), (Feed::Manifests, "one manifest")] {
                let site = Site::new(feed, population);
                let agent = site.start_agent();
                let memory = Memory::settled(agent.id());
                println!("{}", report::memory(&objects, name, memory));
            }
        }
    }
}

fn changes(plan: &Plan) {
    let populations = plan.populations().into_iter();
    println!("\n{}", report::CHANGES_HEADER);
    let measured: Vec<_> = populations
        .map(|population| {
            let changes = changes::measure(population, plan.effort, plan.peer);
            println!("{}", changes.single());
            changes
        })
        .collect();
    println!("\n{}", report::BURST_HEADER);
    for changes in &measured {
        println!("{}", changes.burst());
    }
}
