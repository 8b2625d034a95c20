//! The pages of the servers.

mod health;
mod metrics;
mod service_health;

pub use health::HealthSite;
pub use metrics::MetricsSite;
pub(crate) use service_health::ServiceHealthSite;
