//! `fairway run`: build, run, drain.

mod announcer;
mod certificate_metrics;
mod connections;
mod ending;
mod flow_table;
mod flows;
mod handover;
mod host_ports;
mod ingress;
mod ingress_nginx;
mod interfaces;
mod lock;
mod loopback;
mod missing;
mod node_events;
mod open_files;
mod pod_networks;
mod process;
mod questions;
mod reload;
mod retiring;
mod service_health;
mod service_proxy;
mod signals;
mod speaker;
mod status;
mod tables;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fairway_admin::{
    Health, HealthSite, Listener, MetricsSite, NodeState, ProcessMetrics, Purpose,
    ServiceProxyMetrics, StatusFeed, register_build_info, serve,
};
use fairway_cluster::{Cluster, Connection, EventRecorder, ProblemMetrics};
use fairway_model::{Changes, Snapshot, Update};
use fairway_proxy::BindError;
use prometheus_client::registry::Registry;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use self::certificate_metrics::CertificateMetrics;
use self::connections::ConnectionCounters;
use self::ending::Ending;
use self::handover::Successor;
use self::host_ports::HostPorts;
use self::ingress::Ingress;
use self::ingress_nginx::IngressNginxMetrics;
pub(crate) use self::lock::AgentLock;
use self::loopback::Loopback;
use self::missing::Missing;
use self::pod_networks::PodNetworks;
use self::process::Process;
pub(crate) use self::questions::admin_address;
use self::service_health::ServiceHealth;
use self::speaker::Speaker;
use self::tables::Tables;
use crate::config::{Config, Loader, Source};
use crate::explain::Now;
use crate::kernel::Kernel;
use crate::memory;

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
    let as_configured = serde_json::to_value(config)?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %as_configured, "fairway starts");
    for warning in &config.warnings {
        warn!("{warning}");
    }
    Kernel::default().prepare(config);
    // Who was healthy need not prove it again: the tables are in force and the router serves.
    let anew = process.former.is_some();
    let takes_over = process.lock.is_none();

    let (source, recorder) = Box::pin(source(config)).await?;
    let health = Health::new(config.sync_period * 2);
    let mut registry = Registry::default();
    register_build_info(&mut registry, env!("CARGO_PKG_VERSION"));
    ProcessMetrics::register(&mut registry);
    let service_proxy_metrics = ServiceProxyMetrics::new();
    service_proxy_metrics.register(&mut registry);
    let problem_metrics = ProblemMetrics::default();
    problem_metrics.register(&mut registry);
    let counting = config.rules.count_connections;
    let counting = counting.then(|| ConnectionCounters::register(&mut registry));
    let (connections, refresh) = counting.unzip();
    let proxy_metrics =
        fairway_proxy::Metrics::register(&mut registry, &config.observation.metrics());
    let proxy_traffic = config.ingress.then(|| proxy_metrics.clone());
    let certificate_metrics = CertificateMetrics::register(&mut registry);
    let ingress_nginx = IngressNginxMetrics::register(config, &certificate_metrics, &mut registry);
    let tracing = traces::tracing(config, &mut registry);
    let registry = Arc::new(registry);

    let configz = watch::Sender::new(config.configz());
    let (status_feed, mut status_requests) = StatusFeed::new();
    let servers = async || {
        let healthz = config.admin.healthz_bind_address;
        let site = HealthSite {
            health: health.clone(),
            probes: service_proxy_metrics.probes(),
            forbidden: Arc::new({
                let source = source.clone();
                move || source.forbidden()
            }),
        };
        start_server(config, &recorder, Purpose::Health, healthz, site).await?;
        let metrics = config.admin.metrics_bind_address;
        let site =
            MetricsSite::new(registry.clone(), configz.subscribe()).refreshing(refresh.clone());
        let site = site.telling(status_feed.clone(), health.clone());
        start_server(config, &recorder, Purpose::Metrics, metrics, site).await
    };
    // Until then the agent before answers.
    if !takes_over {
        servers().await?;
    }

    if !anew && !matches!(config.source, Source::Manifests(_)) {
        health.set_node(NodeState::Unknown);
    }
    if !anew && config.ingress {
        health.set_router_serving(false);
    }
    // Nothing is programmed or served before the first complete state: rules and routes that a
    // former run left behind are better than half of the new ones.
    let options = cluster_options(config);
    let problems = problem_metrics.clone();
    let mut cluster = Box::pin(Cluster::start(source.clone(), options.clone(), problems)).await?;
    let mut early = status::Teller::new(None, certificate_metrics.clone());
    let nothing = Arc::new(Snapshot::default());
    let first = loop {
        let first = tokio::select! {
            first = cluster.next() => first,
            request = status_requests.next() => {
                let here = status::of_source(source.troubles());
                request.answer(early.tell(&nothing, cluster.problems(), here));
                continue;
            }
            changed = process.reload.next() => return Ok(Next::Config(Box::new(changed))),
            _ = process.signals.stop() => {
                process.drain(config.drain).await;
                return Ok(Next::End);
            }
        };
        // A router that has routes is not replaced by one that may not know any.
        let router_serves = anew || (takes_over && AgentLock::try_take()?.is_none());
        if !(config.ingress && cluster.withholds_routes() && router_serves) {
            break first;
        }
    };
    let routes = config.ingress && !cluster.withholds_routes();
    if config.ingress && !routes {
        warn!(
            "the router waits for the permission to list Ingresses and their classes; Services work"
        );
    }
    process.take_over().await?;
    if takes_over {
        servers().await?;
    }
    tell_node(&health, config, &first.snapshot);

    let mut missing = Missing::nothing(&config.node_name, &health);
    let start_tables = |snapshot: &Arc<Snapshot>, missing: &mut Missing| {
        let tables = Tables::start(
            config,
            snapshot,
            &health,
            &service_proxy_metrics,
            &problem_metrics,
            connections.as_ref(),
        );
        match tables {
            Ok(tables) => Ok(Some(tables)),
            // The router can do without.
            Err(error) if routes => {
                missing.lose_service_proxy(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    };
    let mut service_proxy = None;
    let mut awaited = PodNetworks::awaited(config, &first.snapshot);
    if config.service_proxy && awaited.is_none() {
        service_proxy = start_tables(&first.snapshot, &mut missing)?;
    }
    let programs = config.service_proxy && missing.has_service_proxy();
    let mut service_health = programs.then(|| {
        let addresses = config.rules.plan_options().node_port_addresses;
        ServiceHealth::new(
            health.clone(),
            recorder.clone(),
            addresses,
            interfaces::follow(),
        )
    });
    if let Some(service_health) = &mut service_health {
        service_health.apply(&first).await;
    }
    let mut host_ports =
        programs.then(|| HostPorts::watch(config, recorder.clone(), problem_metrics.clone()));
    if let Some(host_ports) = &mut host_ports {
        host_ports.apply(&first);
    }
    let mut loopback = match programs && config.loopback_node_ports {
        true => Some(Loopback::start().context("cannot serve node ports on loopback")?),
        false => None,
    };
    if let Some(loopback) = &mut loopback {
        loopback.apply(&first);
    }
    let former = process.former.as_ref();
    let mut shared = match process.predecessor {
        Some(_) => config.router.addresses().collect(),
        None => former.map_or_else(Vec::new, Ingress::addresses),
    };
    let mut start_router = |update: &Update, cluster: &Cluster, missing: &mut Missing| {
        // Those of before are open only now.
        let shared = std::mem::take(&mut shared);
        let (metrics, tracing) = (proxy_metrics.clone(), tracing.clone());
        let certificates = cluster.certificates();
        match Ingress::start(config, update, certificates, metrics, tracing, shared) {
            Ok(ingress) => {
                missing.regain_ingress();
                health.set_router_serving(true);
                Ok(Some(ingress))
            }
            Err(error) => match error.downcast_ref::<BindError>() {
                // Services can do without.
                Some(cause) if config.service_proxy && missing.has_service_proxy() => {
                    missing.lose_ingress(cause);
                    health.set_router_serving(false);
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    };
    let mut ingress = match routes {
        true => start_router(&first, &cluster, &mut missing)?,
        false => None,
    };
    certificate_metrics.apply(&first, cluster.certificates());
    if let Some(metrics) = &ingress_nginx {
        metrics.applied(&first, cluster.problems());
    }
    process.serving(config).await;
    let mut successors = process.successors()?;
    recorder.record(node_events::starting(&config.node_name));
    let start_speaker = |cluster: &mut Cluster| {
        let recorder = recorder.clone();
        Speaker::start(&source, &options, &config.router, cluster, recorder)
    };
    let mut speaker = match ingress.is_some() {
        true => Some(start_speaker(&mut cluster)?),
        false => None,
    };
    let mut questions = questions::listen()?;
    let mut teller = status::Teller::new(proxy_traffic, certificate_metrics.clone());
    info!("ready");

    let mut snapshot = first.snapshot.clone();
    memory::updated(first);
    let mut reopens = process.signals.reopens();
    let mut ending: Option<Ending> = None;
    let mut farewell = None;
    let draining = |ending: &Option<Ending>| ending.as_ref().is_some_and(Ending::is_draining);
    loop {
        tokio::select! {
            stop = process.signals.stop() => match &mut ending {
                None => {
                    health.set_draining();
                    if let Some(speaker) = speaker.take() {
                        farewell = Some(tokio::spawn(speaker.stop()));
                    }
                    let begun = Ending::begin(config, stop);
                    process.retiring.end_by(begun.cut_at());
                    ending = Some(begun);
                }
                Some(ending) if ending.is_draining() => {
                    warn!("told to stop again: open requests are cut off");
                    return Ok(Next::End);
                }
                Some(ending) => ending.hurry(),
            },
            () = optional(ending.as_ref().map(Ending::noticed)), if !draining(&ending) => {
                if let Some(ending) = &mut ending {
                    ending.drain();
                    process.former = ingress.take();
                    process.retire_former(config.drain);
                }
            }
            // The kernel's tables stay: they go on working until the next start.
            () = process.retiring.all(), if draining(&ending) => {
                if let Some(farewell) = farewell {
                    // It is bounded, and has nothing to say.
                    let _: Result<(), _> = farewell.await;
                }
                return Ok(Next::End);
            }
            () = reopens.next() => {
                if let Some(ingress) = &ingress {
                    ingress.reopen_access_log();
                }
            }
            changed = process.reload.next(), if ending.is_none() => {
                if config.differs_in_policies_only(&changed) {
                    // The router goes on, and so do all connections.
                    for warning in &changed.warnings {
                        warn!("{warning}");
                    }
                    configz.send_replace(changed.configz());
                    cluster.set_policies(changed.policies);
                    continue;
                }
                process.former = ingress;
                return Ok(Next::Config(Box::new(changed)));
            }
            Some(successor) = successors.recv(), if ending.is_none() => {
                process.former = ingress;
                return Ok(Next::Successor(successor));
            }
            Some(asked) = questions.recv() => {
                let now = Now { snapshot: snapshot.clone(), cluster: &cluster };
                let index = ingress.as_ref().map(Ingress::index);
                asked.answer_from(config, &now, index);
            }
            update = cluster.next() => {
                if config.ingress && !routes && ending.is_none() && !cluster.withholds_routes() {
                    info!("the router starts, now that Ingresses may be listed");
                    return Ok(Next::Config(Box::new(config.clone())));
                }
                snapshot = update.snapshot.clone();
                tell_node(&health, config, &snapshot);
                // Endpoints leave the router first: it can tell them apart, the kernel's tables
                // only concern connections that are yet to come.
                if let Some(ingress) = &mut ingress {
                    ingress.apply(&update, cluster.certificates());
                }
                certificate_metrics.apply(&update, cluster.certificates());
                if let Some(metrics) = &ingress_nginx {
                    metrics.applied(&update, cluster.problems());
                }
                if let Some(tables) = &mut service_proxy {
                    tables.proxy.apply(&update);
                }
                if let Some(service_health) = &mut service_health {
                    service_health.apply(&update).await;
                }
                if let Some(host_ports) = &mut host_ports {
                    host_ports.apply(&update);
                }
                if let Some(loopback) = &mut loopback {
                    loopback.apply(&update);
                }
                memory::updated(update);
            }
            problems = optional(ingress.as_mut().map(Ingress::locate_external_host)) => {
                problems.into_iter().for_each(|problem| cluster.tell(problem));
            }
            () = optional(service_health.as_mut().map(ServiceHealth::wake)) => {
                if let Some(service_health) = &mut service_health {
                    service_health.follow().await;
                }
            }
            request = status_requests.next() => {
                let unserved = service_proxy.as_ref().map(|tables| tables.proxy.unserved());
                let mut here = missing.reported();
                here.extend(status::of_source(source.troubles()));
                here.extend(unserved.unwrap_or_default());
                request.answer(teller.tell(&snapshot, cluster.problems(), here));
            }
            () = Tables::wake(service_proxy.as_mut()) => {}
            () = optional(awaited.as_ref().map(PodNetworks::given_up)) => {}
            () = missing.ingress_due(), if ending.is_none() => {
                let now = Update {
                    snapshot: snapshot.clone(),
                    changes: Changes::everything(&snapshot),
                };
                ingress = start_router(&now, &cluster, &mut missing)?;
                if ingress.is_some() {
                    speaker = Some(start_speaker(&mut cluster)?);
                }
            }
        }
        if awaited
            .take_if(|awaited| awaited.is_over(&snapshot))
            .is_some()
        {
            service_proxy = start_tables(&snapshot, &mut missing)?;
        }
    }
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
        default_backend: None,
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

/// Manifests may leave the Node out; the API server has it, or the node is no more.
fn tell_node(health: &Health, config: &Config, snapshot: &Snapshot) {
    let known = !snapshot.node.addresses.is_empty();
    health.set_node(match &config.source {
        _ if snapshot.node.leaving => NodeState::Leaving,
        Source::Manifests(_) => NodeState::Eligible,
        Source::InCluster | Source::Kubeconfig(_) if known => NodeState::Eligible,
        Source::InCluster | Source::Kubeconfig(_) => NodeState::Unknown,
    });
}

async fn start_server(
    config: &Config,
    recorder: &EventRecorder,
    purpose: Purpose,
    address: Option<std::net::SocketAddr>,
    site: impl fairway_admin::Site,
) -> anyhow::Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    if config.admin.bind_address_hard_fail {
        let listener = match Listener::bind(purpose, address) {
            Ok(listener) => listener,
            Err(error) => {
                recorder.send(node_events::failed_to_start(&config.node_name, &error));
                // An API server that is away must not keep the process from ending.
                let _ = timeout(LAST_WORDS, recorder.flush()).await;
                return Err(error.into());
            }
        };
        tokio::spawn(serve(listener, site));
        return Ok(());
    }
    tokio::spawn(async move {
        let listener = Listener::bind_when_free(purpose, address).await;
        serve(listener, site).await
    });
    Ok(())
}

/// How long the end of the process waits for an Event to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);
