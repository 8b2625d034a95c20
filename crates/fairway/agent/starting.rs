//! From a configuration to an agent that serves.
//!
//! Nothing is programmed or served before the first complete state: rules and routes that a former run left
//! behind are better than half of the new ones.

use std::ops::ControlFlow;
use std::sync::Arc;

use fairway_admin::NodeState;
use fairway_cluster::Cluster;
use fairway_model::{Snapshot, Update};
use tracing::{info, warn};

use super::context::Context;
use super::ingress::Before;
use super::instruments::Instruments;
use super::lock::AgentLock;
use super::missing::Missing;
use super::pages::Pages;
use super::process::Process;
use super::router_half::RouterHalf;
use super::running::Running;
use super::service_half::ServiceHalf;
use super::{LOG, Next, cluster_options, node_events, questions, source, status};
use crate::config::{Config, Source};
use crate::kernel::Kernel;
use crate::memory;

/// An agent that waits for its first complete state.
pub(super) struct Starting<'a> {
    context: Context<'a>,
    pages: Pages,
    cluster: Cluster,
    /// Another agent may serve on this node.
    takes_over: bool,
}

impl<'a> Starting<'a> {
    /// Sets the kernel up, and asks for objects.
    pub(super) async fn begin(config: &'a Config, process: &Process) -> anyhow::Result<Self> {
        let as_configured = serde_json::to_value(config)?;
        info!(target: LOG, version = env!("CARGO_PKG_VERSION"), config = %as_configured, "fairway starts");
        for warning in &config.warnings {
            warn!(target: LOG, "{warning}");
        }
        Kernel::default().prepare(config);
        // Who was healthy need not prove it again: the tables are in force and the router serves.
        let anew = process.former.is_some();
        let takes_over = process.lock.is_none();

        let (source, recorder) = Box::pin(source(config)).await?;
        let context = Context {
            config,
            source,
            options: cluster_options(config),
            recorder,
            instruments: Instruments::register(config, &process.traffic),
        };
        let pages = Pages::new(&context);
        // Until then the agent before answers.
        if !takes_over {
            pages.serve(&context).await?;
        }
        let health = &context.instruments.health;
        if !anew && !matches!(config.source, Source::Manifests(_)) {
            health.set_node(NodeState::Unknown);
        }
        if !anew && config.ingress {
            health.set_router_serving(false);
        }
        let (source, options) = (context.source.clone(), context.options.clone());
        let problems = context.instruments.problems.clone();
        let cluster = Box::pin(Cluster::start(source, options, problems)).await?;
        Ok(Self {
            context,
            pages,
            cluster,
            takes_over,
        })
    }

    /// Waits for the first complete state, or for what comes instead.
    pub(super) async fn first_state(
        &mut self,
        process: &mut Process,
    ) -> anyhow::Result<ControlFlow<Next, Update>> {
        let config = self.context.config;
        let nothing = Arc::new(Snapshot::default());
        loop {
            let first = tokio::select! {
                first = self.cluster.next() => first,
                request = self.pages.asked() => {
                    let here = status::of_source(self.context.source.troubles());
                    self.pages.answer(request, &nothing, &self.cluster, here);
                    continue;
                }
                changed = process.reload.next() => {
                    return Ok(ControlFlow::Break(Next::Config(Box::new(changed))));
                }
                stop = process.signals.stop() => {
                    self.context.instruments.health.set_draining();
                    process.end(config, stop).await;
                    return Ok(ControlFlow::Break(Next::End));
                }
            };
            // An agent that has routes is not replaced by one that may not know any.
            let router_serves = self.takes_over && AgentLock::try_take()?.is_none();
            if !(config.ingress && self.cluster.withholds_routes() && router_serves) {
                return Ok(ControlFlow::Continue(first));
            }
        }
    }

    /// Takes the place of who served before, and serves.
    pub(super) async fn serve(
        self,
        first: Update,
        process: &mut Process,
    ) -> anyhow::Result<Running<'a>> {
        let Self {
            context,
            mut pages,
            mut cluster,
            takes_over,
            ..
        } = self;
        let config = context.config;
        let routes = config.ingress && !cluster.withholds_routes();
        if config.ingress && !routes {
            warn!(
                target: LOG, "the router waits for the permission to list Ingresses and their classes; Services work"
            );
        }
        process.take_over().await?;
        if takes_over {
            pages.serve(&context).await?;
        }
        context.instruments.tell_node(config, &first.snapshot);
        let successors = process.successors()?;
        let questions = questions::listen()?;

        let router_serves = routes || (config.ingress && process.former.is_some());
        let mut missing = Missing::nothing(&config.node_name, &context.instruments.health);
        let relays = &mut process.relays;
        let services =
            ServiceHalf::start(&context, &first, &mut missing, relays, router_serves).await?;
        let mut router = RouterHalf::default();
        if routes {
            let before = before(config, process);
            let opened = router.open(&context, &first, &cluster, &mut missing, before);
            opened.await?;
            router.speak(&context, &mut cluster)?;
        } else if config.ingress
            && let Some(former) = process.former.take()
        {
            router.keep(former, &first);
            context.instruments.health.set_router_serving(true);
        }
        context.instruments.routes_applied(&first, &cluster);
        // Last: until here the one before serves, and goes on if this one cannot.
        process.serving(config).await;
        context
            .recorder
            .record(node_events::starting(&config.node_name));
        pages.ready(&context);
        info!(target: LOG, "ready");
        let snapshot = first.snapshot.clone();
        memory::updated(first);
        Ok(Running {
            router,
            services,
            missing,
            successors,
            questions,
            pages,
            waits_for_permission: config.ingress && !routes,
            ending: None,
            farewell: None,
            snapshot,
            cluster,
            context,
        })
    }
}

/// The router that serves until ours does.
fn before(config: &Config, process: &Process) -> Option<Before> {
    let ours = config.router.addresses();
    match &process.predecessor {
        Some(_) => Some(Before::elsewhere(ours)),
        None => Some(process.former.as_ref()?.precedes(ours)),
    }
}
