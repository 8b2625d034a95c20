//! kube-proxy's metrics, by its names, for what fairway does.

mod changes;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use self::changes::Changes;
use crate::{IpFamily, Moment};

/// The `kubeproxy_*` metric families.
///
/// A family of addresses that is never [bound](Self::family) shows no series, so that a node
/// without IPv6 does not look like one whose IPv6 never syncs.
#[derive(Clone, Debug)]
pub struct ServiceProxyMetrics {
    durations: [Histograms; 3],
    network_programming: Histograms,
    last_queued: Family<FamilyLabel, Seconds>,
    last_synced: Family<FamilyLabel, Seconds>,
    failures: Family<FamilyLabel, Counter>,
    cleanup_failures: Family<FamilyLabel, Counter>,
    without_local_endpoints: Family<PolicyLabel, Gauge>,
    service_changes: Changes,
    endpoint_changes: Changes,
    sweeps: Histograms,
    deleted_flows: Family<FamilyLabel, Counter>,
    probes: ProbeMetrics,
}

/// The metrics of one address family, bound once so that an update looks nothing up.
#[derive(Clone, Debug)]
pub struct FamilyMetrics {
    any: Histogram,
    full: Histogram,
    partial: Histogram,
    network_programming: Histogram,
    last_queued: Seconds,
    last_synced: Seconds,
    failures: Counter,
    sweeps: Histogram,
    deleted_flows: Counter,
    cleanup_failures: Counter,
    without_local_endpoints: [Gauge; 2],
}

/// How the health port has answered.
#[derive(Clone, Debug, Default)]
pub struct ProbeMetrics {
    pub(crate) healthz: Answers,
    pub(crate) livez: Answers,
}

/// How much a sync looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// Everything: at start, after a failure, after someone else changed our table.
    Full,
    /// What changed.
    Partial,
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The kernel has all of it.
    Applied,
    /// The kernel, or the way to it, refused.
    Failed,
}

type Histograms = Family<FamilyLabel, Histogram, fn() -> Histogram>;
type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Family<CodeLabel, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyLabel {
    ip_family: IpFamily,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    ip_family: IpFamily,
    traffic_policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: u16,
}

// === impl ServiceProxyMetrics ===

impl ServiceProxyMetrics {
    /// All at zero.
    pub fn new() -> Self {
        let syncs = || Histograms::new_with_constructor(sync_histogram);
        Self {
            durations: [syncs(), syncs(), syncs()],
            network_programming: Family::new_with_constructor(network_programming_histogram),
            last_queued: Family::default(),
            last_synced: Family::default(),
            failures: Family::default(),
            cleanup_failures: Family::default(),
            without_local_endpoints: Family::default(),
            service_changes: Changes::default(),
            endpoint_changes: Changes::default(),
            sweeps: syncs(),
            deleted_flows: Family::default(),
            probes: ProbeMetrics::default(),
        }
    }

    /// Registers every family. The encoder adds `_total` to counters and a full stop to the help.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("kubeproxy");
        let [any, full, partial] = self.durations.clone();
        registry.register(
            "sync_proxy_rules_duration_seconds",
            "How long a sync of the rules takes, full or partial",
            any,
        );
        registry.register(
            "sync_full_proxy_rules_duration_seconds",
            "How long a sync of all rules takes",
            full,
        );
        registry.register(
            "sync_partial_proxy_rules_duration_seconds",
            "How long a sync of changed rules takes",
            partial,
        );
        registry.register(
            "network_programming_duration_seconds",
            "From a change in the cluster until the rules of this node follow it",
            self.network_programming.clone(),
        );
        registry.register(
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "When a sync was last asked for",
            self.last_queued.clone(),
        );
        registry.register(
            "sync_proxy_rules_last_timestamp_seconds",
            "When a sync last succeeded",
            self.last_synced.clone(),
        );
        registry.register(
            "sync_proxy_rules_nftables_sync_failures",
            "Syncs that failed",
            self.failures.clone(),
        );
        registry.register(
            "sync_proxy_rules_nftables_cleanup_failures",
            "Syncs that could not remove what is no longer used",
            self.cleanup_failures.clone(),
        );
        registry.register(
            "sync_proxy_rules_no_local_endpoints_total",
            "Services with a traffic policy Local that have endpoints, but none on this node",
            self.without_local_endpoints.clone(),
        );
        self.service_changes.register(registry, "Service");
        self.endpoint_changes.register(registry, "Endpoint");
        registry.register(
            "conntrack_reconciler_sync_duration_seconds",
            "How long a look at the flows that conntrack remembers takes",
            self.sweeps.clone(),
        );
        registry.register(
            "conntrack_reconciler_deleted_entries",
            "Flows that were removed because their endpoint is gone",
            self.deleted_flows.clone(),
        );
        registry.register(
            "proxy_healthz",
            "Answers to /healthz by status code",
            self.probes.healthz.0.clone(),
        );
        registry.register(
            "proxy_livez",
            "Answers to /livez by status code",
            self.probes.livez.0.clone(),
        );
    }

    /// The metrics of `family`.
    pub fn family(&self, family: IpFamily) -> FamilyMetrics {
        let label = FamilyLabel { ip_family: family };
        let [any, full, partial] = &self.durations;
        FamilyMetrics {
            any: any.get_or_create_owned(&label),
            full: full.get_or_create_owned(&label),
            partial: partial.get_or_create_owned(&label),
            network_programming: self.network_programming.get_or_create_owned(&label),
            last_queued: self.last_queued.get_or_create_owned(&label),
            last_synced: self.last_synced.get_or_create_owned(&label),
            failures: self.failures.get_or_create_owned(&label),
            sweeps: self.sweeps.get_or_create_owned(&label),
            deleted_flows: self.deleted_flows.get_or_create_owned(&label),
            cleanup_failures: self.cleanup_failures.get_or_create_owned(&label),
            without_local_endpoints: ["internal", "external"].map(|traffic_policy| {
                let label = PolicyLabel {
                    ip_family: family,
                    traffic_policy,
                };
                self.without_local_endpoints.get_or_create_owned(&label)
            }),
        }
    }

    /// So many Services changed, and the endpoints of so many.
    pub fn changed(&self, services: u32, endpoints: u32) {
        self.service_changes.seen(services);
        self.endpoint_changes.seen(endpoints);
    }

    /// No change is pending any more: every family has all of them.
    pub fn all_applied(&self) {
        self.service_changes.applied();
        self.endpoint_changes.applied();
    }

    /// What the health port counts.
    pub fn probes(&self) -> ProbeMetrics {
        self.probes.clone()
    }
}

impl Default for ServiceProxyMetrics {
    fn default() -> Self {
        Self::new()
    }
}

// === impl FamilyMetrics ===

impl FamilyMetrics {
    /// A sync was asked for.
    pub fn queued(&self, now: Moment) {
        self.last_queued.set(now.unix_seconds());
    }

    /// A sync that took `took` ended at `now`.
    pub fn synced(&self, kind: SyncKind, outcome: SyncOutcome, took: Duration, now: Moment) {
        self.any.observe(took.as_secs_f64());
        match kind {
            SyncKind::Full => self.full.observe(took.as_secs_f64()),
            SyncKind::Partial => self.partial.observe(took.as_secs_f64()),
        }
        match outcome {
            SyncOutcome::Failed => {
                self.failures.inc();
            }
            SyncOutcome::Applied => {
                self.last_synced.set(now.unix_seconds());
            }
        }
    }

    /// A look at the flows took `took`, and so many were removed.
    pub fn swept(&self, deleted: u64, took: Duration) {
        self.sweeps.observe(took.as_secs_f64());
        self.deleted_flows.inc_by(deleted);
    }

    /// What is no longer used could not be removed; that the sync failed is told apart.
    pub fn cleanup_failed(&self) {
        self.cleanup_failures.inc();
    }

    /// So many Services have a policy `Local` and endpoints, but none on this node.
    pub fn without_local_endpoints(&self, internal: usize, external: usize) {
        for (gauge, count) in self
            .without_local_endpoints
            .iter()
            .zip([internal, external])
        {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A change that the cluster made `since` ago is in the kernel now.
    pub fn programmed(&self, since: Duration) {
        self.network_programming.observe(since.as_secs_f64());
    }
}

// === impl Answers ===

impl Answers {
    pub(crate) fn answered(&self, status: StatusCode) {
        let label = CodeLabel {
            code: status.as_u16(),
        };
        self.0.get_or_create(&label).inc();
    }
}

/// kube-proxy's buckets: 1 ms doubled fourteen times, to 16 s.
fn sync_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// kube-proxy's buckets, finer where the scalability objective of Kubernetes looks.
fn network_programming_histogram() -> Histogram {
    let bounds = [0.25, 0.5]
        .into_iter()
        .chain((1..60).map(f64::from))
        .chain((60..=115).step_by(5).map(f64::from))
        .chain((120..=300).step_by(30).map(f64::from));
    Histogram::new(bounds)
}
