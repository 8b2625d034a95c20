//! The whole agent, from the API server to the kernel, in clusters of several sizes: what it takes in
//! memory, how long changes take and what they cost, and what the first packet of a connection pays.
//!
//! Each side has a network namespace of its own. Absolute times are those of the machine, which also runs the API
//! server; ratios hold when its speed drifts.

mod certificates;
mod changes;
mod first_packet;
mod population;
mod report;
mod site;

use fairway_testkit::usage::Memory;

use crate::plan::{Effort, Plan};
use crate::report::{Bar, Figure, Limit, Section};
use crate::spread::Spread;
use population::Population;
use report::Amount;
use site::{Feed, Site};

/// Ingresses beside the Services where memory is measured.
const INGRESSES: usize = 1_000;

/// Where the project's bar for memory stands.
const MEMORY_AT: usize = 10_000;

/// How long changes take, and what they cost.
pub(crate) fn changes(plan: &Plan) -> Section {
    let amount = Amount::of(plan.effort());
    let sizes = plan.sizes(&[100], &[1_000, 10_000], &[1_000, 10_000, 30_000, 100_000]);
    let mut populations: Vec<_> = sizes.iter().map(|size| Population::new(*size, 2)).collect();
    // Few endpoints are many of one Service.
    match plan.effort() {
        Effort::Smoke => populations.push(Population::new(1, 150)),
        Effort::Quick => {}
        Effort::Full => populations.push(Population::new(1, 1_000)),
    }
    if plan.effort() == Effort::Full && sizes.iter().any(|size| *size >= 30_000) {
        populations.push(Population::new(250, 1_000));
    }
    let measured = populations.into_iter().map(|population| {
        eprintln!("changes, {population}");
        changes::measure(population, amount, plan.peer)
    });
    report::changes(&measured.collect::<Vec<_>>(), amount)
}

/// The agent's memory.
pub(crate) fn memory(plan: &Plan) -> Section {
    let mut text = format!(
        "The whole agent, once everything is programmed and its memory has not changed for two seconds. The bar is for the API \
         server.\n\n{}\n",
        report::MEMORY_HEADER
    );
    let mut figures = Vec::new();
    let mut at_bar = None;
    let sizes = plan.sizes(&[100], &[10_000], &[10_000, 30_000]);
    for (size, ingresses) in sizes
        .iter()
        .flat_map(|size| [(*size, 0), (*size, INGRESSES)])
    {
        let population = Population {
            ingresses,
            ..Population::new(size, 2)
        };
        let objects = format!("{size} Services x 2, {ingresses} Ingresses");
        let feeds = [(Feed::Api, "API server"), (Feed::Manifests, "one manifest")];
        let feeds = feeds.into_iter();
        for (feed, name) in feeds.take(if plan.effort() == Effort::Quick { 1 } else { 2 }) {
            eprintln!("memory: {objects}, {name}");
            let site = Site::new(feed, population);
            let agent = site.start_agent();
            let memory = Memory::settled(agent.id());
            text.push_str(&report::memory(&objects, name, memory));
            text.push('\n');
            let in_use = Spread::of([memory.resident as f64 / 1024.0]);
            let what = format!("memory in use, {objects}, {name}");
            figures.extend(in_use.map(|it| Figure::of(&what, "MiB", "fairway", it)));
            if (feed, size, ingresses) == (Feed::Api, MEMORY_AT, INGRESSES) {
                at_bar = in_use;
            }
        }
    }
    Section {
        title: "Memory of the agent",
        text,
        bars: vec![Bar::new(
            "agent's memory, 10,000 Services x 2 and 1,000 Ingresses",
            Limit::AtMost(40.0),
            " MiB",
            at_bar,
        )],
        figures,
        charts: Vec::new(),
    }
}

/// Hosts with a certificate each.
pub(crate) fn certificates(plan: &Plan) -> Section {
    let counts: &[usize] = match plan.effort() {
        Effort::Smoke => &[20],
        Effort::Quick | Effort::Full => &[1_000, 10_000],
    };
    let lines = counts.iter().map(|count| {
        eprintln!("{count} hosts with a certificate each");
        certificates::measure(*count)
    });
    let lines: Vec<_> = lines.collect();
    plain(
        "Hosts with a certificate each",
        format!("{}\n{}", certificates::HEADER, lines.join("\n")),
    )
}

/// What the first packet of a connection pays.
pub(crate) fn first_packet(plan: &Plan) -> Section {
    let sizes = plan.sizes(&[10, 100], &[10, 1_000], &[10, 1_000, 30_000]);
    plain(
        "First packets, with the whole agent",
        first_packet::measure(&sizes, Amount::of(plan.effort())),
    )
}

fn plain(title: &'static str, text: String) -> Section {
    Section {
        title,
        text,
        bars: Vec::new(),
        figures: Vec::new(),
        charts: Vec::new(),
    }
}
