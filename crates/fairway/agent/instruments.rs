//! What tells operators how the agent is doing: its health, and everything that is counted.

use std::sync::Arc;

use fairway_admin::{
    Health, MetricsSite, NodeState, ProcessMetrics, Refresh, ServiceProxyMetrics, StatusFeed,
    register_build_info,
};
use fairway_cluster::{Cluster, ProblemMetrics};
use fairway_model::{Snapshot, Update};
use fairway_proxy::{Metrics, Tracing};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;

use super::certificate_metrics::CertificateMetrics;
use super::connections::ConnectionCounters;
use super::ingress_nginx::IngressNginxMetrics;
use super::traces;
use crate::config::{Config, Source};

/// The instruments of an agent with one configuration.
pub(super) struct Instruments {
    pub(super) health: Health,
    pub(super) service_proxy: ServiceProxyMetrics,
    pub(super) problems: ProblemMetrics,
    /// None where nobody wants connections counted.
    pub(super) connections: Option<ConnectionCounters>,
    pub(super) proxy: Metrics,
    pub(super) certificates: CertificateMetrics,
    pub(super) tracing: Tracing,
    ingress_nginx: Option<IngressNginxMetrics>,
    registry: Arc<Registry>,
    refresh: Option<Refresh>,
}

impl Instruments {
    /// With `proxy`, which goes on to count what earlier configurations have begun.
    pub(super) fn register(config: &Config, proxy: &Metrics) -> Self {
        let mut registry = Registry::default();
        register_build_info(&mut registry, env!("CARGO_PKG_VERSION"));
        ProcessMetrics::register(&mut registry);
        let service_proxy = ServiceProxyMetrics::new();
        service_proxy.register(&mut registry);
        let problems = ProblemMetrics::default();
        problems.register(&mut registry);
        let counting = config.rules.count_connections;
        let counting = counting.then(|| ConnectionCounters::register(&mut registry));
        let (connections, refresh) = counting.unzip();
        proxy.register_again(&mut registry, &config.observation.metrics());
        let certificates = CertificateMetrics::register(&mut registry);
        let ingress_nginx = IngressNginxMetrics::register(config, &certificates, &mut registry);
        let tracing = traces::tracing(config, &mut registry);
        Self {
            health: Health::new(config.sync_period * 2),
            service_proxy,
            problems,
            connections,
            proxy: proxy.clone(),
            certificates,
            tracing,
            ingress_nginx,
            registry: Arc::new(registry),
            refresh,
        }
    }

    /// What the metrics port serves.
    pub(super) fn metrics_site(
        &self,
        configz: watch::Receiver<Value>,
        status: StatusFeed,
    ) -> MetricsSite {
        MetricsSite::new(self.registry.clone(), configz)
            .refreshing(self.refresh.clone())
            .telling(status, self.health.clone())
    }

    /// Manifests may leave the Node out; the API server has it, or the node is no more.
    pub(super) fn tell_node(&self, config: &Config, snapshot: &Snapshot) {
        let known = !snapshot.node.addresses.is_empty();
        self.health.set_node(match &config.source {
            _ if snapshot.node.leaving => NodeState::Leaving,
            Source::Manifests(_) => NodeState::Eligible,
            Source::InCluster | Source::Kubeconfig(_) if known => NodeState::Eligible,
            Source::InCluster | Source::Kubeconfig(_) => NodeState::Unknown,
        });
    }

    /// The router has what an update brought.
    pub(super) fn routes_applied(&self, update: &Update, cluster: &Cluster) {
        self.certificates.apply(update, cluster.certificates());
        if let Some(metrics) = &self.ingress_nginx {
            metrics.applied(update, cluster.problems());
        }
    }
}
