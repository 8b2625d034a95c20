//! The vocabulary: just what fairway's tables are made of, not all of nf_tables.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use fairway_model::{Port, Protocol};
use ipnet::IpNet;
use smallvec::SmallVec;

/// The name of fairway's table in both families.
pub const TABLE: &str = "fairway";

/// The two address families, each with a table and a life of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, table `ip fairway`.
    Ip4,
    /// IPv6, table `ip6 fairway`.
    Ip6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::Ip4, Self::Ip6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }

    /// Bytes of an address.
    pub fn address_length(self) -> usize {
        match self {
            Self::Ip4 => 4,
            Self::Ip6 => 16,
        }
    }
}

impl fmt::Display for Family {
    /// nft's word for the family.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip4 => "ip",
            Self::Ip6 => "ip6",
        })
    }
}

/// The whole of one family's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// The family.
    pub family: Family,
    /// Every set and map with its elements, in the order of their names.
    pub sets: BTreeMap<SetName, BTreeMap<Bytes, Bytes>>,
    /// Every chain; a chain comes before the chains that jump to it.
    pub chains: Vec<Chain>,
}

/// A chain with its rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The chain's name.
    pub name: &'static str,
    /// Where the kernel enters it; absent for chains that are jumped to.
    pub hook: Option<Hook>,
    /// Rules in order.
    pub rules: Vec<Rule>,
}

/// Where a base chain is attached. Its policy is always accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    /// `type nat` or `type filter`.
    pub kind: HookKind,
    /// The hook.
    pub point: HookPoint,
    /// nf_tables priority, lower runs first.
    pub priority: i32,
}

/// Base chain types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// Sees the first packet of each connection.
    Nat,
    /// Sees every packet.
    Filter,
}

/// The netfilter hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the kernel's own names")]
pub enum HookPoint {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

/// Conditions and actions, evaluated from left to right; a condition that fails ends the rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What the rule does.
    pub statements: Vec<Statement>,
    /// Shown by `nft list`, for people.
    pub comment: &'static str,
}

impl Rule {
    /// Tells whether a rule in the kernel is this one: stored with the rule, compared at read-back.
    /// FNV-1a over the rule's structure; a false difference only costs a rewrite.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// The statements that fairway's rules are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// The source address lies in (or, negated, outside) the network.
    SourceIn {
        /// The network, of the table's family.
        network: IpNet,
        /// Inverts the condition.
        negated: bool,
    },
    /// The destination address lies in (or, negated, outside) the network.
    DestinationIn {
        /// The network, of the table's family.
        network: IpNet,
        /// Inverts the condition.
        negated: bool,
    },
    /// The destination is an address of this node (`fib daddr type local`).
    DestinationIsLocal,
    /// The selected values are an element of the set.
    InSet {
        /// What is looked up.
        key: Vec<Selector>,
        /// A set without values.
        set: SetName,
    },
    /// First packet of a connection (`ct state new`).
    ConnectionIsNew,
    /// The connection's destination was translated (`ct status dnat`).
    ConnectionIsTranslated,
    /// All of these bits of the packet mark are set.
    MarkHas(u32),
    /// Sets these bits of the packet mark and leaves the others.
    SetMark(u32),
    /// Clears these bits of the packet mark and leaves the others.
    ClearMark(u32),
    /// Translates the destination to the address and port found in the map; goes on with the next
    /// rule when there is none (`dnat ip to KEY map @MAP`).
    Translate {
        /// What is looked up.
        key: Vec<Selector>,
        /// A map to address and port.
        map: SetName,
    },
    /// Translates the source to the outgoing interface's address and a random port
    /// (`masquerade fully-random`).
    Masquerade,
    /// Answers port unreachable.
    Reject,
    /// Drops the packet.
    Drop,
    /// Goes on in the named chain and comes back.
    Jump(&'static str),
    /// Goes on in the named chain and does not come back.
    Goto(&'static str),
}

/// Values of a packet that keys are made of, and the types of set fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// `ip saddr`
    SourceAddress,
    /// `ip daddr`
    DestinationAddress,
    /// `meta l4proto`
    Protocol,
    /// `th dport`
    DestinationPort,
    /// `numgen random mod N`: 0 to N-1, in host byte order.
    RandomSlot(u32),
}

impl Selector {
    /// Bytes in a key, padded to a multiple of 4 as in the kernel's registers.
    pub fn padded_length(self, family: Family) -> usize {
        match self {
            Self::SourceAddress | Self::DestinationAddress => family.address_length(),
            Self::Protocol | Self::DestinationPort | Self::RandomSlot(_) => 4,
        }
    }
}

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

/// FNV-1a, 64 bits: small, fixed, and no secret is involved.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
