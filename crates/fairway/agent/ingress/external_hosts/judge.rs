use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairway_model::{Node, Service, Snapshot};

/// Says of addresses whether they may be asked for those who can only name a host.
///
/// An application's owner must not reach by way of the router what network policies and the node keep from
/// the application itself: the node, its cloud's metadata, and Services of other namespaces.
pub(super) struct Judge<'a> {
    node: &'a Node,
    interfaces: &'a [IpAddr],
    /// Those of Services among the addresses to be judged.
    services: BTreeSet<IpAddr>,
}

impl<'a> Judge<'a> {
    /// A judge of the addresses in `found`, on a machine whose interfaces have these. Services are looked
    /// through once for all of them: they have many addresses, and hosts outside have few.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        interfaces: &'a [IpAddr],
        found: impl Iterator<Item = IpAddr>,
    ) -> Self {
        let found: BTreeSet<_> = found.map(embedded).collect();
        let services = snapshot.services.values();
        let services = services.flat_map(|service| addresses(service));
        Self {
            node: &snapshot.node,
            interfaces,
            services: services.filter(|it| found.contains(it)).collect(),
        }
    }

    /// An error says what the address is, as the rest of a sentence.
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), &'static str> {
        let address = embedded(address);
        let what = match address {
            IpAddr::V4(address) => of_ipv4(address),
            IpAddr::V6(address) => of_ipv6(address),
        };
        let is_ours =
            || self.interfaces.contains(&address) || self.node.addresses.contains(&address);
        let ranges = &self.node.service_cidrs;
        let is_a_services =
            || self.services.contains(&address) || ranges.iter().any(|it| it.contains(&address));
        match what {
            Some(what) => Err(what),
            None if is_ours() => Err("an address of this node"),
            None if is_a_services() => Err("an address of a Service"),
            None => Ok(()),
        }
    }
}

/// All addresses that a Service is reached at, whoever captures them.
pub(super) fn addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    let lists = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
        &service.proxied_ips,
    ];
    lists.into_iter().flatten().copied()
}

/// The IPv4 address inside of an IPv6 one that leads to it: mapped (RFC 4291), translated (NAT64, RFC 6052) or
/// tunnelled (6to4, RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, ..] = v6.segments();
    let octets = v6.octets();
    let inner = |at: usize| {
        let [a, b, c, d] = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d] {
        [0x64, 0xff9b, 0, 0] => inner(12),
        [0x2002, ..] => inner(2),
        [0, 0, 0, 0]
            if v6.segments()[4] == 0 && v6.segments()[5] == 0 && v6 != Ipv6Addr::LOCALHOST =>
        {
            inner(12) // compatible (RFC 4291, deprecated); also `::`
        }
        _ => address.to_canonical(),
    }
}

fn of_ipv4(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        it if it.is_loopback() => Some("a loopback address"),
        it if it.is_link_local() => Some("a link-local address"),
        // RFC 1122 section 3.2.1.3: all of 0.0.0.0/8 is "this host".
        it if it.octets()[0] == 0 => Some("unspecified"),
        it if it.is_multicast() => Some("a multicast address"),
        // RFC 1112 section 4: reserved, with the broadcast address in it.
        it if it.octets()[0] >= 240 => Some("a reserved address"),
        _ => None,
    }
}

fn of_ipv6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        it if it.is_loopback() => Some("a loopback address"),
        it if it.is_unicast_link_local() => Some("a link-local address"),
        it if it.is_unspecified() => Some("unspecified"),
        it if it.is_multicast() => Some("a multicast address"),
        // Amazon's metadata service.
        it if it == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) => {
            Some("a metadata service")
        }
        _ => None,
    }
}
