//! `fairway explain`: why a request or a packet goes where it goes, or nowhere.

mod agent;
mod gather;
mod kernel;

use std::path::Path;

use anyhow::Context;
use fairway_cluster::{Cluster, ProblemMetrics, Still};
use fairway_explain::{Explanation, Question, World, explain, render};
use fairway_router::Builder;
use tokio::time::{Duration, timeout};

pub(crate) use self::gather::{Now, Objects, gather};
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
    let mut world = match &config.source {
        Source::Manifests(directory) => from_manifests(config, directory, question)?,
        Source::Kubeconfig(_) | Source::InCluster => {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            runtime.block_on(Box::pin(from_api(config, question)))?
        }
    };
    look(&mut world, question);
    Ok(explain(&world, question))
}

fn from_manifests(config: &Config, directory: &Path, question: &Question) -> anyhow::Result<World> {
    let still = Still::read(directory, &cluster_options(config))?;
    Ok(of_objects(config, question, &still))
}

async fn from_api(config: &Config, question: &Question) -> anyhow::Result<World> {
    let (source, _) = source(config).await?;
    let options = cluster_options(config);
    let mut cluster = Box::pin(Cluster::start(source, options, ProblemMetrics::default())).await?;
    let first = timeout(PATIENCE, cluster.next()).await;
    let first =
        first.context("the API server does not tell all that there is; the log says why")?;
    let objects = Now {
        snapshot: first.snapshot,
        cluster: &cluster,
    };
    Ok(of_objects(config, question, &objects))
}

/// The world with routes compiled for the occasion.
fn of_objects(config: &Config, question: &Question, objects: &impl Objects) -> World {
    let snapshot = objects.snapshot();
    let changes = fairway_model::Changes::everything(snapshot);
    let index = Builder::new().apply(snapshot, &changes);
    gather(config, question, objects, Some(index))
}
