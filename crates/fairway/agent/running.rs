//! An agent that serves, until it is told otherwise.

use std::sync::Arc;

use fairway_cluster::Cluster;
use fairway_model::{Changes, Snapshot, Update};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::context::Context;
use super::ending::Ending;
use super::handover::Successor;
use super::missing::Missing;
use super::pages::Pages;
use super::process::Process;
use super::questions::Asked;
use super::router_half::RouterHalf;
use super::service_half::ServiceHalf;
use super::signals::Stop;
use super::{LOG, Next, optional, status};
use crate::config::Config;
use crate::explain::Now;
use crate::memory;

/// Both halves with one configuration, and who asks them.
pub(super) struct Running<'a> {
    // Dropped in this order: who speaks and serves before what it is fed by.
    pub(super) router: RouterHalf,
    pub(super) services: ServiceHalf,
    /// What of them cannot be had.
    pub(super) missing: Missing,
    /// Agents that want our place.
    pub(super) successors: mpsc::Receiver<Successor>,
    pub(super) questions: mpsc::Receiver<Asked>,
    pub(super) pages: Pages,
    /// The router is wanted, and may not list Ingresses.
    pub(super) waits_for_permission: bool,
    /// Since we were told to stop.
    pub(super) ending: Option<Ending>,
    /// Another agent is asked to speak for all.
    pub(super) farewell: Option<JoinHandle<()>>,
    /// What both halves work by.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) cluster: Cluster,
    pub(super) context: Context<'a>,
}

impl Running<'_> {
    /// Serves until something else has to be done.
    pub(super) async fn until_next(mut self, process: &mut Process) -> anyhow::Result<Next> {
        let mut reopens = process.signals.reopens();
        self.tell_of_external_hosts();
        loop {
            let draining = self.ending.as_ref().is_some_and(Ending::is_draining);
            tokio::select! {
                stop = process.signals.stop() => {
                    if draining {
                        warn!(target: LOG, "told to stop again: open requests are cut off");
                        return Ok(Next::End);
                    }
                    self.end(stop, process);
                }
                () = optional(self.ending.as_ref().map(Ending::noticed)), if !draining => {
                    self.drain(process);
                }
                // The kernel's tables stay: they go on working until the next start.
                () = process.retiring.all(), if draining => {
                    if let Some(farewell) = self.farewell {
                        // It is bounded, and has nothing to say.
                        let _: Result<(), _> = farewell.await;
                    }
                    return Ok(Next::End);
                }
                () = reopens.next() => self.router.reopen_access_log(),
                changed = process.reload.next(), if self.ending.is_none() => {
                    if !self.context.config.differs_in_policies_only(&changed) {
                        process.former = self.router.take();
                        return Ok(Next::Config(Box::new(changed)));
                    }
                    process.served = Some(changed.clone());
                    self.follow_policies(changed);
                }
                Some(successor) = self.successors.recv(), if self.ending.is_none() => {
                    process.former = self.router.take();
                    return Ok(Next::Successor(successor));
                }
                Some(asked) = self.questions.recv() => self.explain(asked),
                request = self.pages.asked() => {
                    let mut here = self.missing.reported();
                    here.extend(status::of_source(self.context.source.troubles()));
                    here.extend(status::of_kernel(self.context.config, &self.snapshot.node));
                    here.extend(self.services.unserved());
                    self.pages.answer(request, &self.snapshot, &self.cluster, here);
                }
                update = self.cluster.next() => {
                    if self.may_route_now() {
                        info!(target: LOG, "the router starts, now that Ingresses may be listed");
                        process.former = self.router.take();
                        let config = process.in_force(self.context.config);
                        return Ok(Next::Config(Box::new(config)));
                    }
                    self.apply(update).await;
                }
                () = self.router.locate_external_hosts() => self.tell_of_external_hosts(),
                due = self.services.due() => self.services.attend(due).await,
                () = self.missing.ingress_due(), if self.ending.is_none() => self.open_router().await?,
            }
            self.services
                .start_late(&self.context, &self.snapshot, &mut self.missing)?;
        }
    }

    /// Told to stop, for the first time or while load balancers are given time to notice.
    fn end(&mut self, stop: Stop, process: &mut Process) {
        if let Some(ending) = &mut self.ending {
            return ending.hurry();
        }
        self.context.instruments.health.set_draining();
        self.farewell = self.router.fall_silent();
        let ending = Ending::begin(self.context.config, stop);
        process.retiring.end_by(ending.cut_at());
        self.ending = Some(ending);
    }

    /// Accepts nothing new any more.
    fn drain(&mut self, process: &mut Process) {
        if let Some(ending) = &mut self.ending {
            ending.drain();
            process.former = self.router.take();
            process.retire_former(self.context.config.drain);
        }
    }

    /// The router goes on, and so do all connections.
    fn follow_policies(&mut self, changed: Config) {
        for warning in &changed.warnings {
            warn!(target: LOG, "{warning}");
        }
        self.pages.reconfigured(&changed);
        self.cluster.set_policies(changed.policies);
    }

    fn explain(&self, asked: Asked) {
        let now = Now {
            snapshot: self.snapshot.clone(),
            cluster: &self.cluster,
        };
        asked.answer_from(self.context.config, &now, self.router.index());
    }

    fn may_route_now(&self) -> bool {
        self.waits_for_permission && self.ending.is_none() && !self.cluster.withholds_routes()
    }

    async fn apply(&mut self, update: Update) {
        let instruments = &self.context.instruments;
        self.snapshot = update.snapshot.clone();
        instruments.tell_node(self.context.config, &self.snapshot);
        // Endpoints leave the router first: it can tell them apart, the kernel's tables only concern
        // connections that are yet to come.
        self.router.apply(&update, &self.cluster);
        instruments.routes_applied(&update, &self.cluster);
        // Services may have become aliases of hosts that are known.
        self.tell_of_external_hosts();
        self.services.apply(&update).await;
        memory::updated(update);
    }

    fn tell_of_external_hosts(&mut self) {
        let problems = self.router.problems_of_external_hosts();
        self.cluster.set_external_problems(problems);
    }

    /// Tries again to have the router's ports.
    async fn open_router(&mut self) -> anyhow::Result<()> {
        let now = Update {
            snapshot: self.snapshot.clone(),
            changes: Changes::everything(&self.snapshot),
        };
        let (context, missing) = (&self.context, &mut self.missing);
        // Any router before is closed by now.
        self.router
            .open(context, &now, &self.cluster, missing, None)
            .await?;
        self.tell_of_external_hosts();
        let context = &self.context;
        Ok(self.router.speak(context, &mut self.cluster)?)
    }
}
