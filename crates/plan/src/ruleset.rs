//! The vocabulary of tables, chains and rules: just what fairway's are made of, not all of nf_tables.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::Protocol;
use ipnet::IpNet;

use crate::{Bytes, SetName};

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
    /// The source is an address of this node (`fib saddr type local`).
    SourceIsLocal,
    /// The packet came in (or, negated, did not come in) through the interface; what this node
    /// sends came in through none.
    InterfaceIs {
        /// The name, 1 to 15 bytes without white space, `/`, `*` and quotation marks.
        name: Arc<str>,
        /// The name, of at most 14 bytes, may go on (`veth*`).
        prefix: bool,
        /// Inverts the condition.
        negated: bool,
    },
    /// The packet is of this protocol (`tcp dport != 0`): what nft needs to be told before it reads
    /// `ct original proto-dst`. Port 0 is nobody's.
    ProtocolIs(Protocol),
    /// The selected values are an element of the set.
    InSet {
        /// What is looked up.
        key: Vec<Selector>,
        /// A set without values.
        set: SetName,
    },
    /// First packet of a connection (`ct state new`).
    ConnectionIsNew,
    /// Conntrack takes the packet for part of no connection, and for the start of none (`ct state invalid`).
    ConnectionIsInvalid,
    /// A TCP packet that resets its connection (`tcp flags rst`).
    IsTcpReset,
    /// A TCP packet that is not the first of a connection (`tcp flags ! syn`).
    IsMidConnection,
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
    /// Adds the element to a map that packets fill, or renews the time it has left if the key is
    /// there (`update @MAP { KEY : VALUE }`). The rule ends here if the map is full.
    Remember {
        /// The key.
        key: Vec<Selector>,
        /// The value; one that is there is kept.
        value: Vec<Selector>,
        /// A map that packets fill.
        map: SetName,
    },
    /// Removes the element of this key, if there is one (`delete @MAP { KEY : VALUE }`).
    Forget {
        /// The key.
        key: Vec<Selector>,
        /// Does not matter to the kernel; nft wants one.
        value: Vec<Selector>,
        /// A map that packets fill.
        map: SetName,
    },
    /// Translates the source to the outgoing interface's address and a random port
    /// (`masquerade fully-random`).
    Masquerade,
    /// Answers TCP with a reset; other protocols go on with the next rule.
    Reset,
    /// Answers port unreachable.
    Reject,
    /// Drops the packet.
    Drop,
    /// Goes back to where the chain was jumped to from.
    Return,
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
    /// `ip saddr`, in a set whose elements are networks. Only as the last field of several.
    SourceNetwork,
    /// `meta l4proto`
    Protocol,
    /// `th dport`
    DestinationPort,
    /// `numgen random mod N`: 0 to N-1, in host byte order.
    RandomSlot(u32),
    /// `jhash ip saddr mod N seed S`: 0 to N-1 by the client's address, in host byte order. The
    /// same on every node of one byte order.
    ClientSlot(u32),
    /// `jhash ip saddr . th sport mod N seed S`: the same by the client's address and port.
    ConnectionSlot(u32),
    /// `ct original ip saddr`: who opened the connection, whatever translation made of it.
    Client,
    /// `ct original ip daddr`: the address that the client asked for.
    AskedAddress,
    /// `ct original proto-dst`: the port that the client asked for. Only in a rule that knows the
    /// protocol by [`ProtocolIs`](Statement::ProtocolIs).
    AskedPort,
}

impl Selector {
    /// What [`ClientSlot`](Self::ClientSlot) and
    /// [`ConnectionSlot`](Self::ConnectionSlot) start with. Any number does that is the same on all
    /// nodes and in all versions; the kernel takes 0 for a wish to draw one.
    pub const CLIENT_SEED: u32 = 0xfa1e_aa77;

    /// Bytes in a key, padded to a multiple of 4 as in the kernel's registers.
    pub fn padded_length(self, family: Family) -> usize {
        match self {
            Self::SourceAddress
            | Self::DestinationAddress
            | Self::SourceNetwork
            | Self::Client
            | Self::AskedAddress => family.address_length(),
            Self::Protocol
            | Self::DestinationPort
            | Self::RandomSlot(_)
            | Self::ClientSlot(_)
            | Self::ConnectionSlot(_)
            | Self::AskedPort => 4,
        }
    }

    /// Bytes in an [`Element`](crate::Element): those of [`padded_length`](Self::padded_length), and
    /// 4 more for the length of a network's prefix.
    pub fn element_length(self, family: Family) -> usize {
        match self {
            Self::SourceNetwork => self.padded_length(family) + 4,
            _ => self.padded_length(family),
        }
    }
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
