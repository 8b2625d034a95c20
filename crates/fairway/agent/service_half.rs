use std::sync::Arc;

use anyhow::Context as _;
use fairway_admin::ReportedProblem;
use fairway_model::{Snapshot, Update};

use super::context::Context;
use super::host_ports::HostPorts;
use super::loopback::{Loopback, Relays};
use super::missing::Missing;
use super::pod_networks::PodNetworks;
use super::service_health::ServiceHealth;
use super::tables::Tables;
use super::{interfaces, optional};

/// The half that programs Services, and what belongs to it.
pub(super) struct ServiceHalf {
    /// None before the Node has its networks, and where the kernel's tables cannot be had.
    tables: Option<Tables>,
    awaited: Option<PodNetworks>,
    health: Option<ServiceHealth>,
    host_ports: Option<HostPorts>,
    loopback: Option<Loopback>,
    /// The router serves, and can do without this half.
    dispensable: bool,
}

/// What has to be done.
pub(super) enum Due {
    /// Something that was done already, or that [`ServiceHalf::start_late`] does.
    Nothing,
    /// The health checks of Services follow the node's addresses.
    Health,
}

impl ServiceHalf {
    pub(super) async fn start(
        context: &Context<'_>,
        first: &Update,
        missing: &mut Missing,
        relays: &mut Option<Relays>,
        dispensable: bool,
    ) -> anyhow::Result<Self> {
        let (config, recorder) = (context.config, &context.recorder);
        let mut half = Self {
            tables: None,
            awaited: PodNetworks::awaited(config, &first.snapshot),
            health: None,
            host_ports: None,
            loopback: None,
            dispensable,
        };
        if config.service_proxy && half.awaited.is_none() {
            half.program(context, &first.snapshot, missing)?;
        }
        if !config.service_proxy || !missing.has_service_proxy() {
            return Ok(half);
        }
        half.health = Some(ServiceHealth::new(
            context.instruments.health.clone(),
            recorder.clone(),
            config.rules.plan_options().node_port_addresses,
            interfaces::follow(),
        ));
        let problems = context.instruments.problems.clone();
        half.host_ports = Some(HostPorts::watch(config, recorder.clone(), problems));
        if config.loopback_node_ports {
            let relays = match relays {
                Some(relays) => relays,
                none => {
                    none.insert(Relays::start().context("cannot serve node ports on loopback")?)
                }
            };
            half.loopback = Some(Loopback::new(relays.clone()));
        }
        half.apply_beside_tables(first).await;
        Ok(half)
    }

    pub(super) async fn apply(&mut self, update: &Update) {
        if let Some(tables) = &mut self.tables {
            tables.proxy.apply(update);
        }
        self.apply_beside_tables(update).await;
    }

    async fn apply_beside_tables(&mut self, update: &Update) {
        if let Some(health) = &mut self.health {
            health.apply(update).await;
        }
        if let Some(host_ports) = &mut self.host_ports {
            host_ports.apply(update);
        }
        if let Some(loopback) = &mut self.loopback {
            loopback.apply(update);
        }
    }

    /// Waits until something has to be done that no object asks for. Cancel safe.
    pub(super) async fn due(&mut self) -> Due {
        tokio::select! {
            () = Tables::wake(self.tables.as_mut()) => Due::Nothing,
            () = optional(self.health.as_mut().map(ServiceHealth::wake)) => Due::Health,
            () = optional(self.awaited.as_ref().map(PodNetworks::given_up)) => Due::Nothing,
        }
    }

    pub(super) async fn attend(&mut self, due: Due) {
        if let (Due::Health, Some(health)) = (due, &mut self.health) {
            health.follow().await;
        }
    }

    /// Programs what waited for the Node's networks, once there is nothing to wait for any more.
    pub(super) fn start_late(
        &mut self,
        context: &Context<'_>,
        snapshot: &Arc<Snapshot>,
        missing: &mut Missing,
    ) -> anyhow::Result<()> {
        let over = self.awaited.take_if(|awaited| awaited.is_over(snapshot));
        match over {
            Some(_) => self.program(context, snapshot, missing),
            None => Ok(()),
        }
    }

    /// What of the Services is not programmed, and why.
    pub(super) fn unserved(&self) -> Vec<ReportedProblem> {
        let tables = self.tables.as_ref();
        tables.map_or_else(Vec::new, |tables| tables.proxy.unserved())
    }

    fn program(
        &mut self,
        context: &Context<'_>,
        snapshot: &Arc<Snapshot>,
        missing: &mut Missing,
    ) -> anyhow::Result<()> {
        let instruments = &context.instruments;
        let tables = Tables::start(
            context.config,
            snapshot,
            &instruments.health,
            &instruments.service_proxy,
            &instruments.problems,
            instruments.connections.as_ref(),
        );
        match tables {
            Ok(tables) => self.tables = Some(tables),
            Err(error) if self.dispensable => missing.lose_service_proxy(&error),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
