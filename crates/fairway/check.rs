//! `fairway check`: what of the cluster's Services and Ingresses is not served as it is asked for, and why.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

use fairway_cluster::Reason;
use fairway_explain::Notice;
use fairway_model::{Changes, Snapshot};
use fairway_plan::{Observed, Planner};
use fairway_router::Builder;

use crate::config::{Check, Config, Output};
use crate::explain::{Objects, notice, with_objects};
use crate::output;

/// What is right as it is written, and may change by itself.
const PASSING: [Reason; 2] = [Reason::NoEndpoints, Reason::CertificateExpiring];

/// Prints every problem; one is a failure. What passes by itself is none.
pub(crate) fn run(command: &Check) -> anyhow::Result<ExitCode> {
    let config = &command.config;
    let problems = with_objects(config, |objects| problems(config, objects))?;
    output::print(&match command.output {
        Output::Text => text(&problems),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&problems)?),
    })?;
    Ok(match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn problems(config: &Config, objects: &dyn Objects) -> Vec<Notice> {
    let snapshot = objects.snapshot();
    let lasting = objects.problems().into_iter();
    let lasting = lasting.filter(|problem| !PASSING.contains(&problem.reason));
    let mut problems: Vec<_> = lasting.map(|problem| notice(&problem)).collect();
    problems.extend(of_routes(snapshot));
    if config.service_proxy {
        problems.extend(of_addresses(config, snapshot));
    }
    problems.sort_by(|a, b| (&a.object, &a.field).cmp(&(&b.object, &b.field)));
    problems
}

/// Rules that can match nothing as they are written.
fn of_routes(snapshot: &Arc<Snapshot>) -> Vec<Notice> {
    let mut builder = Builder::new();
    builder.apply(snapshot, &Changes::everything(snapshot));
    let problems = builder.problems();
    problems
        .map(|problem| Notice {
            object: problem.rule.object.to_string(),
            field: problem.rule.field.to_string(),
            reason: Reason::Invalid.as_str().to_owned(),
            message: problem.error.to_string(),
        })
        .collect()
}

/// Addresses and node ports that several Services ask for.
fn of_addresses(config: &Config, snapshot: &Snapshot) -> Vec<Notice> {
    let nothing = Observed::default();
    let options = config.rules.plan_options();
    let (planner, _) = Planner::start(options, snapshot, [&nothing, &nothing]);
    let conflicts = planner.conflicts().into_iter();
    conflicts
        .map(|conflict| Notice {
            object: format!("Service {}", conflict.loser),
            field: conflict.field.to_owned(),
            reason: Reason::AddressConflict.as_str().to_owned(),
            message: conflict.message(),
        })
        .collect()
}

fn text(problems: &[Notice]) -> String {
    let mut text = String::new();
    for Notice {
        object,
        field,
        reason,
        message,
    } in problems
    {
        let field = match field.is_empty() {
            true => String::new(),
            false => format!(" {field}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{object}{field}: {message} ({reason})");
    }
    let _ = match problems.len() {
        0 => writeln!(text, "everything is served as it is asked for"),
        1 => writeln!(text, "\n1 problem"),
        count => writeln!(text, "\n{count} problems"),
    };
    text
}
