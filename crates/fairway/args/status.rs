use clap::Args;
use serde::{Deserialize, Serialize};

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
