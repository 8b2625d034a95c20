//! The pages of the two servers.

mod health;
mod metrics;

pub use health::HealthSite;
pub use metrics::MetricsSite;
