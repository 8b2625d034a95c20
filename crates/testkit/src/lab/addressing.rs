//! The address plan: what a person who reads a capture recognises at once.
//!
//! ```text
//! underlay   172.18.0.0/16    fd00:172:18::/64     1 router, 11 node-1, 12 node-2, ...,
//!                                                  100 client, 101 balancer, 102 control-plane
//! pods       10.244.0.0/16    fd00:10:244::/48     10.244.N.0/24 and fd00:10:244:N::/64 on node-N
//! services   10.96.0.0/16     fd00:10:96::/112     routed nowhere: the nodes must translate them
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Family;

/// Prefix lengths of the underlay.
pub(super) fn underlay_prefix(family: Family) -> u8 {
    match family {
        Family::V4 => 16,
        Family::V6 => 64,
    }
}

/// Host numbers on the underlay.
pub(super) const ROUTER: u8 = 1;
/// The client, the balancer and the control plane.
pub(super) const OUTSIDE: [u8; 3] = [100, 101, 102];

/// The most nodes a lab can have: their host numbers lie between the router's and the client's.
pub(super) const MAX_NODES: usize = 89;
/// The most pods that may ever be made on one node of a lab.
pub(super) const MAX_PODS: u8 = 253;

/// The host number of a node, from 1 on.
pub(super) fn node_host(node: u8) -> u8 {
    10 + node
}

pub(super) fn underlay(family: Family, host: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(172, 18, 0, host).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, as_written(host)).into(),
    }
}

/// What neighbour discovery on the device of that host number comes from.
pub(super) fn link_local(host: u8) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, as_written(host)).into()
}

/// The prefix length of link-local networks.
pub(super) const LINK_LOCAL_PREFIX: u8 = 64;

/// The pod network of a node. Its first address is the node's end of every pod's cable.
pub(super) fn pod_network(family: Family, node: u8) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 244, node, 0), 24)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfd00, 0x10, 0x244, as_written(node), 0, 0, 0, 0),
            64,
        )),
    }
}

/// Address number `host` of a node's pod network.
pub(super) fn pod(family: Family, node: u8, host: u8) -> IpAddr {
    match pod_network(family, node) {
        IpNet::V4(network) => {
            let [a, b, c, _] = network.addr().octets();
            Ipv4Addr::new(a, b, c, host).into()
        }
        IpNet::V6(network) => {
            let mut segments = network.addr().segments();
            segments[7] = as_written(host);
            Ipv6Addr::from(segments).into()
        }
    }
}

pub(super) fn cluster_cidr(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 0),
            48,
        )),
    }
}

pub(super) fn service_cidr(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0),
            112,
        )),
    }
}

/// Address number `number` of the Service network.
pub(super) fn cluster_ip(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 96, 0, number).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, as_written(number)).into(),
    }
}

/// The route to everything.
pub(super) fn everywhere(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// The hexadecimal number that looks like a decimal one: 12 becomes 0x12.
fn as_written(number: u8) -> u16 {
    let number = u16::from(number);
    number / 100 * 0x100 + number / 10 % 10 * 0x10 + number % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_read_alike() {
        assert_eq!(underlay(Family::V4, 100).to_string(), "172.18.0.100");
        assert_eq!(underlay(Family::V6, 100).to_string(), "fd00:172:18::100");
        assert_eq!(pod(Family::V4, 2, 13).to_string(), "10.244.2.13");
        assert_eq!(pod(Family::V6, 2, 13).to_string(), "fd00:10:244:2::13");
        for family in Family::BOTH {
            let network = pod_network(family, 89);
            assert!(cluster_cidr(family).contains(&network));
            assert!(network.contains(&pod(family, 89, 254)));
        }
    }
}
