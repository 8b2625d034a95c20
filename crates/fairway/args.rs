//! The command line, as typed. What it means is decided in [`crate::config`].

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::config::{Command, Config, ConfigError, Demo, Environment, Render};
use crate::logging::{Format, Logging};

/// What to do and how to log meanwhile.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) logging: Logging,
}

/// Reads this process's arguments and environment. Ends the process after `--help` (exit code 0)
/// and on wrong usage (exit code 2).
pub(crate) fn parse() -> Invocation {
    match parse_from(std::env::args_os(), &Environment::of_this_process()) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    }
}

fn parse_from(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    environment: &Environment,
) -> Result<Invocation, clap::Error> {
    let cli = Cli::try_parse_from(arguments)?;
    let (name, command) = match cli.command {
        CommandArgs::Run(run) => {
            let config = Config::new(*run, environment);
            ("run", config.map(|it| Command::Run(Box::new(it))))
        }
        CommandArgs::Demo(demo) => ("demo", Ok(Command::Demo(Demo { keep: demo.keep }))),
        CommandArgs::Render(render) => {
            let render = Render::new(render, environment);
            ("render", render.map(Command::Render))
        }
        CommandArgs::Cleanup => ("cleanup", Ok(Command::Cleanup)),
    };
    Ok(Invocation {
        command: command.map_err(|error| wrong_usage(name, &error))?,
        logging: Logging {
            format: cli.log.log_format,
            verbosity: cli.log.v,
        },
    })
}

/// As clap reports what it finds itself, with the usage of the subcommand in question.
fn wrong_usage(subcommand: &str, error: &ConfigError) -> clap::Error {
    let mut cli = Cli::command();
    cli.build();
    match cli.find_subcommand_mut(subcommand) {
        Some(command) => command.error(ErrorKind::ValueValidation, error),
        None => cli.error(ErrorKind::ValueValidation, error),
    }
}

/// kube-proxy and ingress router in one program per node
#[derive(Debug, Parser)]
#[command(
    name = "fairway",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: CommandArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum CommandArgs {
    /// Program this node's Services and route its ingress traffic, until SIGTERM
    Run(Box<RunArgs>),
    /// Show all of it at work: two nodes, pods and a load balancer in network namespaces
    Demo(DemoArgs),
    /// Print the ruleset that `run` would program, as nft text; needs no privileges
    Render(RenderArgs),
    /// Remove everything that fairway programmed on this node
    Cleanup,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) service_proxy: ServiceProxyArgs,
    #[command(flatten)]
    pub(crate) ingress: IngressArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// Without either: the service account of the pod that fairway runs in.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SourceArgs {
    /// Take objects from the YAML and JSON files below this directory, and watch it
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: Option<PathBuf>,

    /// Take objects from the API server that this file names [default: the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// This node's name in the cluster [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname_override: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct ServiceProxyArgs {
    /// Program Services into nf_tables
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) service_proxy: bool,

    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

/// What decides the ruleset, and therefore concerns `render` too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct RuleArgs {
    /// The pod network: one CIDR, or one per address family with a comma between
    ///
    /// ClusterIP traffic from elsewhere is masqueraded.
    #[arg(long, value_name = "CIDR[,CIDR]")]
    pub(crate) cluster_cidr: Option<String>,

    /// How traffic from this node's pods is recognised
    ///
    /// ClusterCIDR: by --cluster-cidr; NodeCIDR: by the Node's pod CIDRs; BridgeInterface and
    /// InterfaceNamePrefix: by the interface that it comes in through.
    #[arg(long, value_name = "MODE", default_value = "ClusterCIDR")]
    pub(crate) detect_local_mode: String,

    /// The bridge of this node's pods, for BridgeInterface
    #[arg(long, value_name = "NAME")]
    pub(crate) pod_bridge_interface: Option<String>,

    /// What the names of pods' interfaces begin with, for InterfaceNamePrefix
    #[arg(long, value_name = "PREFIX")]
    pub(crate) pod_interface_name_prefix: Option<String>,

    /// The local addresses that node ports are served on: primary, or CIDRs [default: primary]
    ///
    /// primary is the Node's first address of each family. Of a family without a CIDR all addresses
    /// are; never loopback.
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) nodeport_addresses: Vec<String>,

    /// Masquerade all ClusterIP traffic
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "false",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) masquerade_all: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Ingress")]
pub(crate) struct IngressArgs {
    /// Route Ingress traffic
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) ingress: bool,

    /// Where to accept HTTP; may be repeated. The default accepts IPv4 too
    #[arg(
        long,
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "[::]:8080"
    )]
    pub(crate) ingress_http_address: Vec<String>,

    /// Where to accept HTTPS; may be repeated; empty: nowhere. The default accepts IPv4 too
    #[arg(
        long,
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "[::]:8443"
    )]
    pub(crate) ingress_https_address: Vec<String>,

    /// The Secret of the certificate for hosts that have none [default: a self-signed certificate]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) default_tls_secret: Option<String>,

    /// Send clear-text requests for hosts with TLS to https, by status 308
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) redirect_to_https: bool,

    /// Seconds for which browsers use a host that has a certificate by https only; 0: not said
    ///
    /// The header Strict-Transport-Security; one that the application sets itself is left alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 31_536_000)]
    pub(crate) hsts_max_age: u32,

    /// The IngressClass (and legacy annotation value) that is served
    #[arg(long, value_name = "NAME", default_value = "fairway")]
    pub(crate) ingress_class: String,

    /// spec.controller of the IngressClasses that are served; may be repeated
    ///
    /// Naming another controller adopts its classes.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "fairway.dev/ingress"
    )]
    pub(crate) controller: Vec<String>,

    /// Serve Ingresses that name no class, too
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "false",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) watch_ingress_without_class: bool,

    /// Networks whose X-Forwarded-* headers are believed: addresses or CIDRs [default: none]
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<String>,

    /// Threads that carry traffic [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Seconds that open requests get to finish after SIGTERM
    ///
    /// Keep it below the pod's terminationGracePeriodSeconds (30 unless you set it).
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) drain_seconds: u32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Health and metrics")]
pub(crate) struct AdminArgs {
    /// Where to answer /healthz and /livez; empty: nowhere
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:10256")]
    pub(crate) healthz_bind_address: String,

    /// Where to answer /metrics; empty: nowhere
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10249")]
    pub(crate) metrics_bind_address: String,

    /// Exit when one of these two addresses is taken, rather than try again
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "false",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = boolean)]
    pub(crate) bind_address_hard_fail: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Leave the demo cluster up, and say how to poke at it
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// Take objects from the YAML and JSON files below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,

    /// The node whose ruleset to print [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,

    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
struct LogArgs {
    /// How much to log: 0-3 what an operator wants, 4-5 debugging, 6 and more everything
    ///
    /// RUST_LOG, where set, decides instead.
    #[arg(long, short, global = true, value_name = "LEVEL", default_value_t = 0)]
    v: u8,

    /// How to log, to stderr
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    log_format: Format,
}

/// The spellings that kube-proxy's flags take.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("say true or false".to_owned()),
    }
}
