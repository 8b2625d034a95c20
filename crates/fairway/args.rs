//! The command line, as typed. What it means is decided in [`crate::config`].

mod cleanup;
mod ingress;
mod insight;
mod log;
mod observation;
mod render;
mod run;
mod service_proxy;
mod spelling;
mod status;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::cleanup::CleanupArgs;
pub(crate) use self::ingress::{IngressArgs, ProxyProtocol};
use self::insight::{CheckArgs, DoctorArgs, ExplainArgs};
use self::log::LogArgs;
pub(crate) use self::observation::ObservationArgs;
pub(crate) use self::render::RenderArgs;
pub(crate) use self::run::{RetiredArgs, RunArgs, SettingsArgs};
pub(crate) use self::service_proxy::ServiceProxyArgs;
pub(crate) use self::spelling::boolean;
pub(crate) use self::status::StatusArgs;
#[cfg(feature = "demo")]
use crate::config::Demo;
use crate::config::{Command, Environment, KubeProxyConfiguration, LoadError, Render};
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
        CommandArgs::Run(run) => {
            Ok(crate::config::Loader::new(*run, given, environment.clone()).load())
        }
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

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
struct DemoArgs {
    /// Leave the demo cluster up, and say how to poke at it
    #[arg(long)]
    keep: bool,
}
