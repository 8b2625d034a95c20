use clap::Args;
use serde::{Deserialize, Serialize};

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
