//! The ports of health and metrics, and what is put together only when somebody looks: the status page and
//! the configuration in force.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairway_admin::{
    HealthSite, Listener, Purpose, ReportedProblem, StatusFeed, StatusRequest, StatusRequests,
    serve,
};
use fairway_cluster::Cluster;
use fairway_model::Snapshot;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::context::Context;
use super::{node_events, status};
use crate::config::Config;

/// How long the end of the process waits for an Event to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the ports show beside the instruments.
pub(super) struct Pages {
    configz: watch::Sender<Value>,
    feed: StatusFeed,
    requests: StatusRequests,
    teller: status::Teller,
}

impl Pages {
    /// Of an agent whose router does not serve yet.
    pub(super) fn new(context: &Context<'_>) -> Self {
        let (feed, requests) = StatusFeed::new();
        Self {
            configz: watch::Sender::new(context.config.configz()),
            feed,
            requests,
            teller: status::Teller::new(None, context.instruments.certificates.clone()),
        }
    }

    /// Opens the ports, or keeps trying, as configured.
    pub(super) async fn serve(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let (admin, instruments) = (&context.config.admin, &context.instruments);
        let site = HealthSite {
            health: instruments.health.clone(),
            probes: instruments.service_proxy.probes(),
            forbidden: Arc::new({
                let source = context.source.clone();
                move || source.forbidden()
            }),
        };
        start_server(context, Purpose::Health, admin.healthz_bind_address, site).await?;
        let site = instruments.metrics_site(self.configz.subscribe(), self.feed.clone());
        start_server(context, Purpose::Metrics, admin.metrics_bind_address, site).await
    }

    /// From now on the router's traffic is shown, if there is one.
    pub(super) fn ready(&mut self, context: &Context<'_>) {
        let instruments = &context.instruments;
        let traffic = context.config.ingress.then(|| instruments.proxy.clone());
        self.teller = status::Teller::new(traffic, instruments.certificates.clone());
    }

    /// Another configuration is in force.
    pub(super) fn reconfigured(&self, config: &Config) {
        self.configz.send_replace(config.configz());
    }

    /// Waits until somebody looks at the status page. Cancel safe.
    pub(super) async fn asked(&mut self) -> StatusRequest {
        self.requests.next().await
    }

    /// With `here`, what this node finds wrong beside what is wrong with the objects themselves.
    pub(super) fn answer(
        &mut self,
        request: StatusRequest,
        snapshot: &Arc<Snapshot>,
        cluster: &Cluster,
        here: Vec<ReportedProblem>,
    ) {
        request.answer(self.teller.tell(snapshot, cluster.problems(), here));
    }
}

async fn start_server(
    context: &Context<'_>,
    purpose: Purpose,
    address: Option<SocketAddr>,
    site: impl fairway_admin::Site,
) -> anyhow::Result<()> {
    let (config, recorder) = (context.config, &context.recorder);
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
