//! `fairway run`: build, run, drain.

mod announcer;
mod certificate_metrics;
mod connections;
mod context;
mod ending;
mod flow_table;
mod flows;
mod handover;
mod host_ports;
mod ingress;
mod ingress_nginx;
mod instruments;
mod interfaces;
mod lock;
mod loopback;
mod missing;
mod node_events;
mod open_files;
mod pages;
mod pod_networks;
mod process;
mod questions;
mod reload;
mod retiring;
mod router_half;
mod running;
mod service_half;
mod service_health;
mod service_proxy;
mod signals;
mod speaker;
mod starting;
mod status;
mod tables;
mod traces;

use std::ops::ControlFlow;

use fairway_cluster::{Connection, EventRecorder};
use tokio::runtime::Builder;

use self::handover::Successor;
pub(crate) use self::lock::AgentLock;
use self::process::Process;
pub(crate) use self::questions::admin_address;
use self::running::Running;
use self::starting::Starting;
use crate::config::{Config, Loader, Source};

/// The target of what it says about its own life, in whichever of its files: scripts wait for "ready" of it.
const LOG: &str = "fairway::agent";

/// Runs the agent until it is told to stop. When the files of its configuration change, it starts
/// anew with them in the same process: the kernel's tables stay, and the router of before serves until
/// the next one does and finishes what it has begun.
pub(crate) fn run(config: Config, loader: Loader) -> anyhow::Result<()> {
    let mut process = Process::new(&config, loader)?;
    let mut config = config;
    loop {
        // Control work is small and in order: one thread, and no locks between its parts. Traffic
        // has threads of its own. The runtime takes along whatever a configuration had running.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(serve_config(&config, &mut process))? {
            Next::Config(changed) => config = *changed,
            Next::Successor(successor) => {
                // Closes our own servers, so that the successor can have their ports.
                drop(runtime);
                let runtime = Builder::new_current_thread().enable_all().build()?;
                if runtime.block_on(process.hand_over(successor, &config))? {
                    return Ok(());
                }
                config = process.in_force(&config);
            }
            Next::End => return Ok(()),
        }
    }
}

/// Why a configuration is no longer served.
enum Next {
    /// There is another one.
    Config(Box<Config>),
    /// Another agent wants to take over.
    Successor(Successor),
    /// Told to stop.
    End,
}

/// Runs the agent with one configuration, and returns what comes next.
async fn serve_config(config: &Config, process: &mut Process) -> anyhow::Result<Next> {
    match start(config, process).await {
        Ok(ControlFlow::Continue(running)) => running.until_next(process).await,
        Ok(ControlFlow::Break(next)) => Ok(next),
        Err(error) => process.go_back(config, error).await,
    }
}

/// Returns once it serves, or what comes instead.
async fn start<'a>(
    config: &'a Config,
    process: &mut Process,
) -> anyhow::Result<ControlFlow<Next, Running<'a>>> {
    let mut starting = Starting::begin(config, process).await?;
    Ok(match starting.first_state(process).await? {
        ControlFlow::Continue(first) => {
            ControlFlow::Continue(starting.serve(first, process).await?)
        }
        ControlFlow::Break(next) => ControlFlow::Break(next),
    })
}

/// Where objects come from, and where Events about them go.
pub(crate) async fn source(
    config: &Config,
) -> anyhow::Result<(fairway_cluster::Source, EventRecorder)> {
    let kubeconfig = match &config.source {
        Source::Manifests(directory) => {
            let source = fairway_cluster::Source::Manifests(directory.clone());
            return Ok((source, EventRecorder::log()));
        }
        Source::Kubeconfig(file) => Some(file.as_path()),
        Source::InCluster => None,
    };
    let client = fairway_cluster::client(kubeconfig).await?;
    let connection = Connection::from(client);
    let recorder = EventRecorder::api(&connection, &config.node_name);
    Ok((fairway_cluster::Source::Api(connection), recorder))
}

pub(crate) fn cluster_options(config: &Config) -> fairway_cluster::Options {
    fairway_cluster::Options {
        node_name: config.node_name.as_str().into(),
        ingress_class: config.router.ingress_class.clone(),
        controllers: config.router.controllers.clone(),
        watch_ingress_without_class: config.router.watch_ingress_without_class,
        default_backend: config.router.default_backend.clone(),
        default_certificate: config.router.default_certificate(),
        policies: config.policies.clone(),
        service_proxy: config.service_proxy,
        ingress: config.ingress,
    }
}

/// Waits for a future, for ever if there is none.
async fn optional<T>(future: Option<impl Future<Output = T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
