use clap::Args;
use serde::{Deserialize, Serialize};

/// What operators can see of traffic.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Access log, metrics and traces")]
pub(crate) struct ObservationArgs {
    /// Where the access log goes: stdout, off, or a file
    ///
    /// SIGUSR1 opens the file anew, after it has been moved away.
    #[arg(long, value_name = "FILE", default_value = "stdout")]
    pub(crate) access_log: String,

    /// How its lines are written: json, nginx (as ingress-nginx), combined, or a text with variables
    ///
    /// For example '$remote_addr "$request" $status $upstream_addr', as in nginx's log_format.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(crate) access_log_format: String,

    /// The most routes that have metrics of their own; further ones are counted together
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) metrics_max_routes: u32,

    /// Serve metrics also by the names of ingress-nginx, for dashboards that ask for those
    #[arg(long)]
    pub(crate) ingress_nginx_metrics: bool,

    /// Make each request a span of its trace (W3C Trace Context), or of a new one
    ///
    /// Without, the headers traceparent and tracestate pass untouched.
    #[arg(long)]
    pub(crate) tracing: bool,

    /// How many of the traces that start here are recorded: 0 for none, 1 for all
    ///
    /// For others, whoever started them has decided.
    #[arg(long, value_name = "RATIO", default_value = "0.01")]
    pub(crate) trace_sample_ratio: f64,

    /// Go on with traces of trusted proxies only; those of anybody else start anew
    #[arg(long)]
    pub(crate) trace_trusted_only: bool,

    /// Where recorded spans are sent, by OTLP over HTTP: http://collector:4318/v1/traces [default: nowhere]
    ///
    /// Of builds with the feature `otlp`. Implies --tracing.
    #[arg(long, value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}
