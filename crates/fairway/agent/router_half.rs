use std::sync::Arc;

use fairway_cluster::{Cluster, Problem, StartError};
use fairway_model::Update;
use fairway_proxy::BindError;
use fairway_router::Index;
use tokio::task::JoinHandle;

use super::context::Context;
use super::ingress::{Before, Ingress};
use super::missing::Missing;
use super::optional;
use super::speaker::Speaker;

/// The half that routes Ingress traffic, and speaks for all agents about Ingresses.
#[derive(Default)]
pub(super) struct RouterHalf {
    /// None where it is not wanted, may not list Ingresses, or cannot have its ports.
    ingress: Option<Ingress>,
    /// As long as there is a router.
    speaker: Option<Speaker>,
}

impl RouterHalf {
    /// Starts the router, if it can have its ports. Where it cannot, Services can do without, but not who
    /// was served by a router before it.
    pub(super) async fn open(
        &mut self,
        context: &Context<'_>,
        update: &Update,
        cluster: &Cluster,
        missing: &mut Missing,
        before: Option<Before>,
    ) -> anyhow::Result<()> {
        let (config, instruments) = (context.config, &context.instruments);
        let (metrics, tracing) = (instruments.proxy.clone(), instruments.tracing.clone());
        let certificates = cluster.certificates();
        let is_first = before.is_none();
        let before = before.unwrap_or_default();
        let started = Ingress::start(config, update, certificates, metrics, tracing, before);
        match started.await {
            Ok(ingress) => {
                missing.regain_ingress();
                instruments.health.set_router_serving(true);
                self.ingress = Some(ingress);
                Ok(())
            }
            Err(error) => match error.downcast_ref::<BindError>() {
                Some(cause) if is_first && config.service_proxy && missing.has_service_proxy() => {
                    missing.lose_ingress(cause);
                    instruments.health.set_router_serving(false);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// Goes on with the router of before and its routes, because Ingresses may not be listed.
    pub(super) fn keep(&mut self, mut former: Ingress, first: &Update) {
        former.keep_routes(first);
        self.ingress = Some(former);
    }

    /// Stands for election, if there is a router.
    pub(super) fn speak(
        &mut self,
        context: &Context<'_>,
        cluster: &mut Cluster,
    ) -> Result<(), StartError> {
        if self.ingress.is_some() {
            let router = &context.config.router;
            let recorder = context.recorder.clone();
            let speaker =
                Speaker::start(&context.source, &context.options, router, cluster, recorder)?;
            self.speaker = Some(speaker);
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, update: &Update, cluster: &Cluster) {
        if let Some(ingress) = &mut self.ingress {
            ingress.apply(update, cluster.certificates());
        }
    }

    /// As [`Ingress::locate_external_hosts`]; never returns without a router.
    pub(super) async fn locate_external_hosts(&mut self) {
        optional(self.ingress.as_mut().map(Ingress::locate_external_hosts)).await;
    }

    /// As [`Ingress::problems_of_external_hosts`]; none without a router.
    pub(super) fn problems_of_external_hosts(&self) -> Vec<Problem> {
        let ingress = self.ingress.as_ref();
        ingress
            .map(Ingress::problems_of_external_hosts)
            .unwrap_or_default()
    }

    /// The routes in force.
    pub(super) fn index(&self) -> Option<Arc<Index>> {
        self.ingress.as_ref().map(Ingress::index)
    }

    pub(super) fn reopen_access_log(&self) {
        if let Some(ingress) = &self.ingress {
            ingress.reopen_access_log();
        }
    }

    /// Has another agent speak for all. Says when that is settled, within a bounded time.
    pub(super) fn fall_silent(&mut self) -> Option<JoinHandle<()>> {
        let speaker = self.speaker.take();
        speaker.map(|speaker| tokio::spawn(speaker.stop()))
    }

    /// Gives the router away, which serves on.
    pub(super) fn take(&mut self) -> Option<Ingress> {
        self.ingress.take()
    }
}
