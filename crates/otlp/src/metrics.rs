use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What became of spans.
#[derive(Clone, Debug, Default)]
pub struct ExportMetrics {
    pub(crate) exported: Counter,
    pub(crate) failed: Counter,
}

impl ExportMetrics {
    /// Registers both counters. The encoder adds `_total`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "fairway_otlp_spans_exported",
            "Spans that the collector has taken",
            self.exported.clone(),
        );
        registry.register(
            "fairway_otlp_spans_failed",
            "Spans that the collector did not take",
            self.failed.clone(),
        );
    }

    /// Spans that the collector has taken.
    pub fn exported(&self) -> u64 {
        self.exported.get()
    }

    /// Spans that it did not take.
    pub fn failed(&self) -> u64 {
        self.failed.get()
    }
}
