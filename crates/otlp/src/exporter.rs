use std::time::Duration;

use bytes::Bytes;
use fairway_proxy::Span;
use http::Uri;
use prost::Message;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use crate::ExportMetrics;
use crate::message::{
    Attributes, ExportRequest, ExportResponse, ResourceSpans, Scope, ScopeSpans, Value,
};
use crate::post::{Collector, PostError};
use crate::translate::{key_value, translate};

/// The most spans of one request, the SDKs' default: some 300 KiB.
const BATCH: usize = 512;

/// What waits goes out after this time, even if it is no whole batch.
const SOON: Duration = Duration::from_secs(1);

/// How often one batch is sent, and how long the first pause is; each is twice the one before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// The longest that a collector may ask us to wait for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who reports.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `service.version`.
    pub version: String,
    /// `k8s.node.name`.
    pub node_name: String,
}

/// Sends spans for as long as there is somebody to record them.
#[derive(Debug)]
pub struct Exporter {
    spans: Receiver<Span>,
    collector: Collector,
    resource: Resource,
    metrics: ExportMetrics,
    /// Before the second try.
    pause: Duration,
    /// Whether the last batch was lost: said once, not with each.
    failing: bool,
}

impl Exporter {
    /// Sends what arrives to `endpoint`, an `http` URL with the collector's path for traces.
    pub fn new(
        spans: Receiver<Span>,
        endpoint: Uri,
        resource: Resource,
        metrics: ExportMetrics,
    ) -> Self {
        Self {
            spans,
            collector: Collector::new(endpoint),
            resource,
            metrics,
            pause: PAUSE,
            failing: false,
        }
    }

    /// Ends when all senders are gone and what they sent has been tried.
    pub async fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(first) = self.spans.recv().await {
            batch.push(first);
            let due = Instant::now() + SOON;
            while batch.len() < BATCH {
                tokio::select! {
                    biased;
                    span = self.spans.recv() => match span {
                        Some(span) => batch.push(span),
                        None => break,
                    },
                    () = sleep_until(due) => break,
                }
            }
            self.export(std::mem::take(&mut batch)).await;
        }
    }

    async fn export(&mut self, batch: Vec<Span>) {
        let count = batch.len() as u64;
        let request = request(&self.resource, batch);
        let body = Bytes::from(request.encode_to_vec());
        match self.send(body).await {
            Ok(answer) => {
                let refused = self.refused(&answer).min(count);
                self.metrics.exported.inc_by(count - refused);
                self.metrics.failed.inc_by(refused);
                if std::mem::take(&mut self.failing) {
                    info!("the collector of traces takes spans again");
                }
            }
            Err(error) => {
                self.metrics.failed.inc_by(count);
                if !std::mem::replace(&mut self.failing, true) {
                    let cause = std::error::Error::source(&error).map(tracing::field::display);
                    warn!(%error, cause, "spans are lost; check --otlp-endpoint");
                }
            }
        }
    }

    async fn send(&mut self, body: Bytes) -> Result<Bytes, PostError> {
        let mut pause = self.pause;
        for _ in 1..TRIES {
            let error = match self.collector.post(body.clone()).await {
                Err(error) if error.is_temporary() => error,
                done => return done,
            };
            let wanted = error.pause().unwrap_or(pause);
            sleep(wanted.min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
        self.collector.post(body).await
    }

    /// How many of the spans in an accepted request the collector refuses all the same.
    fn refused(&self, answer: &[u8]) -> u64 {
        let Ok(ExportResponse {
            partial_success: Some(partial),
        }) = ExportResponse::decode(answer)
        else {
            return 0;
        };
        if partial.rejected_spans > 0 && !self.failing {
            let why: String = partial.error_message.chars().take(200).collect();
            warn!(
                refused = partial.rejected_spans,
                ?why,
                "the collector refuses spans"
            );
        }
        u64::try_from(partial.rejected_spans).unwrap_or(0)
    }
}

fn request(resource: &Resource, batch: Vec<Span>) -> ExportRequest {
    let attributes = [
        ("service.name", "fairway"),
        ("service.version", &resource.version),
        ("k8s.node.name", &resource.node_name),
    ];
    let attributes = attributes.map(|(key, value)| key_value(key, Value::Text(value.to_owned())));
    ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Attributes {
                attributes: attributes.to_vec(),
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "fairway".to_owned(),
                    version: resource.version.clone(),
                }),
                spans: batch.into_iter().map(translate).collect(),
            }],
        }],
    }
}

#[cfg(test)]
mod tests;
