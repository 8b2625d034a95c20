//! The registry as Prometheus' text format 0.0.4, the one that kube-proxy serves.
//!
//! The metrics library writes OpenMetrics. Served as such, a scraper that asks for it would see
//! `le="1.0"` where kube-proxy says `le="1"`, and rules that select a bucket would find nothing.

#[cfg(test)]
mod tests;

use std::fmt;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

/// The content type of what [`encode`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of `registry` in the text format 0.0.4.
///
/// # Errors
///
/// When a collector in the registry fails.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut open_metrics = String::new();
    encode_registry(&mut open_metrics, registry)?;
    Ok(from_open_metrics(&open_metrics))
}

fn from_open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = "";
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "unknown"));
            push_header(&mut out, name, kind, help);
        } else if !line.starts_with('#') {
            push_sample(&mut out, line);
        }
    }
    out
}

/// In this format a counter is called what its samples are called, and there are fewer types.
fn push_header(out: &mut String, name: &str, kind: &str, help: &str) {
    let (suffix, kind) = match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        kind => ("", kind),
    };
    out.extend(["# HELP ", name, suffix, " ", help, "\n"]);
    out.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
}

/// Bucket bounds are written without a needless fraction. The library writes `le` first.
fn push_sample(out: &mut String, sample: &str) {
    let bound = sample
        .split_once("_bucket{le=\"")
        .and_then(|(name, rest)| Some((name, rest.split_once(".0\"")?)));
    match bound {
        Some((name, (bound, rest))) if bound.bytes().all(|byte| byte.is_ascii_digit()) => {
            out.extend([name, "_bucket{le=\"", bound, "\"", rest, "\n"]);
        }
        _ => out.extend([sample, "\n"]),
    }
}
