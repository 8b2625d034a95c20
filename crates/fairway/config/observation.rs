//! What operators can see of traffic.

use std::path::{Path, PathBuf};

use fairway_proxy::{ControllerLabels, LogFormat, MetricsOptions};
use serde::{Serialize, Serializer};

use super::{ConfigError, Environment, setting};
use crate::args::ObservationArgs;

/// Access log, metrics and traces.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observation {
    pub(crate) access_log: AccessLog,
    #[serde(serialize_with = "as_text")]
    pub(crate) access_log_format: LogFormat,
    /// At least 1.
    pub(crate) metrics_max_routes: usize,
    #[serde(rename = "ingressNginxMetrics", serialize_with = "is_some")]
    pub(crate) ingress_nginx: Option<ControllerLabels>,
    pub(crate) tracing: bool,
    /// From 0 to 1.
    pub(crate) trace_sample_ratio: f64,
    pub(crate) trace_trusted_only: bool,
    /// With the feature `otlp` only.
    #[serde(serialize_with = "optional")]
    pub(crate) otlp_endpoint: Option<http::Uri>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

impl Observation {
    pub(super) fn new(
        args: &ObservationArgs,
        controller: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let otlp_endpoint = args.otlp_endpoint.as_deref().map(endpoint).transpose()?;
        Ok(Self {
            access_log: access_log(&args.access_log)?,
            access_log_format: args.access_log_format.parse().map_err(|error| {
                let error: fairway_proxy::FormatError = error;
                let text = &args.access_log_format;
                ConfigError::value(&setting::ACCESS_LOG_FORMAT, text, error.to_string())
            })?,
            metrics_max_routes: args.metrics_max_routes as usize,
            ingress_nginx: args.ingress_nginx_metrics.then(|| ControllerLabels {
                class: controller.to_owned(),
                namespace: environment.pod_namespace.clone().unwrap_or_default(),
                pod: environment
                    .pod_name
                    .clone()
                    .unwrap_or_else(|| environment.host_name.trim().to_owned()),
            }),
            tracing: args.tracing || otlp_endpoint.is_some(),
            trace_sample_ratio: ratio(args.trace_sample_ratio)?,
            trace_trusted_only: args.trace_trusted_only,
            otlp_endpoint,
        })
    }
}

impl Observation {
    pub(crate) fn metrics(&self) -> MetricsOptions {
        MetricsOptions {
            most_routes: self.metrics_max_routes,
            ingress_nginx: self.ingress_nginx.clone(),
        }
    }
}

impl From<&AccessLog> for fairway_proxy::AccessLog {
    fn from(log: &AccessLog) -> Self {
        match log {
            AccessLog::Off => Self::Off,
            AccessLog::Stdout => Self::Stdout,
            AccessLog::File(path) => Self::File(path.clone()),
        }
    }
}

fn access_log(text: &str) -> Result<AccessLog, ConfigError> {
    match text {
        "off" => Ok(AccessLog::Off),
        "stdout" | "/dev/stdout" | "-" => Ok(AccessLog::Stdout),
        // Anything else is more likely a word that we do not know than a file in whatever directory.
        path if Path::new(path).is_absolute() => Ok(AccessLog::File(path.into())),
        other => {
            let problem = "expected stdout, off, or a file with its whole path";
            Err(ConfigError::value(&setting::ACCESS_LOG, other, problem))
        }
    }
}

fn ratio(ratio: f64) -> Result<f64, ConfigError> {
    if (0.0..=1.0).contains(&ratio) {
        return Ok(ratio);
    }
    let problem = "expected a number from 0 to 1";
    Err(ConfigError::value(
        &setting::TRACE_SAMPLE_RATIO,
        &ratio.to_string(),
        problem,
    ))
}

fn endpoint(text: &str) -> Result<http::Uri, ConfigError> {
    let wrong = |problem: &str| ConfigError::value(&setting::OTLP_ENDPOINT, text, problem);
    if !cfg!(feature = "otlp") {
        return Err(wrong(
            "this build cannot export traces: it was made without the feature otlp",
        ));
    }
    let uri: http::Uri = text.trim().parse().map_err(|_| wrong("expected a URL"))?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err(wrong(
            "expected http://HOST:PORT/v1/traces, a collector in the cluster",
        ));
    }
    Ok(uri)
}

fn is_some<S: Serializer>(
    value: &Option<ControllerLabels>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(value.is_some())
}

fn as_text<S: Serializer>(value: &LogFormat, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional<S: Serializer>(value: &Option<http::Uri>, serializer: S) -> Result<S::Ok, S::Error> {
    value
        .as_ref()
        .map(ToString::to_string)
        .serialize(serializer)
}
