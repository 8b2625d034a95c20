//! The sets and maps of a table, and their elements as the kernel holds them.

use std::net::IpAddr;

use fairway_model::{Port, Protocol};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{Family, Selector};

pub use self::name::{IdleTimeout, SetName};

mod name;

/// How many slots the endpoints of a service port are spread over; see [`SlotClass::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotClass(u32);

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

/// A key or value as the kernel holds it: fields one after the other, each padded to 4 bytes.
/// Ports are big-endian in the first two bytes of theirs, slots in host order. A network is its first
/// address and, in the first byte of a field of its own, the length of its prefix; the kernel has it
/// as two keys, a first and a last one. Empty as the value of a set's element.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub SmallVec<[u8; 32]>);

/// The one that would be derived clones byte by byte, and there are tens of thousands of these.
impl Clone for Bytes {
    fn clone(&self) -> Self {
        Self::from(&*self.0)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

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
