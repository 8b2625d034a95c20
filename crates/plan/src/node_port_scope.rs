//! Which of the node's addresses serve node ports, in one family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairway_model::Node;
use ipnet::IpNet;

use crate::{Family, NodePortAddresses};

#[cfg(test)]
mod tests;

/// Which of the node's addresses serve node ports, in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortScope {
    /// All but loopback.
    Everywhere,
    /// One address, whether or not an interface has it.
    Address(IpAddr),
    /// Those within these networks but for loopback; not empty, and no network contains another.
    Within(Vec<IpNet>),
}

impl NodePortScope {
    /// What the options and the Node say of a family.
    pub fn new(family: Family, options: &NodePortAddresses, node: &Node) -> Self {
        match options {
            NodePortAddresses::Primary(given) => {
                let mut addresses = given.iter().chain(&node.addresses);
                let primary = addresses.find(|address| Family::of(**address) == family);
                primary.map_or(Self::Everywhere, |primary| Self::Address(*primary))
            }
            NodePortAddresses::Within(networks) => {
                let networks = IpNet::aggregate(networks).into_iter();
                let networks: Vec<_> = networks
                    .filter(|network| Family::of(network.addr()) == family)
                    .collect();
                if networks.iter().any(|network| network.prefix_len() == 0) || networks.is_empty() {
                    return Self::Everywhere;
                }
                Self::Within(networks)
            }
        }
    }

    /// The addresses to listen on for what is served like a node port: the wildcard of `family`,
    /// one address, or those of the interfaces' that match, sorted. Link-local ones are left out:
    /// they mean nothing without an interface.
    pub fn listening(&self, family: Family, interfaces: &[IpAddr]) -> Vec<IpAddr> {
        match self {
            Self::Everywhere => vec![wildcard(family)],
            Self::Address(address) => vec![*address],
            Self::Within(networks) => {
                let within = |address: &IpAddr| networks.iter().any(|net| net.contains(address));
                let addresses = interfaces.iter().copied();
                let mut addresses: Vec<_> = addresses
                    .filter(|address| within(address) && can_be_listened_on(*address))
                    .collect();
                addresses.sort_unstable();
                addresses.dedup();
                addresses
            }
        }
    }
}

fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::Ip4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ip6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn can_be_listened_on(address: IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    !address.is_loopback() && !link_local
}
