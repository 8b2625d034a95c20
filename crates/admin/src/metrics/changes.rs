use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Changes of one kind of object. Without a label for the family, as with kube-proxy: one change
/// concerns both.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pending: Gauge,
    total: Counter,
}

impl Changes {
    pub(super) fn register(&self, registry: &mut Registry, noun: &str) {
        registry.register(
            format!("sync_proxy_rules_{}_changes_pending", noun.to_lowercase()),
            format!("{noun} changes that are not in the kernel yet"),
            self.pending.clone(),
        );
        registry.register(
            format!("sync_proxy_rules_{}_changes", noun.to_lowercase()),
            format!("{noun} changes seen"),
            self.total.clone(),
        );
    }

    pub(super) fn seen(&self, count: u32) {
        self.pending.inc_by(i64::from(count));
        self.total.inc_by(u64::from(count));
    }

    pub(super) fn applied(&self) {
        self.pending.set(0);
    }
}
