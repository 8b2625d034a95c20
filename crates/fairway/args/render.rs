use std::path::PathBuf;

use clap::Args;

use super::run::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// Take objects from the YAML and JSON files below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) manifests: PathBuf,

    /// The node whose ruleset to print [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}
