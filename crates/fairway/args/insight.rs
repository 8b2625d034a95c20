use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use fairway_explain::Question;

use super::run::{RunArgs, SettingsArgs, SourceArgs};
use crate::config::{
    Check, Command, ConfigError, Doctor, Environment, Explain, LoadError, Loader, Output,
};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// A URL, or an address and port, such as `https://shop.example.com/cart` and `10.96.0.10:53/udp`
    #[arg(value_name = "URL|ADDR:PORT[/PROTO]")]
    question: String,

    /// Take objects from the YAML and JSON files below this directory
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    manifests: Option<PathBuf>,

    /// Take objects from the API server that this file names
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Who sends it: an address [default: everybody]
    #[arg(long, value_name = "ADDR")]
    from: Option<IpAddr>,

    /// The method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// A header of the request; may be repeated
    #[arg(long, short = 'H', value_name = "NAME:VALUE")]
    header: Vec<String>,

    /// How to answer
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Output,

    /// The node that is asked about, where no agent is [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,

    #[command(flatten)]
    settings: SettingsArgs,
}

impl ExplainArgs {
    pub(super) fn command(
        self,
        given: Vec<String>,
        environment: &Environment,
    ) -> Result<Command, LoadError> {
        let mut question = Question::parse(&self.question).map_err(ConfigError::from)?;
        question.from = self.from;
        question.method = self.method;
        for header in &self.header {
            question.add_header(header).map_err(ConfigError::from)?;
        }
        let by_objects = self.manifests.is_some() || self.kubeconfig.is_some();
        let config = by_objects.then(|| {
            let source = SourceArgs {
                manifests: self.manifests,
                kubeconfig: self.kubeconfig,
            };
            let run = RunArgs::reading(source, self.node_name, self.settings);
            Loader::new(run, given, environment.clone()).load()
        });
        Ok(Command::Explain(Explain {
            question,
            config: config.transpose()?.map(Box::new),
            output: self.output,
        }))
    }
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Also ask the API server that this file names, and compare clocks [default: the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The Node that this is [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,

    /// How to answer
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Output,

    #[command(flatten)]
    settings: SettingsArgs,
}

impl DoctorArgs {
    pub(super) fn command(
        self,
        given: Vec<String>,
        environment: &Environment,
    ) -> Result<Command, LoadError> {
        let source = SourceArgs {
            manifests: None,
            kubeconfig: self.kubeconfig,
        };
        let run = RunArgs::reading(source, self.node_name, self.settings);
        let config = Loader::new(run, given, environment.clone()).load()?;
        Ok(Command::Doctor(Doctor {
            config: Box::new(config),
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            output: self.output,
        }))
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,

    /// How to answer
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Output,

    #[command(flatten)]
    settings: SettingsArgs,
}

impl CheckArgs {
    pub(super) fn command(
        self,
        given: Vec<String>,
        environment: &Environment,
    ) -> Result<Command, LoadError> {
        let run = RunArgs::reading(self.source, None, self.settings);
        let config = Loader::new(run, given, environment.clone()).load()?;
        Ok(Command::Check(Check {
            config: Box::new(config),
            output: self.output,
        }))
    }
}
