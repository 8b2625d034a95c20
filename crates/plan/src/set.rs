//! The sets and maps of a table, and their elements as the kernel holds them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use fairway_model::{Port, Protocol};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{Family, Selector};

/// How many slots the endpoints of a service port are spread over; see [`SlotClass::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotClass(u32);

/// A set (without values) or map of the table. Its shape follows from its name and the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetName {
    /// Every ClusterIP.
    ClusterIps,
    /// Address, protocol and port of load balancers and external IPs that have endpoints.
    ExternalAddresses,
    /// Protocol and port of every node port that has endpoints.
    NodePorts,
    /// Those of the external addresses whose outside clients get local endpoints only.
    LocalPolicy,
    /// Those of the node ports whose outside clients get local endpoints only.
    LocalPolicyNodePorts,
    /// Address, protocol and port of service ports that have endpoints, but none that may be used here.
    Dropped,
    /// The same for node ports.
    DroppedNodePorts,
    /// Address, protocol and port of service ports without endpoints.
    Refused,
    /// Protocol and port of node ports without endpoints.
    RefusedNodePorts,
    /// Address, protocol and port of load balancers that not everybody may use.
    Restricted,
    /// The same with the networks that may use them.
    AllowedSources,
    /// Local endpoint addresses, each paired with itself.
    Hairpin,
    /// Address, protocol, port (and slot) to endpoint.
    Endpoints(SlotClass),
    /// The same for those under [`LocalPolicy`](Self::LocalPolicy): local endpoints only.
    LocalEndpoints(SlotClass),
    /// Protocol, port (and slot) to endpoint.
    NodePortEndpoints(SlotClass),
    /// The same for those under [`LocalPolicyNodePorts`](Self::LocalPolicyNodePorts): local endpoints only.
    LocalNodePortEndpoints(SlotClass),
}

/// The shape of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The name.
    pub name: SetName,
    /// The fields of its keys.
    pub key: Vec<Selector>,
    /// The fields of its values; empty for a set.
    pub value: Vec<Selector>,
}

impl Set {
    /// Elements stand for all addresses of a network, not for single values.
    pub fn has_networks(&self) -> bool {
        self.key.contains(&Selector::SourceNetwork)
    }
}

impl SlotClass {
    /// Up to so many endpoints have a class of exactly their count.
    pub const LARGEST_EXACT: u32 = 8;
    /// The largest class: the kernel takes any modulus, this bounds what one Service may cost.
    pub const LARGEST: u32 = 1 << 16;

    /// The class for a number of endpoints: the number itself up to [`LARGEST_EXACT`](Self::LARGEST_EXACT),
    /// above it the next power of two, so that most changes of a large Service leave its class alone.
    ///
    /// None for no endpoints; counts above [`LARGEST`](Self::LARGEST) get that class.
    pub fn of(endpoints: usize) -> Option<Self> {
        let count = u32::try_from(endpoints)
            .unwrap_or(u32::MAX)
            .min(Self::LARGEST);
        match count {
            0 => None,
            1..=Self::LARGEST_EXACT => Some(Self(count)),
            _ => Some(Self(count.next_power_of_two())),
        }
    }

    /// The number of slots.
    pub fn slots(self) -> u32 {
        self.0
    }

    /// Every slot of the class is taken, always.
    pub fn is_exact(self) -> bool {
        self.0 <= Self::LARGEST_EXACT
    }
}

impl SetName {
    /// The shape of the set of this name.
    pub fn shape(self) -> Set {
        use Selector::{
            DestinationAddress, DestinationPort, Protocol, RandomSlot, SourceAddress, SourceNetwork,
        };

        let address = || vec![DestinationAddress, Protocol, DestinationPort];
        let node_port = || vec![Protocol, DestinationPort];
        let mut key = match self {
            Self::ClusterIps => vec![DestinationAddress],
            Self::Hairpin => vec![SourceAddress, DestinationAddress],
            Self::AllowedSources => [address(), vec![SourceNetwork]].concat(),
            Self::ExternalAddresses
            | Self::Restricted
            | Self::LocalPolicy
            | Self::Dropped
            | Self::Refused
            | Self::Endpoints(_)
            | Self::LocalEndpoints(_) => address(),
            Self::NodePorts
            | Self::LocalPolicyNodePorts
            | Self::DroppedNodePorts
            | Self::RefusedNodePorts
            | Self::NodePortEndpoints(_)
            | Self::LocalNodePortEndpoints(_) => node_port(),
        };
        let value = match self.class() {
            Some(class) => {
                key.extend((class.0 > 1).then_some(RandomSlot(class.0)));
                vec![DestinationAddress, DestinationPort]
            }
            None => vec![],
        };
        Set {
            name: self,
            key,
            value,
        }
    }

    /// The class of a map of endpoints.
    pub fn class(self) -> Option<SlotClass> {
        match self {
            Self::Endpoints(class)
            | Self::LocalEndpoints(class)
            | Self::NodePortEndpoints(class)
            | Self::LocalNodePortEndpoints(class) => Some(class),
            _ => None,
        }
    }

    /// The name, for maps of endpoints without their class.
    fn stem(self) -> &'static str {
        match self {
            Self::ClusterIps => "cluster-ips",
            Self::ExternalAddresses => "external-addresses",
            Self::NodePorts => "node-ports",
            Self::LocalPolicy => "local-policy",
            Self::LocalPolicyNodePorts => "local-policy-node-ports",
            Self::Dropped => "dropped",
            Self::DroppedNodePorts => "dropped-node-ports",
            Self::Refused => "refused",
            Self::RefusedNodePorts => "refused-node-ports",
            Self::Restricted => "restricted",
            Self::AllowedSources => "allowed-sources",
            Self::Hairpin => "hairpin",
            Self::Endpoints(_) => "endpoints",
            Self::LocalEndpoints(_) => "local-endpoints",
            Self::NodePortEndpoints(_) => "node-port-endpoints",
            Self::LocalNodePortEndpoints(_) => "local-node-port-endpoints",
        }
    }

    /// Everything that has a name of its own.
    const WITHOUT_CLASS: [Self; 12] = [
        Self::ClusterIps,
        Self::ExternalAddresses,
        Self::NodePorts,
        Self::LocalPolicy,
        Self::LocalPolicyNodePorts,
        Self::Dropped,
        Self::DroppedNodePorts,
        Self::Refused,
        Self::RefusedNodePorts,
        Self::Restricted,
        Self::AllowedSources,
        Self::Hairpin,
    ];

    /// Everything whose name ends with a class.
    const WITH_CLASS: [fn(SlotClass) -> Self; 4] = [
        Self::Endpoints,
        Self::LocalEndpoints,
        Self::NodePortEndpoints,
        Self::LocalNodePortEndpoints,
    ];
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem())?;
        match self.class() {
            Some(class) => write!(f, "-{}", class.0),
            None => Ok(()),
        }
    }
}

impl FromStr for SetName {
    type Err = ();

    /// Fails for names that no table of ours has.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut names = Self::WITHOUT_CLASS.into_iter();
        if let Some(name) = names.find(|name| name.stem() == text) {
            return Ok(name);
        }
        let (stem, digits) = text.rsplit_once('-').ok_or(())?;
        let slots = digits.parse::<u32>().map_err(drop)?;
        let class = SlotClass::of(slots as usize)
            .filter(|class| class.0 == slots && digits == slots.to_string())
            .ok_or(())?;
        let mut names = Self::WITH_CLASS.into_iter().map(|name| name(class));
        names.find(|name| name.stem() == stem).ok_or(())
    }
}

/// A key or value as the kernel holds it: fields one after the other, each padded to 4 bytes.
/// Ports are big-endian in the first two bytes of theirs, slots in host order. A network is its first
/// address and, in the first byte of a field of its own, the length of its prefix; the kernel has it
/// as two keys, a first and a last one. Empty as the value of a set's element.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub SmallVec<[u8; 32]>);

impl Bytes {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an address.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.0.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
        self
    }

    /// Appends a network: its first address and the length of its prefix.
    #[must_use]
    pub fn network(self, network: IpNet) -> Self {
        let mut bytes = self.address(network.network());
        bytes.0.extend_from_slice(&[network.prefix_len(), 0, 0, 0]);
        bytes
    }

    /// Appends a protocol number.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.0.extend_from_slice(&[protocol.number(), 0, 0, 0]);
        self
    }

    /// Appends a port.
    #[must_use]
    pub fn port(mut self, port: Port) -> Self {
        let [high, low] = port.get().to_be_bytes();
        self.0.extend_from_slice(&[high, low, 0, 0]);
        self
    }

    /// Appends a slot.
    #[must_use]
    pub fn slot(mut self, slot: u32) -> Self {
        self.0.extend_from_slice(&slot.to_ne_bytes());
        self
    }
}

/// Takes a key that ends with a network apart.
pub(crate) fn split_network(key: &Bytes, family: Family) -> Option<(Bytes, IpNet)> {
    let length = family.address_length() + 4;
    let (frontend, network) = key.0.split_at_checked(key.0.len().checked_sub(length)?)?;
    let address = match family {
        Family::Ip4 => IpAddr::from(*network.first_chunk::<4>()?),
        Family::Ip6 => IpAddr::from(*network.first_chunk::<16>()?),
    };
    let prefix = *network.get(family.address_length())?;
    Some((Bytes(frontend.into()), IpNet::new(address, prefix).ok()?))
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// The set or map.
    pub set: SetName,
    /// The key.
    pub key: Bytes,
    /// The value; empty in a set.
    pub value: Bytes,
}
