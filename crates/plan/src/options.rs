//! What an operator may choose about the tables.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// What an operator may choose about the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How packets of this node's pods are told from others.
    pub local_pods: LocalPods,
    /// Masquerades all ClusterIP traffic.
    pub masquerade_all: bool,
    /// The one bit of the packet mark that fairway uses, between its own chains.
    pub mark: u32,
    /// The addresses that node ports are served on.
    pub node_port_addresses: NodePortAddresses,
    /// Ends TCP connections whose endpoint is gone, and with them those that this node does not know.
    pub reset_removed_endpoints: bool,
    /// Drops packets for Services, and resets, that are part of no connection. Of no use where
    /// conntrack takes everything for part of one (`net.netfilter.nf_conntrack_tcp_be_liberal`).
    pub drop_stray: bool,
    /// Counts the connections that endpoints get.
    pub count_connections: bool,
}

/// How packets of this node's pods are recognised (`--detect-local-mode`). Where they cannot be,
/// ClusterIP traffic keeps its source, and pods get no more than outsiders do from Services with
/// `externalTrafficPolicy: Local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPods {
    /// By source: the pod network of the cluster, at most one per family; none where nothing is known.
    ClusterCidr(Vec<IpNet>),
    /// By source: the Node's `spec.podCIDRs`.
    NodeCidr,
    /// By the interface that they come in through: 1 to 15 bytes without white space, `/`, `*` and
    /// quotation marks.
    BridgeInterface(Arc<str>),
    /// By what the name of that interface begins with; characters as above.
    InterfaceNamePrefix(Arc<str>),
}

/// The addresses that node ports are served on (`--nodeport-addresses`); never loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// The Node's first address of each family; every local address in a family in which it has
    /// none, or while the Node is not known. This one, where there is one, counts before the Node's
    /// of its family (`--bind-address`).
    Primary(Option<IpAddr>),
    /// Local addresses within these networks; every local address in a family without networks.
    Within(Vec<IpNet>),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            local_pods: LocalPods::ClusterCidr(Vec::new()),
            masquerade_all: false,
            // kube-proxy's bit 14, which CNI plugins know of.
            mark: 1 << 14,
            node_port_addresses: NodePortAddresses::Primary(None),
            reset_removed_endpoints: false,
            drop_stray: true,
            count_connections: false,
        }
    }
}
