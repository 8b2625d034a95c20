//! Which packets a rule is for: conditions that follow from the options and the node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use fairway_model::Node;
use ipnet::IpNet;

use crate::{Family, LocalPods, NodePortScope, Options, Statement};

/// `IFNAMSIZ`, without the closing zero.
const LONGEST_NAME: usize = 15;

/// What tells packets of this node's pods from all others; None where nothing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FromPods {
    Networks(Vec<IpNet>),
    Interface { name: Arc<str>, prefix: bool },
}

impl FromPods {
    pub(super) fn new(family: Family, options: &Options, node: &Node) -> Option<Self> {
        let of_family = |networks: &[IpNet]| -> Vec<IpNet> {
            let networks = networks.iter().copied();
            networks
                .filter(|network| Family::of(network.addr()) == family)
                .collect()
        };
        let interface = |name: &Arc<str>, prefix| Self::Interface {
            name: name.clone(),
            prefix,
        };
        let pods = match &options.local_pods {
            LocalPods::ClusterCidr(networks) => {
                Self::Networks(of_family(networks).into_iter().take(1).collect())
            }
            LocalPods::NodeCidr => Self::Networks(of_family(&node.pod_cidrs)),
            LocalPods::BridgeInterface(name) => interface(name, false),
            // Nothing can follow the longest name there is.
            LocalPods::InterfaceNamePrefix(name) => interface(name, name.len() < LONGEST_NAME),
        };
        Some(pods).filter(|pods| *pods != Self::Networks(Vec::new()))
    }

    /// Conditions any of which a pod's packet meets.
    pub(super) fn any(&self) -> Vec<Statement> {
        self.statements(false)
    }

    /// Conditions all of which any other packet meets.
    pub(super) fn none(&self) -> Vec<Statement> {
        self.statements(true)
    }

    fn statements(&self, negated: bool) -> Vec<Statement> {
        match self {
            Self::Networks(networks) => networks
                .iter()
                .map(|network| Statement::SourceIn {
                    network: *network,
                    negated,
                })
                .collect(),
            Self::Interface { name, prefix } => vec![Statement::InterfaceIs {
                name: name.clone(),
                prefix: *prefix,
                negated,
            }],
        }
    }
}

/// The alternatives for the destination of a node port; the kernel knows which addresses are the
/// node's, so nothing has to follow when they come and go.
pub(crate) fn node_port_addresses(
    family: Family,
    options: &Options,
    node: &Node,
) -> Vec<Vec<Statement>> {
    let within = |network, negated| Statement::DestinationIn { network, negated };
    match NodePortScope::new(family, &options.node_port_addresses, node) {
        NodePortScope::Everywhere => {
            vec![vec![
                Statement::DestinationIsLocal,
                within(loopback(family), true),
            ]]
        }
        NodePortScope::Address(address) => vec![vec![within(address.into(), false)]],
        NodePortScope::Within(networks) => {
            let alternative = |network: IpNet| {
                let mut conditions = vec![Statement::DestinationIsLocal, within(network, false)];
                let loopback = loopback(family);
                if network.contains(&loopback) || loopback.contains(&network) {
                    conditions.push(within(loopback, true));
                }
                conditions
            };
            networks.into_iter().map(alternative).collect()
        }
    }
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::Ip4 => IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        Family::Ip6 => IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    }
}
