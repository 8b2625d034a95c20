//! kube-proxy's metrics, by its names, for what fairway does.

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
    service_changes: BoundChanges,
    endpoint_changes: BoundChanges,
    sweeps: Histogram,
    deleted_flows: Counter,
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
struct Changes {
    pending: Family<FamilyLabel, Gauge>,
    total: Family<FamilyLabel, Counter>,
}

#[derive(Clone, Debug)]
struct BoundChanges {
    pending: Gauge,
    total: Counter,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Family<CodeLabel, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyLabel {
    ip_family: IpFamily,
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
            "sync_proxy_rules_service_changes_pending",
            "Service changes that are not in the kernel yet",
            self.service_changes.pending.clone(),
        );
        registry.register(
            "sync_proxy_rules_service_changes",
            "Service changes seen",
            self.service_changes.total.clone(),
        );
        registry.register(
            "sync_proxy_rules_endpoint_changes_pending",
            "Endpoint changes that are not in the kernel yet",
            self.endpoint_changes.pending.clone(),
        );
        registry.register(
            "sync_proxy_rules_endpoint_changes",
            "Endpoint changes seen",
            self.endpoint_changes.total.clone(),
        );
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
            service_changes: self.service_changes.bind(&label),
            endpoint_changes: self.endpoint_changes.bind(&label),
            sweeps: self.sweeps.get_or_create_owned(&label),
            deleted_flows: self.deleted_flows.get_or_create_owned(&label),
        }
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

    /// So many Services changed.
    pub fn services_changed(&self, count: u32) {
        self.service_changes.add(count);
    }

    /// The endpoints of so many Services changed.
    pub fn endpoints_changed(&self, count: u32) {
        self.endpoint_changes.add(count);
    }

    /// A sync that took `took` ended at `now`. When it succeeded, no change is pending any more.
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
                self.service_changes.pending.set(0);
                self.endpoint_changes.pending.set(0);
            }
        }
    }

    /// A look at the flows took `took`, and so many were removed.
    pub fn swept(&self, deleted: u64, took: Duration) {
        self.sweeps.observe(took.as_secs_f64());
        self.deleted_flows.inc_by(deleted);
    }

    /// A change that the cluster made `since` ago is in the kernel now.
    pub fn programmed(&self, since: Duration) {
        self.network_programming.observe(since.as_secs_f64());
    }
}

// === impl Changes, Answers ===

impl Changes {
    fn bind(&self, label: &FamilyLabel) -> BoundChanges {
        BoundChanges {
            pending: self.pending.get_or_create_owned(label),
            total: self.total.get_or_create_owned(label),
        }
    }
}

impl BoundChanges {
    fn add(&self, count: u32) {
        self.pending.inc_by(i64::from(count));
        self.total.inc_by(u64::from(count));
    }
}

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
