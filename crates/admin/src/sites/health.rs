use std::sync::Arc;

use http::{Response, StatusCode};

use crate::server::{Body, Site, respond};
use crate::{Health, Moment, ProbeMetrics};

/// The health port: `/healthz` for load balancers, `/livez` for the kubelet.
#[derive(Clone)]
pub struct HealthSite {
    /// What to report.
    pub health: Health,
    /// Where the answers are counted.
    pub probes: ProbeMetrics,
    /// What RBAC forbids at the moment. Nobody is turned away for it, as what is served may not need it.
    pub forbidden: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl Site for HealthSite {
    const ANY_METHOD: bool = true;

    fn page(&self, path: &str) -> Option<Response<Body>> {
        let mut report = self.health.report(Moment::now());
        report.forbidden = (self.forbidden)();
        let (passed, body, count) = match path {
            "/healthz" => (
                report.is_ready(),
                report.healthz_body(),
                &self.probes.healthz,
            ),
            "/livez" => (report.is_live(), report.livez_body(), &self.probes.livez),
            _ => return None,
        };
        let status = match passed {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        count.answered(status);
        Some(respond(status, "application/json", body))
    }
}
