//! Where recorded spans go.

use fairway_proxy::Tracing;
use prometheus_client::registry::Registry;

use crate::config::Config;

/// What the router is told of traces. Spans are exported for as long as it records any.
pub(super) fn tracing(config: &Config, registry: &mut Registry) -> Tracing {
    let observation = &config.observation;
    Tracing {
        enabled: observation.tracing,
        sample_ratio: observation.trace_sample_ratio,
        trusted_only: observation.trace_trusted_only,
        spans: export(config, registry),
    }
}

#[cfg(not(feature = "otlp"))]
fn export(_config: &Config, _registry: &mut Registry) -> Option<fairway_proxy::SpanSender> {
    None
}

#[cfg(feature = "otlp")]
fn export(config: &Config, registry: &mut Registry) -> Option<fairway_proxy::SpanSender> {
    use fairway_otlp::{ExportMetrics, Exporter, Resource};

    /// Spans that may wait: some seconds of a busy node's, and 4 MiB.
    const ROOM: usize = 8192;

    let endpoint = config.observation.otlp_endpoint.clone()?;
    let metrics = ExportMetrics::default();
    metrics.register(registry);
    let (sender, spans) = fairway_proxy::spans(ROOM);
    let resource = Resource {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node_name: config.node_name.clone(),
    };
    tokio::spawn(Exporter::new(spans, endpoint, resource, metrics).run());
    Some(sender)
}
