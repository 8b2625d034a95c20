//! Until when certificates are valid, and of which hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairway_cluster::Certificates;
use fairway_model::{HostPattern, ObjectName, Update};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// The certificates that are shown, told whenever somebody asks.
#[derive(Clone, Debug, Default)]
pub(super) struct CertificateMetrics(Arc<Mutex<Shown>>);

/// What is shown, and by whom.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Of hosts that have one of their own.
    pub(super) hosts: BTreeMap<HostPattern, Shows>,
    /// The configured one for all others.
    pub(super) default: Option<Shows>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shows {
    pub(super) secret: ObjectName,
    /// Its last second, since 1970.
    pub(super) not_after: i64,
}

impl CertificateMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    pub(super) fn apply(&self, update: &Update, certificates: &Certificates) {
        let changes = &update.changes;
        if changes.hosts.is_empty() && changes.tls.is_empty() && !changes.default_certificate {
            return;
        }
        let shows =
            |(secret, certificate): (&ObjectName, &Arc<fairway_cluster::Certificate>)| Shows {
                secret: secret.clone(),
                not_after: certificate.not_after,
            };
        let mut shown = self.shown();
        if changes.default_certificate {
            shown.default = certificates.default_secret().map(shows);
        }
        for host in changes.hosts.union(&changes.tls) {
            let routes = update.snapshot.routes.hosts.get(host);
            let policy = routes.and_then(|routes| routes.tls.as_ref());
            let secret = policy.and_then(|policy| certificates.shown(host, policy));
            match secret.map(shows) {
                Some(shows) => shown.hosts.insert(host.clone(), shows),
                None => shown.hosts.remove(host),
            };
        }
    }

    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shown = self.shown();
        let secrets: BTreeSet<&Shows> = shown.hosts.values().chain(&shown.default).collect();
        let mut expiry = encoder.encode_descriptor(
            "fairway_tls_certificate_not_after_timestamp_seconds",
            "Until when the certificates that are shown are valid, by Secret",
            None,
            MetricType::Gauge,
        )?;
        for shows in secrets {
            expiry
                .encode_family(&[
                    ("namespace", &*shows.secret.namespace),
                    ("secret", &*shows.secret.name),
                ])?
                .encode_gauge(&shows.not_after)?;
        }
        Ok(())
    }
}
