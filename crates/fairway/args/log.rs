use clap::Args;

use crate::logging::Format;

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct LogArgs {
    /// How much to log [default: 0]: 0-3 what an operator wants, 4-5 debugging, 6 and more everything
    ///
    /// RUST_LOG, where set, decides instead.
    #[arg(long, short, global = true, value_name = "LEVEL")]
    pub(super) v: Option<u8>,

    /// How to log, to stderr [default: text]
    #[arg(
        long,
        alias = "logging-format",
        global = true,
        value_enum,
        value_name = "FORMAT"
    )]
    pub(super) log_format: Option<Format>,

    #[command(flatten)]
    klog: KlogArgs,
}

/// Flags of kube-proxy's logger that manifests still have; without effect.
#[derive(Debug, Args)]
pub(super) struct KlogArgs {
    #[arg(long, global = true, value_name = "PATTERN=LEVEL", hide = true)]
    vmodule: Option<String>,
    #[arg(long, global = true, value_name = "DURATION", hide = true)]
    log_flush_frequency: Option<String>,
    #[arg(long, global = true, value_name = "SIZE", hide = true)]
    log_json_info_buffer_size: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_json_split_stream: bool,
    #[arg(long, global = true, value_name = "SIZE", hide = true)]
    log_text_info_buffer_size: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_text_split_stream: bool,
    #[arg(long, global = true, hide = true)]
    logtostderr: bool,
    #[arg(long, global = true, hide = true)]
    alsologtostderr: bool,
    #[arg(long, global = true, value_name = "LEVEL", hide = true)]
    stderrthreshold: Option<String>,
}
