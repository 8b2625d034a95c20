//! What decides the ruleset beside the objects.

use ipnet::IpNet;
use serde::Serialize;

use super::{ConfigError, network};
use crate::args::RuleArgs;

/// What decides the ruleset beside the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rules {
    pub(crate) local_pods: LocalPods,
    pub(crate) masquerade_all: bool,
    pub(crate) node_port_addresses: NodePortAddresses,
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
            node_port_addresses: match &self.node_port_addresses {
                NodePortAddresses::Primary => Addresses::Primary,
                NodePortAddresses::Within(networks) => Addresses::Within(networks.clone()),
            },
            ..fairway_plan::Options::default()
        }
    }

    pub(super) fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.local_pods == LocalPods::default() && !self.masquerade_all {
            warnings.push(
                "no --cluster-cidr: ClusterIP traffic is never masqueraded, and what comes from \
                 this node or from outside may get no answer",
            );
        }
        if let NodePortAddresses::Within(networks) = &self.node_port_addresses
            && networks.iter().any(|network| network.addr().is_loopback())
        {
            warnings.push("--nodeport-addresses: node ports are not served on loopback addresses");
        }
        warnings
    }
}

impl TryFrom<RuleArgs> for Rules {
    type Error = ConfigError;

    fn try_from(args: RuleArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            local_pods: local_pods(&args)?,
            masquerade_all: args.masquerade_all,
            node_port_addresses: node_port_addresses(&args.nodeport_addresses)?,
        })
    }
}

fn local_pods(args: &RuleArgs) -> Result<LocalPods, ConfigError> {
    let cluster_cidrs = network::cluster_cidrs(args.cluster_cidr.as_deref().unwrap_or(""))?;
    let interface = |flag, given: &Option<String>| interface(flag, given.as_deref());
    Ok(match args.detect_local_mode.as_str() {
        "ClusterCIDR" => LocalPods::ClusterCidrs(cluster_cidrs),
        "NodeCIDR" => LocalPods::NodeCidr,
        "BridgeInterface" => {
            let name = interface("--pod-bridge-interface", &args.pod_bridge_interface)?;
            LocalPods::BridgeInterface(name)
        }
        "InterfaceNamePrefix" => {
            let flag = "--pod-interface-name-prefix";
            LocalPods::InterfaceNamePrefix(interface(flag, &args.pod_interface_name_prefix)?)
        }
        mode => {
            let modes =
                "no such mode; use ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix";
            return Err(ConfigError::value("--detect-local-mode", mode, modes));
        }
    })
}

/// What the kernel takes as an interface's name, less what nft could not print.
fn interface(flag: &'static str, given: Option<&str>) -> Result<String, ConfigError> {
    let name = given.unwrap_or("").trim();
    let problem = match name {
        "" => "this --detect-local-mode needs the name",
        // IFNAMSIZ, less the closing zero.
        _ if name.len() > 15 => "interface names have at most 15 bytes",
        _ if !name.bytes().all(|byte| byte.is_ascii_graphic())
            || name.contains(['/', '*', '"', '\\']) =>
        {
            "this cannot be the name of an interface"
        }
        _ => return Ok(name.to_owned()),
    };
    Err(ConfigError::value(flag, name, problem))
}

fn node_port_addresses(given: &[String]) -> Result<NodePortAddresses, ConfigError> {
    const FLAG: &str = "--nodeport-addresses";
    let given = given.iter().map(|text| text.trim());
    let given: Vec<_> = given.filter(|text| !text.is_empty()).collect();
    match given[..] {
        [] | ["primary"] => return Ok(NodePortAddresses::Primary),
        _ if given.contains(&"primary") => {
            let problem = "primary stands alone, without networks";
            return Err(ConfigError::value(FLAG, &given.join(","), problem));
        }
        _ => {}
    }
    let networks = given.into_iter().map(|text| network::parse(FLAG, text));
    Ok(NodePortAddresses::Within(
        networks.collect::<Result<_, _>>()?,
    ))
}
