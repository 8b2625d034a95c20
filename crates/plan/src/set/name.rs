//! The names of sets and maps, and the shapes that follow from them.

use std::fmt;
use std::str::FromStr;

use super::{Set, SlotClass};
use crate::{HashedBy, MaglevTable, Selector, TableSize};

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
    /// Address, protocol, port and slot to endpoint, of those whose endpoint is chosen by a hash of
    /// the client's address, or of its address and port.
    MaglevEndpoints(MaglevTable),
    /// The same for those under [`LocalPolicy`](Self::LocalPolicy): local endpoints only.
    LocalMaglevEndpoints(MaglevTable),
    /// Protocol, port and slot to endpoint.
    MaglevNodePortEndpoints(MaglevTable),
    /// The same for those under [`LocalPolicyNodePorts`](Self::LocalPolicyNodePorts): local endpoints only.
    LocalMaglevNodePortEndpoints(MaglevTable),
    /// Address, protocol and port of those whose clients stay with their endpoint.
    Affinity,
    /// The same for node ports.
    AffinityNodePorts,
    /// Address, protocol and port, each with an endpoint that its clients may stay with.
    AffinityEndpoints(IdleTimeout),
    /// The same for clients outside under [`LocalPolicy`](Self::LocalPolicy).
    LocalAffinityEndpoints(IdleTimeout),
    /// Protocol and port, each with an endpoint that its clients may stay with.
    AffinityNodePortEndpoints(IdleTimeout),
    /// The same for clients outside under [`LocalPolicyNodePorts`](Self::LocalPolicyNodePorts).
    LocalAffinityNodePortEndpoints(IdleTimeout),
    /// A client, with the address, protocol and port that it asked for, to the endpoint it stays
    /// with. Packets add elements, time removes them.
    Clients(IdleTimeout),
    /// The same for clients outside under a local policy.
    LocalClients(IdleTimeout),
    /// Address, protocol and port, each with an endpoint that they may lead to: counts connections.
    Connections,
    /// Protocol and port of node ports, each with an endpoint that they may lead to: counts connections.
    NodePortConnections,
}

/// How many clients are remembered at a time, for each timeout: 8 MB of the kernel's memory, and
/// half a second to a second to read when an endpoint goes, which grows with the square.
const CLIENTS: u32 = 1 << 16;

/// How long a client is remembered after its last connection, in seconds.
pub type IdleTimeout = u32;

impl SetName {
    /// The shape of the set of this name.
    pub fn shape(self) -> Set {
        use Selector::{
            DestinationAddress, DestinationPort, Protocol, RandomSlot, SourceAddress, SourceNetwork,
        };

        let address = || vec![DestinationAddress, Protocol, DestinationPort];
        let node_port = || vec![Protocol, DestinationPort];
        let endpoint = || vec![DestinationAddress, DestinationPort];
        let mut key = match self {
            Self::ClusterIps => vec![DestinationAddress],
            Self::Hairpin => vec![SourceAddress, DestinationAddress],
            Self::AllowedSources => [address(), vec![SourceNetwork]].concat(),
            Self::AffinityEndpoints(_) | Self::LocalAffinityEndpoints(_) | Self::Connections => {
                [address(), endpoint()].concat()
            }
            Self::AffinityNodePortEndpoints(_)
            | Self::LocalAffinityNodePortEndpoints(_)
            | Self::NodePortConnections => [node_port(), endpoint()].concat(),
            Self::Clients(_) | Self::LocalClients(_) => [vec![SourceAddress], address()].concat(),
            Self::ExternalAddresses
            | Self::Affinity
            | Self::Restricted
            | Self::LocalPolicy
            | Self::Dropped
            | Self::Refused
            | Self::Endpoints(_)
            | Self::LocalEndpoints(_)
            | Self::MaglevEndpoints(_)
            | Self::LocalMaglevEndpoints(_) => address(),
            Self::NodePorts
            | Self::AffinityNodePorts
            | Self::LocalPolicyNodePorts
            | Self::DroppedNodePorts
            | Self::RefusedNodePorts
            | Self::NodePortEndpoints(_)
            | Self::LocalNodePortEndpoints(_)
            | Self::MaglevNodePortEndpoints(_)
            | Self::LocalMaglevNodePortEndpoints(_) => node_port(),
        };
        let value = match self.slots() {
            Some(slots) => {
                // Rules may come to a slot by a hash as well; this is what nft takes for a number.
                key.extend((slots > 1).then_some(RandomSlot(slots)));
                endpoint()
            }
            None if self.is_filled_by_packets() => endpoint(),
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

    /// The kind of a map of endpoints that clients are hashed to.
    pub fn table(self) -> Option<MaglevTable> {
        match self {
            Self::MaglevEndpoints(table)
            | Self::LocalMaglevEndpoints(table)
            | Self::MaglevNodePortEndpoints(table)
            | Self::LocalMaglevNodePortEndpoints(table) => Some(table),
            _ => None,
        }
    }

    /// The number of slots in a map of endpoints.
    pub fn slots(self) -> Option<u32> {
        let hashed = self.table().map(|table| table.size.slots());
        hashed.or(self.class().map(SlotClass::slots))
    }

    /// The time after which elements go that are not renewed.
    pub fn timeout(self) -> Option<IdleTimeout> {
        match self {
            Self::Clients(timeout) | Self::LocalClients(timeout) => Some(timeout),
            _ => None,
        }
    }

    /// How many elements packets may add; there is no limit for other sets. A packet that finds the
    /// map full passes all the same, and its client is not remembered.
    pub fn capacity(self) -> Option<u32> {
        self.is_filled_by_packets().then_some(CLIENTS)
    }

    /// Elements come and go without a transaction.
    pub fn is_filled_by_packets(self) -> bool {
        self.timeout().is_some()
    }

    /// Each element counts the packets that are looked up in the set.
    pub fn counts(self) -> bool {
        matches!(self, Self::Connections | Self::NodePortConnections)
    }

    /// The number that the name ends with.
    fn number(self) -> Option<u32> {
        match self {
            Self::AffinityEndpoints(timeout)
            | Self::LocalAffinityEndpoints(timeout)
            | Self::AffinityNodePortEndpoints(timeout)
            | Self::LocalAffinityNodePortEndpoints(timeout) => Some(timeout),
            _ => self.timeout().or(self.slots()),
        }
    }

    /// The name, without a number at its end.
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
            Self::MaglevEndpoints(table) => match table.by {
                HashedBy::Client => "maglev-endpoints",
                HashedBy::Connection => "maglev-connection-endpoints",
            },
            Self::LocalMaglevEndpoints(table) => match table.by {
                HashedBy::Client => "local-maglev-endpoints",
                HashedBy::Connection => "local-maglev-connection-endpoints",
            },
            Self::MaglevNodePortEndpoints(table) => match table.by {
                HashedBy::Client => "maglev-node-port-endpoints",
                HashedBy::Connection => "maglev-connection-node-port-endpoints",
            },
            Self::LocalMaglevNodePortEndpoints(table) => match table.by {
                HashedBy::Client => "local-maglev-node-port-endpoints",
                HashedBy::Connection => "local-maglev-connection-node-port-endpoints",
            },
            Self::Affinity => "affinity",
            Self::AffinityNodePorts => "affinity-node-ports",
            Self::AffinityEndpoints(_) => "affinity-endpoints",
            Self::LocalAffinityEndpoints(_) => "local-affinity-endpoints",
            Self::AffinityNodePortEndpoints(_) => "affinity-node-port-endpoints",
            Self::LocalAffinityNodePortEndpoints(_) => "local-affinity-node-port-endpoints",
            Self::Clients(_) => "clients",
            Self::LocalClients(_) => "local-clients",
            Self::Connections => "connections",
            Self::NodePortConnections => "node-port-connections",
        }
    }

    /// Everything that has a name of its own.
    const WITHOUT_NUMBER: [Self; 16] = [
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
        Self::Affinity,
        Self::AffinityNodePorts,
        Self::Connections,
        Self::NodePortConnections,
    ];

    /// Everything whose name ends with a class.
    const WITH_CLASS: [fn(SlotClass) -> Self; 4] = [
        Self::Endpoints,
        Self::LocalEndpoints,
        Self::NodePortEndpoints,
        Self::LocalNodePortEndpoints,
    ];

    /// Everything whose name ends with the size of a table.
    const WITH_TABLE: [fn(MaglevTable) -> Self; 4] = [
        Self::MaglevEndpoints,
        Self::LocalMaglevEndpoints,
        Self::MaglevNodePortEndpoints,
        Self::LocalMaglevNodePortEndpoints,
    ];

    /// Everything whose name ends with a timeout.
    const WITH_TIMEOUT: [fn(IdleTimeout) -> Self; 6] = [
        Self::AffinityEndpoints,
        Self::LocalAffinityEndpoints,
        Self::AffinityNodePortEndpoints,
        Self::LocalAffinityNodePortEndpoints,
        Self::Clients,
        Self::LocalClients,
    ];
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem())?;
        match self.number() {
            Some(number) => write!(f, "-{number}"),
            None => Ok(()),
        }
    }
}

impl FromStr for SetName {
    type Err = ();

    /// Fails for names that no table of ours has.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut names = Self::WITHOUT_NUMBER.into_iter();
        if let Some(name) = names.find(|name| name.stem() == text) {
            return Ok(name);
        }
        let (stem, digits) = text.rsplit_once('-').ok_or(())?;
        let number = digits.parse::<u32>().map_err(drop)?;
        let class = SlotClass::of(number as usize).filter(|class| class.slots() == number);
        let with_class = Self::WITH_CLASS.into_iter();
        let with_class = class
            .into_iter()
            .flat_map(|class| with_class.clone().map(move |name| name(class)));
        let with_timeout = Self::WITH_TIMEOUT.into_iter().map(|name| name(number));
        let sizes = TableSize::exactly(number).into_iter();
        let tables = sizes.flat_map(|size| HashedBy::ALL.map(|by| MaglevTable { by, size }));
        let with_table = tables.flat_map(|table| Self::WITH_TABLE.map(|name| name(table)));
        let mut names = with_class.chain(with_table).chain(with_timeout);
        names
            .find(|name| name.stem() == stem && digits == number.to_string())
            .ok_or(())
    }
}
