//! fairway beside its peers, all of it: programming the kernel, what packets pay, and what requests cost.
//!
//! `cargo bench --profile dist --bench compare -- --quick`, as root; `-- --help` says what else. What is missing of
//! the peers is installed, from Debian and PyPI, and said. Prints Markdown, whose head is the table of what is aimed
//! at, and writes it with a CSV and charts.
//!
//! A peer runs in the same run, on the same cores, in network namespaces of its own, in turn with fairway, so that
//! what else the machine does strikes all alike.

mod chain_per_service;
mod chart;
mod nft;
mod packets;
mod plan;
mod program;
mod programming;
mod record;
mod report;
mod requests;
mod scale;
mod spread;

use std::fs;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use plan::{Effort, Part, Plan};
use report::{About, Section};
use requests::Programs;

fn main() -> Result<()> {
    let plan = Plan::parse();
    let programs = match (plan.includes(Part::Requests), plan.effort()) {
        (true, Effort::Quick | Effort::Full) => Programs::installed()?,
        _ => Programs::found(),
    };
    if let Err(error) = fairway_testkit::lab::enter() {
        anyhow::bail!("{error}");
    }
    let mut sections = Vec::new();
    let mut run = |part: Part, measure: &(dyn Fn() -> Result<Section> + Sync)| -> Result<()> {
        if plan.includes(part) {
            let started = Instant::now();
            // On a thread of its own, because some keep to one core.
            let section = std::thread::scope(|scope| scope.spawn(measure).join());
            let section = section.map_err(|_| anyhow::anyhow!("{part:?} panicked"))??;
            println!("\n## {}\n\n{}", section.title, section.text);
            eprintln!("{part:?} took {:.0} s", started.elapsed().as_secs_f64());
            sections.push(section);
        }
        Ok(())
    };
    run(Part::Programming, &|| Ok(programming::measure(&plan)))?;
    run(Part::Changes, &|| Ok(scale::changes(&plan)))?;
    run(Part::Memory, &|| Ok(scale::memory(&plan)))?;
    run(Part::FirstPacket, &|| Ok(scale::first_packet(&plan)))?;
    run(Part::Certificates, &|| Ok(scale::certificates(&plan)))?;
    run(Part::Packets, &|| Ok(packets::measure(&plan)))?;
    run(Part::Requests, &|| requests::measure(&plan, &programs))?;
    record::write(&plan, &sections, &about(&plan, &programs))
}

fn about(plan: &Plan, programs: &Programs) -> About {
    let system = rustix::system::uname();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let name = names.next().map_or("an unknown processor", |name| {
        name.trim_start_matches(['\t', ' ', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    arguments.retain(|it| it != "--bench");
    // Where the report goes is nobody else's matter.
    if let Some(at) = arguments.iter().position(|it| it == "--out") {
        arguments.drain(at..arguments.len().min(at + 2));
    }
    let arguments = arguments.join(" ");
    let program = std::env::current_exe().unwrap_or_default();
    let mut folders = program.ancestors().skip(2);
    let profile = folders.next().and_then(|folder| folder.file_name());
    let profile = profile.map(|name| name.to_string_lossy().into_owned());
    let profile = profile.unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("?");
    let mut versions = match plan.includes(Part::Requests) {
        true => programs.versions(),
        false => Vec::new(),
    };
    versions.push(
        requests::version_of("nft", "--version")
            .map_or_else(|| "no nft".to_owned(), |version| format!("nft {version}")),
    );
    About {
        date: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        kernel: system.release().to_string_lossy().into_owned(),
        machine: format!("{name}, {cores} cores"),
        note: format!(
            "{}. {}Built as `{profile}`; options: `{arguments}`; load of the machine in the last 15 minutes: {load}.",
            versions.join(", "),
            program::described().unwrap_or_default(),
        ),
    }
}
