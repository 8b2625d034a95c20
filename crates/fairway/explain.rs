//! `fairway explain`: why a request or a packet goes where it goes, or nowhere.

mod agent;
mod gather;
mod kernel;

use anyhow::Context;
use fairway_cluster::{Cluster, ProblemMetrics, Still};
use fairway_explain::{Explanation, Question, explain, render};
use fairway_model::Changes;
use fairway_router::Builder;
use tokio::time::{Duration, timeout};

pub(crate) use self::gather::{Now, Objects, gather, notice};
pub(crate) use self::kernel::look;
use crate::agent::{cluster_options, source};
use crate::config::{Config, Explain, Output, Source};
use crate::output;

/// How long an API server may take for the first complete state.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers on stdout.
pub(crate) fn run(command: &Explain) -> anyhow::Result<()> {
    let question = &command.question;
    let explanation = match &command.config {
        None => agent::ask(question)?,
        Some(config) => answer(config, question)?,
    };
    output::print(&match command.output {
        Output::Text => render(&explanation),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&explanation)?),
    })
}

/// The answer from objects, without an agent.
fn answer(config: &Config, question: &Question) -> anyhow::Result<Explanation> {
    let mut world = with_objects(config, |objects| {
        let snapshot = objects.snapshot();
        let changes = Changes::everything(snapshot);
        let index = Builder::new().apply(snapshot, &changes);
        gather(config, question, objects, Some(index))
    })?;
    look(&mut world, question);
    Ok(explain(&world, question))
}

/// Reads all objects once, from wherever they are.
pub(crate) fn with_objects<T>(
    config: &Config,
    work: impl FnOnce(&dyn Objects) -> T,
) -> anyhow::Result<T> {
    let options = cluster_options(config);
    if let Source::Manifests(directory) = &config.source {
        return Ok(work(&Still::read(directory, &options)?));
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    runtime.block_on(Box::pin(async {
        let (source, _) = source(config).await?;
        let cluster = Cluster::start(source, options, ProblemMetrics::default());
        let mut cluster = Box::pin(cluster).await?;
        let first = timeout(PATIENCE, cluster.next()).await;
        let first =
            first.context("the API server does not tell all that there is; -v 2 says why")?;
        Ok(work(&Now {
            snapshot: first.snapshot,
            cluster: &cluster,
        }))
    }))
}
