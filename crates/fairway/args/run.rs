use std::path::PathBuf;

use clap::Args;

use super::log::LogArgs;
use crate::cleanup::Cleanup;
use crate::config::{
    Command, Environment, FairwayConfiguration, KubeProxyConfiguration, LoadError, Loader,
};
use crate::logging::Logging;

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
    pub(crate) settings: SettingsArgs,
    #[command(flatten)]
    pub(crate) retired: RetiredArgs,
    #[command(flatten)]
    errand: ErrandArgs,
}

impl RunArgs {
    /// What decides how objects are read, without anything being run.
    pub(super) fn reading(
        source: SourceArgs,
        node_name: Option<String>,
        settings: SettingsArgs,
    ) -> Self {
        Self {
            source,
            takeover: false,
            node: NodeArgs {
                hostname_override: node_name,
            },
            settings,
            retired: RetiredArgs::default(),
            errand: ErrandArgs::default(),
        }
    }

    pub(super) fn command(
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

/// What files of both kinds set, too.
#[derive(Clone, Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Read a KubeProxyConfiguration, a FairwayConfiguration or both; may be repeated
    ///
    /// A KubeProxyConfiguration replaces all flags that kube-proxy has, but --hostname-override and
    /// --v; a FairwayConfiguration has fields called like the other flags (drainSeconds for
    /// --drain-seconds) and replaces those that it names. `run` follows changes of the files.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) fairway: FairwayConfiguration,
    #[command(flatten)]
    pub(crate) kube_proxy: KubeProxyConfiguration,
}

/// Instead of running.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Errands, after which run ends")]
pub(super) struct ErrandArgs {
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
