//! The sets and maps of a table, and their elements as the kernel holds them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use fairway_model::{Port, Protocol};
use smallvec::SmallVec;

use crate::Selector;

/// How many slots the endpoints of a service port are spread over; see [`SlotClass::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotClass(u32);

/// A set (without values) or map of the table. Its shape follows from its name and the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetName {
    /// Every ClusterIP.
    ClusterIps,
    /// Protocol and port of every node port that has endpoints.
    NodePorts,
    /// Address, protocol and port of service ports without endpoints.
    Refused,
    /// Protocol and port of node ports without endpoints.
    RefusedNodePorts,
    /// Local endpoint addresses, each paired with itself.
    Hairpin,
    /// Address, protocol, port (and slot) to endpoint.
    Endpoints(SlotClass),
    /// Protocol, port (and slot) to endpoint.
    NodePortEndpoints(SlotClass),
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
        use Selector::{DestinationAddress, DestinationPort, Protocol, RandomSlot, SourceAddress};

        let slot = |class: SlotClass| (class.0 > 1).then_some(RandomSlot(class.0));
        let endpoint = vec![DestinationAddress, DestinationPort];
        let (key, value) = match self {
            Self::ClusterIps => (vec![DestinationAddress], vec![]),
            Self::NodePorts | Self::RefusedNodePorts => (vec![Protocol, DestinationPort], vec![]),
            Self::Refused => (vec![DestinationAddress, Protocol, DestinationPort], vec![]),
            Self::Hairpin => (vec![SourceAddress, DestinationAddress], vec![]),
            Self::Endpoints(class) => {
                let mut key = vec![DestinationAddress, Protocol, DestinationPort];
                key.extend(slot(class));
                (key, endpoint)
            }
            Self::NodePortEndpoints(class) => {
                let mut key = vec![Protocol, DestinationPort];
                key.extend(slot(class));
                (key, endpoint)
            }
        };
        Set {
            name: self,
            key,
            value,
        }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterIps => f.write_str("cluster-ips"),
            Self::NodePorts => f.write_str("node-ports"),
            Self::Refused => f.write_str("refused"),
            Self::RefusedNodePorts => f.write_str("refused-node-ports"),
            Self::Hairpin => f.write_str("hairpin"),
            Self::Endpoints(class) => write!(f, "endpoints-{}", class.0),
            Self::NodePortEndpoints(class) => write!(f, "node-port-endpoints-{}", class.0),
        }
    }
}

impl FromStr for SetName {
    type Err = ();

    /// Fails for names that no table of ours has.
    fn from_str(text: &str) -> Result<Self, ()> {
        let class = |digits: &str| {
            let slots = digits.parse::<u32>().map_err(drop)?;
            match SlotClass::of(slots as usize) {
                Some(class) if class.0 == slots && digits == slots.to_string() => Ok(class),
                _ => Err(()),
            }
        };
        Ok(match text {
            "cluster-ips" => Self::ClusterIps,
            "node-ports" => Self::NodePorts,
            "refused" => Self::Refused,
            "refused-node-ports" => Self::RefusedNodePorts,
            "hairpin" => Self::Hairpin,
            _ => {
                if let Some(digits) = text.strip_prefix("endpoints-") {
                    Self::Endpoints(class(digits)?)
                } else if let Some(digits) = text.strip_prefix("node-port-endpoints-") {
                    Self::NodePortEndpoints(class(digits)?)
                } else {
                    return Err(());
                }
            }
        })
    }
}

/// A key or value as the kernel holds it: fields one after the other, each padded to 4 bytes.
/// Ports are big-endian in the first two bytes of theirs, slots in host order. Empty as the value
/// of a set's element.
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
