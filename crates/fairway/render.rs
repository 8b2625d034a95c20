//! `fairway render`: the ruleset of a directory of manifests, as nft text.

use std::io::{ErrorKind, Write};

use fairway_nft::{FlowTable, text};
use fairway_plan::{Family, Observed, Planner};

use crate::config::Render;

/// Prints the tables of both families to stdout; what is wrong with objects goes to the log.
pub(crate) fn render(render: &Render) -> anyhow::Result<()> {
    let options = fairway_cluster::Options {
        node_name: render.node_name.as_str().into(),
        ..fairway_cluster::Options::default()
    };
    // What is wrong has been logged while it was found.
    let (snapshot, _) = fairway_cluster::load(&render.manifests, &options)?;
    let options = render.rules.plan_options();
    let nothing = Observed::default();
    let (planner, _) = Planner::start(options, &snapshot, [&nothing, &nothing]);
    let mut stdout = std::io::stdout().lock();
    for family in Family::ALL {
        let text = text::render(&planner.ruleset(family));
        match stdout.write_all(text.as_bytes()) {
            // `render | head` has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    let flows = FlowTable::text(&render.rules.flow_table_interfaces);
    match stdout.write_all(flows.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
