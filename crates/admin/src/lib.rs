//! What others ask the agent about itself: health probes and metrics, over small HTTP servers.
//!
//! ```text
//! agent loop ── queued / applied / set_node / set_draining ──> Health ──> /healthz /livez      :10256
//!            ├─ durations, changes, failures ──> ServiceProxyMetrics ──> /metrics /configz     :10249
//!            ├─ snapshot, when asked ──> StatusFeed ──> /status /status.json                   :10249
//!            └─ local endpoints of a Service ──> ServiceHealthServers ──> healthCheckNodePort
//! ```
//!
//! Paths, bodies, status codes and metric names are kube-proxy's, so that load balancers, probes,
//! dashboards and alerts made for it go on working. The ports are apart because they have
//! different readers: health is for the load balancer, metrics stay on loopback by default.

mod connections;
mod exposition;
mod family;
mod health;
mod listener;
mod local;
mod metrics;
mod moment;
mod process;
mod refresh;
mod server;
mod service_health;
mod sites;
mod status;

pub use connections::{ConnectionMetrics, EndpointLabels, ServiceLabels};
pub use exposition::{CONTENT_TYPE, encode};
pub use family::IpFamily;
pub use health::{DEFAULT_STALE_AFTER, FamilyHealth, Health, HealthReport, NodeState};
pub use listener::{BindError, Listener, Purpose};
pub use local::LocalListener;
pub use metrics::{FamilyMetrics, ProbeMetrics, ServiceProxyMetrics, SyncKind, SyncOutcome};
pub use moment::Moment;
pub use process::{ProcessMetrics, ProcessUsage, register_build_info};
pub use refresh::{Refresh, RefreshRequests, Waiting};
pub use server::{Asked, Body, Site, json, plain_text, serve, serve_local};
pub use service_health::{HealthCheck, HealthServer, ServiceHealthServers, UnservedHealthServer};
pub use sites::{HealthSite, MetricsSite};
pub use status::{
    Judge, Judgement, MOST_PROBLEMS, ObjectNameText, ReportedProblem, RouteTraffic,
    ShownCertificate, Status, StatusFeed, StatusRequest, StatusRequests,
};
