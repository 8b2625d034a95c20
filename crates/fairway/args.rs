//! The command line, as typed. What it means is decided in [`crate::config`].

mod insight;
mod observation;
mod spelling;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use self::insight::{CheckArgs, DoctorArgs, ExplainArgs};
pub(crate) use self::observation::ObservationArgs;
pub(crate) use self::spelling::boolean;
use crate::cleanup::Cleanup;
#[cfg(feature = "demo")]
use crate::config::Demo;
use crate::config::{
    Command, Environment, FairwayConfiguration, KubeProxyConfiguration, LoadError, Loader, Render,
};
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
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
    environment: &Environment,
) -> Result<Invocation, clap::Error> {
    let (cli, given) = read(arguments)?;
    let mut logging = Logging {
        format: cli.log.log_format.unwrap_or(Format::Text),
        verbosity: cli.log.v.unwrap_or(0),
        quiet: matches!(
            cli.command,
            CommandArgs::Explain(_) | CommandArgs::Doctor(_) | CommandArgs::Check(_)
        ),
    };
    let (name, command) = match cli.command {
        CommandArgs::Run(run) => (
            "run",
            run.command(given, &cli.log, &mut logging, environment),
        ),
        #[cfg(feature = "demo")]
        CommandArgs::Demo(demo) => ("demo", Ok(Command::Demo(Demo { keep: demo.keep }))),
        CommandArgs::Render(render) => {
            let render = Render::new(*render, environment);
            ("render", render.map(Command::Render))
        }
        CommandArgs::Explain(explain) => ("explain", explain.command(given, environment)),
        CommandArgs::Check(check) => ("check", check.command(given, environment)),
        CommandArgs::Doctor(doctor) => ("doctor", doctor.command(given, environment)),
        CommandArgs::Cleanup(cleanup) => ("cleanup", Ok(Command::Cleanup(cleanup.what()))),
    };
    let command = command.map_err(|error| wrong_usage(name, &error))?;
    Ok(Invocation { command, logging })
}

/// The command line, and those of kube-proxy's flags that are on it.
fn read(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<(Cli, Vec<String>), clap::Error> {
    let arguments = spelling::with_dashes(arguments);
    let mut matches = definition().try_get_matches_from(arguments)?;
    let flags = KubeProxyConfiguration::augment_args(clap::Command::new(""));
    let subcommand = matches.subcommand();
    let given = subcommand.map(|(_, matches)| spelling::given(matches, &flags));
    let given = given.unwrap_or_default();
    Ok((Cli::from_arg_matches_mut(&mut matches)?, given))
}

/// The configuration of `run`.
#[cfg(test)]
pub(crate) fn load<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    environment: &Environment,
) -> Result<Result<crate::config::Config, LoadError>, clap::Error> {
    let (cli, given) = read(arguments)?;
    match cli.command {
        CommandArgs::Run(run) => Ok(Loader::new(*run, given, environment.clone()).load()),
        other => panic!("{other:?}"),
    }
}

fn definition() -> clap::Command {
    // What `run` is given may be given to `render`, but not all of it decides rules.
    let hide_others = |flag: clap::Arg| match flag.get_help_heading() {
        None | Some("Service proxy") => flag,
        Some(_) => flag.hide(true),
    };
    // They are taken, so that the agent's command line can be used as it is, and few matter to an answer.
    let hide_all = |flag: clap::Arg| match flag.get_help_heading() {
        None => flag,
        Some(_) => flag.hide(true),
    };
    let cli = Cli::command()
        .mut_subcommand("render", |render| render.mut_args(hide_others))
        .mut_subcommand("explain", |explain| explain.mut_args(hide_all))
        .mut_subcommand("check", |check| check.mut_args(hide_all))
        .mut_subcommand("doctor", |doctor| doctor.mut_args(hide_all));
    spelling::as_in_go(cli)
}

/// As clap reports what it finds itself, with the usage of the subcommand in question.
fn wrong_usage(subcommand: &str, error: &LoadError) -> clap::Error {
    let mut cli = definition();
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
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Print the ruleset that `run` would program, as nft text; needs no privileges
    Render(Box<RenderArgs>),
    /// Say why a request or a packet goes where it goes, or nowhere
    ///
    /// Asks the agent that runs on this node, unless --manifests or --kubeconfig names objects.
    Explain(Box<ExplainArgs>),
    /// Look for what stands in the way on this node: kernel, settings, other tables, ports, pod network
    ///
    /// Changes nothing. Fails if there is a fault; warnings are none.
    Doctor(Box<DoctorArgs>),
    /// List what Services and Ingresses ask for and do not get, and why; fails if there is any
    Check(Box<CheckArgs>),
    /// Remove everything that fairway programmed on this node, or what kube-proxy left
    Cleanup(CleanupArgs),
}

/// Everything is a flag; files are laid over the flags in [`crate::config`].
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Take the place of the fairway that runs on this node, if one does, without a refused connection
    ///
    /// It serves until this one does, finishes what it has begun, and waits to be stopped.
    #[arg(long)]
    pub(crate) takeover: bool,

    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) fairway: FairwayConfiguration,
    #[command(flatten)]
    pub(crate) kube_proxy: KubeProxyConfiguration,
    #[command(flatten)]
    pub(crate) retired: RetiredArgs,
    #[command(flatten)]
    errand: ErrandArgs,
}

impl RunArgs {
    /// What decides how objects are read, without anything being run.
    fn reading(
        source: SourceArgs,
        node_name: Option<String>,
        files: FileArgs,
        fairway: FairwayConfiguration,
        kube_proxy: KubeProxyConfiguration,
    ) -> Self {
        Self {
            source,
            takeover: false,
            node: NodeArgs {
                hostname_override: node_name,
            },
            files,
            fairway,
            kube_proxy,
            retired: RetiredArgs::default(),
            errand: ErrandArgs::default(),
        }
    }

    fn command(
        self,
        given: Vec<String>,
        log: &LogArgs,
        logging: &mut Logging,
        environment: &Environment,
    ) -> Result<Command, LoadError> {
        let errand = self.errand.clone();
        if errand.cleanup {
            return Ok(Command::Cleanup(Cleanup::Fairway));
        }
        let loader = Loader::new(self, given, environment.clone());
        let config = loader.load()?;
        // As with kube-proxy, the flags count first here.
        let (format, verbosity) = config.logging();
        logging.format = log.log_format.or(format).unwrap_or(logging.format);
        logging.verbosity = log.v.or(verbosity).unwrap_or(logging.verbosity);
        Ok(match errand.write_config_to {
            Some(path) => Command::WriteConfig(Box::new(config), path),
            None if errand.init_only => Command::Initialize(Box::new(config)),
            None => Command::Run(Box::new(config), Box::new(loader)),
        })
    }
}

/// Without either: the service account of the pod that fairway runs in.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SourceArgs {
    /// Take objects from the YAML and JSON files below this directory, and watch it
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: Option<PathBuf>,

    /// Take objects from the API server that this file names [default: the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArgs {
    /// This node's name in the cluster [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname_override: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Service proxy")]
pub(crate) struct ServiceProxyArgs {
    /// Program Services into nf_tables
    #[arg(long, default_value = "true")]
    pub(crate) service_proxy: bool,

    /// Serve node ports on 127.0.0.1 and ::1, too, through a relay
    ///
    /// For tools of the node that ask localhost; TCP and UDP.
    #[arg(long, default_value = "false")]
    pub(crate) loopback_node_ports: bool,

    /// Reset TCP connections through a Service at their next packet once their endpoint is gone
    ///
    /// Gone means from the EndpointSlices, where it stays while it terminates. Clients that only wait
    /// notice nothing. Also resets connections that this node does not know, such as those that moved
    /// here from another node, and those of before conntrack's table was emptied.
    #[arg(long, default_value = "false")]
    pub(crate) reset_removed_endpoints: bool,

    /// Count the connections that Services and endpoints get from this node, for /metrics
    ///
    /// Costs a look-up for each new connection and, in the kernel, an element for each address and
    /// node port of a Service with each endpoint.
    #[arg(long, default_value = "false")]
    pub(crate) count_connections: bool,

    /// Let established TCP connections through Services, whose packets come in here, skip the kernel's chains
    ///
    /// A flow table of these interfaces, for example eth0,cni0,flannel.1. Filters of others for forwarded
    /// packets see only the first packets of such a connection: not beside network policies that look at each.
    #[arg(long, value_name = "INTERFACE", value_delimiter = ',')]
    pub(crate) flow_table_interfaces: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Ingress")]
pub(crate) struct IngressArgs {
    /// Route Ingress traffic
    #[arg(long, default_value = "true")]
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

    /// Forward to Services of type ExternalName
    ///
    /// Never to loopback, link-local (so no metadata service), multicast, this node's or Services' addresses,
    /// whatever the name is.
    #[arg(long, default_value = "true")]
    pub(crate) external_names: bool,

    /// Send clear-text requests for hosts with TLS to https, by status 308
    #[arg(long, default_value = "true")]
    pub(crate) redirect_to_https: bool,

    /// Seconds for which browsers use a host that has a certificate by https only; 0: not said
    ///
    /// The header Strict-Transport-Security; one that the application sets itself is left alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 31_536_000)]
    pub(crate) hsts_max_age: u32,

    /// Accept HTTP/2 in clear text, too, from clients that begin with it (prior knowledge)
    ///
    /// With TLS it needs no flag: clients ask for it by ALPN.
    #[arg(long)]
    pub(crate) ingress_h2c: bool,

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
    #[arg(long)]
    pub(crate) watch_ingress_without_class: bool,

    /// Networks whose X-Forwarded-* headers and PROXY protocol are believed: addresses or CIDRs [default: none]
    #[arg(long, value_name = "CIDR[,CIDR...]", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<String>,

    /// Whether connections of trusted proxies begin with a PROXY protocol header, on HTTP and HTTPS
    ///
    /// With `optional`, whoever is not trusted or sends none speaks for itself; with `required`, both are
    /// turned away.
    #[arg(long, value_enum, value_name = "MODE", default_value = "off")]
    pub(crate) proxy_protocol: ProxyProtocol,

    /// The most connections of clients [default: 65536 per worker]
    ///
    /// For one more, the connection is closed that has been idle for longest.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,

    /// The most connections of one client: an IPv4 address or an IPv6 /64 [default: no limit]
    ///
    /// Trusted proxies that do not tell who is behind them (PROXY protocol) have none.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections_per_client: Option<u32>,

    /// Bytes a second that a request's body has to bring after its first minute; 0 for none
    ///
    /// Only time counts that is spent waiting for the client. Calls of gRPC and WebSockets are exempt.
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    pub(crate) min_body_rate: u32,

    /// Bytes a second that a client has to take of a response after its first minute; 0 for none
    ///
    /// Only time counts in which the client keeps a response waiting. WebSockets are exempt.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) min_response_rate: u32,

    /// Share of the container's memory limit above which requests are refused, in percent; 0 for none
    ///
    /// Above it, idle connections are closed and further requests get 503. Those under way go on, and so do a
    /// few new ones. Without a limit there is none.
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) memory_watermark: u8,

    /// Threads that carry traffic [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Seconds in which new connections are still accepted after SIGTERM, while /healthz says 503
    ///
    /// As long as load balancers take to notice: the number of checks that must fail times their interval,
    /// and their time-out. Part of --drain-seconds. SIGINT, or a second SIGTERM, skips it.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) drain_delay_seconds: u32,

    /// Seconds from SIGTERM until requests that are still open are cut
    ///
    /// Keep it below the pod's terminationGracePeriodSeconds (30 unless you set it).
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) drain_seconds: u32,
}

/// Without any of these, statuses are left as they are.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Status of Ingresses, written by one of all agents")]
pub(crate) struct StatusArgs {
    /// Publish where this Service is reached: its load balancer and external IPs
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) publish_service: Option<String>,

    /// Publish these addresses or DNS names; may be repeated
    #[arg(long, value_name = "ADDRESS[,ADDRESS...]", value_delimiter = ',')]
    pub(crate) publish_status_address: Vec<String>,

    /// Publish the addresses of all Nodes that are ready and not excluded from load balancers
    #[arg(long)]
    pub(crate) publish_node_addresses: bool,
}

/// Of `--proxy-protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProxyProtocol {
    Off,
    Optional,
    Required,
}

impl From<ProxyProtocol> for fairway_proxy::ProxyProtocol {
    fn from(mode: ProxyProtocol) -> Self {
        match mode {
            ProxyProtocol::Off => Self::Off,
            ProxyProtocol::Optional => Self::Optional,
            ProxyProtocol::Required => Self::Required,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// Read a KubeProxyConfiguration, a FairwayConfiguration or both; may be repeated
    ///
    /// A KubeProxyConfiguration replaces all flags that kube-proxy has, but --hostname-override and
    /// --v; a FairwayConfiguration has fields called like the other flags (drainSeconds for
    /// --drain-seconds) and replaces those that it names. `run` follows changes of the files.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
}

/// Instead of running.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Errands, after which run ends")]
struct ErrandArgs {
    /// Write the configuration that is in force as a file for --config
    #[arg(long, value_name = "FILE")]
    write_config_to: Option<PathBuf>,

    /// Set what needs all of root's rights (kernel settings); run itself then needs CAP_NET_ADMIN
    #[arg(long)]
    init_only: bool,

    /// The same as `fairway cleanup`
    #[arg(long)]
    cleanup: bool,
}

/// What kube-proxy still takes, or took until lately.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RetiredArgs {
    #[arg(long, value_name = "PORT", hide = true)]
    pub(crate) healthz_port: Option<u16>,

    #[arg(long, value_name = "PORT", hide = true)]
    pub(crate) metrics_port: Option<u16>,

    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) master: Option<String>,
}

#[derive(Debug, Args)]
struct CleanupArgs {
    /// Instead of fairway's rules, remove what kube-proxy left, of all its modes and nobody else's
    ///
    /// kube-proxy must have been stopped, and fairway may run: its rules have to be there.
    #[arg(long)]
    kube_proxy: bool,

    /// Only say what kube-proxy left
    #[arg(long, requires = "kube_proxy")]
    dry_run: bool,
}

impl CleanupArgs {
    fn what(&self) -> Cleanup {
        match self.kube_proxy {
            true => Cleanup::KubeProxy {
                dry_run: self.dry_run,
            },
            false => Cleanup::Fairway,
        }
    }
}

#[cfg(feature = "demo")]
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
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) fairway: FairwayConfiguration,
    #[command(flatten)]
    pub(crate) kube_proxy: KubeProxyConfiguration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
struct LogArgs {
    /// How much to log [default: 0]: 0-3 what an operator wants, 4-5 debugging, 6 and more everything
    ///
    /// RUST_LOG, where set, decides instead.
    #[arg(long, short, global = true, value_name = "LEVEL")]
    v: Option<u8>,

    /// How to log, to stderr [default: text]
    #[arg(
        long,
        alias = "logging-format",
        global = true,
        value_enum,
        value_name = "FORMAT"
    )]
    log_format: Option<Format>,

    #[command(flatten)]
    klog: KlogArgs,
}

/// Flags of kube-proxy's logger that manifests still have; without effect.
#[derive(Debug, Args)]
struct KlogArgs {
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
