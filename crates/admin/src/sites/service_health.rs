use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairway_model::ObjectName;
use http::{HeaderName, Response, StatusCode};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::server::{Body, Site, respond};
use crate::{Health, Moment};

/// How much of a Service's traffic this node can take, for load balancers that weigh.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// Whether this node serves one Service itself: the same answer whatever is asked, and however.
///
/// A Node that is going away changes nothing here, as with kube-proxy: `/healthz` says so.
#[derive(Clone, Debug)]
pub(crate) struct ServiceHealthSite {
    pub(crate) service: ObjectName,
    pub(crate) local_endpoints: Arc<AtomicUsize>,
    pub(crate) health: Health,
}

/// The order of the fields is the order on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    service: Name<'a>,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

#[derive(Serialize)]
struct Name<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Site for ServiceHealthSite {
    const ANY_METHOD: bool = true;

    fn page(&self, _path: &str) -> Option<Response<Body>> {
        let local_endpoints = self.local_endpoints.load(Ordering::Relaxed);
        let answer = Answer {
            service: Name {
                namespace: &self.service.namespace,
                name: &self.service.name,
            },
            local_endpoints,
            service_proxy_healthy: self.health.report(Moment::now()).is_live(),
        };
        let status = match local_endpoints > 0 && answer.service_proxy_healthy {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = respond(status, "application/json", answer.to_json());
        response
            .headers_mut()
            .insert(WEIGHT, local_endpoints.into());
        Some(response)
    }
}

impl Answer<'_> {
    /// Indented by tabs and without an end of line, as kube-proxy writes it.
    fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(256);
        let mut serializer =
            Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b"\t"));
        self.serialize(&mut serializer)
            .expect("names, numbers and booleans are always JSON");
        json
    }
}
