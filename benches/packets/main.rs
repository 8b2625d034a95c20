//! What packets pay for Services: new TCP connections, UDP questions and answers, and TCP streams from pod to
//! pod, past all Services, through fairway's tables, and through tables laid out as kube-proxy lays out its own.
//!
//! `cargo bench --profile dist --bench packets [-- OPTIONS]`, as root, with Debian's nftables for the peer:
//!
//! * `--sizes 10,30000`: numbers of Services; those unless told. The peer's table takes minutes to load from
//!   20,000 on.
//! * `--csv FILE`: adds the figures to a file, with date, kernel and machine
//! * `--quick`: 10 and 1,000 Services and a few connections, to see that it works
//!
//! Prints Markdown. All ways take turns in each round, and ratios are of the same round, so that they hold when the
//! machine's speed drifts. Tables are written directly; no agent takes part.
//!
//! One thread on one core is client, wire, node and server: it owns the sockets of both pods, and a veth pair hands
//! packets on in the softirq of the core that sends. So a connection is made, a datagram answered, without anybody
//! being woken: in a virtual machine waking another core costs more than all the rest, and varies more. And the CPU
//! time of the thread is that of the whole connection, at both ends and at the node between, because Linux charges a
//! softirq to the thread that it interrupts. What else runs on the machine is not in it, as it would be in
//! `/proc/stat`. Kernels that account interrupts apart (`CONFIG_IRQ_TIME_ACCOUNTING`) are told by the CPU time being
//! far less than the time that passed; then the bench says so, and the rates are what counts.

mod kube_proxy;
mod measure;
mod nft;
mod population;
mod report;
mod site;
mod traffic;

use std::path::PathBuf;

use measure::{Effort, Figures};
use population::Population;
use site::{Site, Table};

fn main() {
    if let Err(error) = fairway_testkit::lab::enter() {
        eprintln!("{error}");
        std::process::exit(1);
    }
    let plan = Plan::from_arguments();
    let core = measure::pin();
    let bare = [Table::None, Table::Tracking].map(|table| Site::new(table, &Population::new(0)));
    let mut all = Vec::new();
    for services in &plan.sizes {
        let population = Population::new(*services);
        let ours = Site::new(Table::Fairway, &population);
        let peer = Site::new(Table::KubeProxy, &population);
        let sites = bare.iter().chain([&ours, &peer]).collect::<Vec<_>>();
        let figures = Figures::take(*services, &sites, plan.effort);
        println!("\n{}", report::markdown(&figures));
        all.push(figures);
    }
    if all.iter().any(|figures| !figures.cpu_is_whole()) {
        eprintln!(
            "this kernel accounts softirqs apart from threads, or the core had other work all the time: CPU times \
             are too small; go by the rates"
        );
    }
    if core.is_none() {
        eprintln!("the thread could not be pinned to one core: figures are of several");
    }
    if let Some(file) = &plan.csv {
        report::append_csv(file, &all)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }
    for figures in &all {
        println!("{}", report::verdict(figures));
    }
}

/// What was asked for.
struct Plan {
    effort: Effort,
    sizes: Vec<usize>,
    csv: Option<PathBuf>,
}

impl Plan {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let effort = match arguments.iter().any(|argument| argument == "--quick") {
            true => Effort::QUICK,
            false => Effort::FULL,
        };
        let sizes = match value("--sizes") {
            Some(sizes) => sizes
                .split(',')
                .map(|size| size.parse().expect("--sizes: numbers and commas"))
                .collect(),
            None if effort == Effort::QUICK => vec![10, 1_000],
            None => vec![10, 30_000],
        };
        Self {
            effort,
            sizes,
            csv: value("--csv").map(PathBuf::from),
        }
    }
}
