//! What decides the ruleset beside the objects.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::setting::{
    BIND_ADDRESS, BRIDGE, DETECT_LOCAL_MODE, FLOW_TABLE_INTERFACES, INTERFACE_PREFIX,
    NODE_PORT_ADDRESSES,
};
use super::{ConfigError, KubeProxyConfiguration, Setting, network};
use crate::args::ServiceProxyArgs;

/// What decides the ruleset beside the objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rules {
    pub(crate) local_pods: LocalPods,
    pub(crate) masquerade_all: bool,
    /// Below 32.
    pub(crate) masquerade_bit: u8,
    pub(crate) node_port_addresses: NodePortAddresses,
    /// Whether TCP connections end with their endpoint.
    pub(crate) reset_removed_endpoints: bool,
    /// Whether packets of no connection are dropped where they do harm.
    pub(crate) drop_stray: bool,
    /// Whether the connections that endpoints get are counted.
    pub(crate) count_connections: bool,
    /// The interfaces whose established connections skip the chains; mostly none.
    pub(crate) flow_table_interfaces: Vec<String>,
    /// Counts as the node's first address of its family; None where the Node decides.
    pub(crate) bind_address: Option<IpAddr>,
}

/// How packets of this node's pods are recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LocalPods {
    /// The pod network: at most one per family, without host bits.
    ClusterCidrs(Vec<IpNet>),
    NodeCidr,
    BridgeInterface(String),
    InterfaceNamePrefix(String),
}

/// The addresses that node ports are served on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NodePortAddresses {
    /// The Node's first address of each family.
    #[default]
    Primary,
    /// Without host bits; a family without networks means all its addresses.
    Within(Vec<IpNet>),
}

impl Default for LocalPods {
    fn default() -> Self {
        Self::ClusterCidrs(Vec::new())
    }
}

impl Rules {
    pub(super) fn new(
        config: &KubeProxyConfiguration,
        fairway: &ServiceProxyArgs,
    ) -> Result<Self, ConfigError> {
        let bit = config.masquerade_bit();
        Ok(Self {
            local_pods: local_pods(config)?,
            masquerade_all: config.masquerade_all(),
            // The range was checked; see `check`.
            masquerade_bit: bit
                .and_then(|bit| bit.try_into().ok())
                .unwrap_or(DEFAULT_BIT),
            node_port_addresses: node_port_addresses(config.node_port_addresses.as_deref())?,
            reset_removed_endpoints: fairway.reset_removed_endpoints,
            drop_stray: config.conntrack.tcp_be_liberal != Some(true),
            count_connections: fairway.count_connections,
            flow_table_interfaces: flow_table_interfaces(fairway)?,
            bind_address: bind_address(config.bind_address.as_deref())?,
        })
    }

    /// The same in the planner's terms.
    pub(crate) fn plan_options(&self) -> fairway_plan::Options {
        use fairway_plan::{LocalPods as Pods, NodePortAddresses as Addresses};
        fairway_plan::Options {
            local_pods: match &self.local_pods {
                LocalPods::ClusterCidrs(cidrs) => Pods::ClusterCidr(cidrs.clone()),
                LocalPods::NodeCidr => Pods::NodeCidr,
                LocalPods::BridgeInterface(name) => Pods::BridgeInterface(name.as_str().into()),
                LocalPods::InterfaceNamePrefix(name) => {
                    Pods::InterfaceNamePrefix(name.as_str().into())
                }
            },
            masquerade_all: self.masquerade_all,
            mark: 1 << self.masquerade_bit,
            node_port_addresses: match &self.node_port_addresses {
                NodePortAddresses::Primary => Addresses::Primary(self.bind_address),
                NodePortAddresses::Within(networks) => Addresses::Within(networks.clone()),
            },
            reset_removed_endpoints: self.reset_removed_endpoints,
            drop_stray: self.drop_stray,
            count_connections: self.count_connections,
        }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.local_pods == LocalPods::default() && !self.masquerade_all {
            warnings.push(
                "no --cluster-cidr: ClusterIP traffic is never masqueraded, and what comes from \
                 this node or from outside may get no answer"
                    .to_owned(),
            );
        }
        if let NodePortAddresses::Within(networks) = &self.node_port_addresses
            && networks.iter().any(|network| network.addr().is_loopback())
        {
            let line = "--nodeport-addresses: node ports are not served on loopback addresses";
            warnings.push(line.to_owned());
        }
        warnings
    }
}

fn local_pods(config: &KubeProxyConfiguration) -> Result<LocalPods, ConfigError> {
    let cluster_cidrs = network::cluster_cidrs(config.cluster_cidr.as_deref().unwrap_or(""))?;
    let detect = &config.detect_local;
    Ok(match config.detect_local_mode.as_deref() {
        None | Some("" | "ClusterCIDR") => LocalPods::ClusterCidrs(cluster_cidrs),
        Some("NodeCIDR") => LocalPods::NodeCidr,
        Some("BridgeInterface") => {
            let name = detect.bridge_interface.as_deref().unwrap_or("");
            LocalPods::BridgeInterface(interface(&BRIDGE, required(&BRIDGE, name)?)?)
        }
        Some("InterfaceNamePrefix") => {
            let prefix = detect.interface_name_prefix.as_deref().unwrap_or("");
            let prefix = required(&INTERFACE_PREFIX, prefix)?;
            LocalPods::InterfaceNamePrefix(interface(&INTERFACE_PREFIX, prefix)?)
        }
        Some(mode) => {
            let modes =
                "no such mode; use ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix";
            return Err(ConfigError::value(&DETECT_LOCAL_MODE, mode, modes));
        }
    })
}

fn bind_address(given: Option<&str>) -> Result<Option<IpAddr>, ConfigError> {
    let Some(text) = given.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address: IpAddr = text.parse().map_err(|_| {
        let problem = "expected an IP address, like 192.0.2.7";
        ConfigError::value(&BIND_ADDRESS, text, problem)
    })?;
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

fn required<'a>(setting: &Setting, name: &'a str) -> Result<&'a str, ConfigError> {
    let problem = "this --detect-local-mode needs the name";
    let given = Some(name).filter(|name| !name.trim().is_empty());
    given.ok_or_else(|| ConfigError::value(setting, name, problem))
}

/// A flow that is in a flow table stays in conntrack until it ends by itself, so that nothing can end
/// it together with its endpoint.
fn flow_table_interfaces(fairway: &ServiceProxyArgs) -> Result<Vec<String>, ConfigError> {
    const SETTING: &Setting = &FLOW_TABLE_INTERFACES;
    let given = fairway.flow_table_interfaces.iter();
    let given = given.filter(|name| !name.trim().is_empty());
    let names = given.map(|name| interface(SETTING, name));
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    if !names.is_empty() && fairway.reset_removed_endpoints {
        let problem = "does not go with --reset-removed-endpoints: the kernel lets go of a \
                       connection in a flow table only when the connection ends";
        return Err(ConfigError::value(SETTING, &names.join(","), problem));
    }
    Ok(names)
}

/// What the kernel takes as an interface's name, less what nft could not print.
fn interface(setting: &Setting, name: &str) -> Result<String, ConfigError> {
    let name = name.trim();
    let problem = match name {
        // IFNAMSIZ, less the closing zero.
        _ if name.len() > 15 => "interface names have at most 15 bytes",
        _ if !name.bytes().all(|byte| byte.is_ascii_graphic())
            || name.contains(['/', '*', '"', '\\']) =>
        {
            "this cannot be the name of an interface"
        }
        _ => return Ok(name.to_owned()),
    };
    Err(ConfigError::value(setting, name, problem))
}

fn node_port_addresses(given: Option<&[String]>) -> Result<NodePortAddresses, ConfigError> {
    const SETTING: &Setting = &NODE_PORT_ADDRESSES;
    let given = given.unwrap_or_default().iter().map(|text| text.trim());
    let given: Vec<_> = given.filter(|text| !text.is_empty()).collect();
    match given[..] {
        [] | ["primary"] => return Ok(NodePortAddresses::Primary),
        ["all"] => return Ok(NodePortAddresses::Within(Vec::new())),
        _ => {}
    }
    if let Some(word) = given.iter().find(|text| ["primary", "all"].contains(text)) {
        let problem = format!("{word} stands alone, without networks");
        return Err(ConfigError::value(SETTING, &given.join(","), problem));
    }
    let networks = given.into_iter().map(|text| network::parse(SETTING, text));
    Ok(NodePortAddresses::Within(
        networks.collect::<Result<_, _>>()?,
    ))
}

/// kube-proxy's, which CNI plugins know of.
const DEFAULT_BIT: u8 = 14;
