//! Sends recorded spans to a collector by OTLP: protobuf over HTTP/1.1, the protocol's default for HTTP.
//!
//! ```text
//! proxy: Span --> bounded channel --> Exporter: batches of 512, or whatever there is once a second --> POST
//! ```
//!
//! Nothing waits for a collector. What it does not take in time, or says it cannot take now, is tried again
//! a few times and then dropped and counted; meanwhile the channel fills, and the proxy drops and counts.

mod exporter;
mod message;
mod metrics;
mod post;
mod translate;

pub use exporter::{Exporter, Resource};
pub use metrics::ExportMetrics;
