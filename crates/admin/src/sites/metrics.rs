use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::sync::watch;
use tracing::error;

use crate::exposition::{CONTENT_TYPE, encode};
use crate::server::{Asked, Body, Site, plain_text, respond};
use crate::status::StatusSite;
use crate::{Health, Refresh, StatusFeed};

/// The metrics port: `/metrics`, and what kube-proxy's tools ask there: `/healthz` (this server
/// answers at all), `/proxyMode` and `/configz`. Also the status page.
#[derive(Clone, Debug)]
pub struct MetricsSite {
    registry: Arc<Registry>,
    config: watch::Receiver<Value>,
    refresh: Option<Refresh>,
    status: Option<StatusSite>,
}

impl MetricsSite {
    /// Serves the metrics in `registry` and the configuration in force: documents by API group, as
    /// Kubernetes' components answer.
    pub fn new(registry: Arc<Registry>, config: watch::Receiver<Value>) -> Self {
        Self {
            registry,
            config,
            refresh: None,
            status: None,
        }
    }

    /// Has a status page, `/status`, and its data as JSON, `/status.json`.
    #[must_use]
    pub fn telling(mut self, status: StatusFeed, health: Health) -> Self {
        self.status = Some(StatusSite::new(status, health));
        self
    }

    /// Has some of the metrics read before each answer.
    #[must_use]
    pub fn refreshing(mut self, refresh: Option<Refresh>) -> Self {
        self.refresh = refresh;
        self
    }

    fn metrics(&self) -> Response<Body> {
        match encode(&self.registry) {
            Ok(text) => respond(StatusCode::OK, CONTENT_TYPE, text),
            Err(error) => {
                error!(%error, "cannot write the metrics: a collector failed");
                plain_text(StatusCode::INTERNAL_SERVER_ERROR, "a collector failed\n")
            }
        }
    }
}

impl Site for MetricsSite {
    async fn refresh(&self, path: &str) {
        if let Some(refresh) = &self.refresh
            && path == "/metrics"
        {
            refresh.refresh().await;
        }
        if let Some(status) = &self.status {
            status.refresh(path).await;
        }
    }

    fn answer(&self, asked: &Asked<'_>) -> Option<Response<Body>> {
        let status = self.status.as_ref();
        let status = status.and_then(|status| status.answer(asked));
        status.or_else(|| self.page(asked.path))
    }

    fn page(&self, path: &str) -> Option<Response<Body>> {
        match path {
            "/metrics" => Some(self.metrics()),
            "/healthz" => Some(plain_text(StatusCode::OK, "ok")),
            "/proxyMode" => Some(plain_text(StatusCode::OK, "nftables")),
            "/configz" => Some(respond(
                StatusCode::OK,
                "application/json",
                Bytes::from(self.config.borrow().to_string()),
            )),
            _ => None,
        }
    }
}
