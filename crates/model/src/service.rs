use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnet::IpNet;

use crate::{Endpoint, ObjectName, Weights};

/// A port number, 1 to 65535.
pub type Port = NonZeroU16;

/// A Service with the endpoints of each of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// `creationTimestamp` in seconds since 1970; who came first wins a contested address.
    pub created: i64,
    /// What kind of Service it is.
    pub kind: ServiceKind,
    /// Another service proxy looks after it (`service.kubernetes.io/service-proxy-name`):
    /// nothing is programmed for it, the ingress router may still use its endpoints.
    pub proxied_elsewhere: bool,
    /// At most one per family; empty for headless Services.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress` addresses that nodes capture (`ipMode` unset or `VIP`).
    pub load_balancer_ips: Vec<IpAddr>,
    /// Those that nodes leave to the balancer (`ipMode: Proxy`).
    pub proxied_ips: Vec<IpAddr>,
    /// Who may use the load-balancer addresses; empty means everybody.
    pub source_ranges: Vec<IpNet>,
    /// Which endpoints the ClusterIP uses.
    pub internal_policy: TrafficPolicy,
    /// Which endpoints all other addresses use.
    pub external_policy: TrafficPolicy,
    /// Whether a client stays with its endpoint.
    pub affinity: Affinity,
    /// How an endpoint is chosen for a new connection.
    pub balance: Balance,
    /// Which share of new connections endpoints get; 1 for those that none of these is about.
    pub weights: Weights,
    /// Where the load balancer asks whether this node has local endpoints.
    pub health_check_node_port: Option<Port>,
    /// In the order of the Service.
    pub ports: Vec<ServicePort>,
}

impl Service {
    /// A Service of type ClusterIP without addresses and ports, to be filled in.
    pub fn new(name: ObjectName) -> Self {
        Self {
            name,
            created: 0,
            kind: ServiceKind::ClusterIp,
            proxied_elsewhere: false,
            cluster_ips: Vec::new(),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            proxied_ips: Vec::new(),
            source_ranges: Vec::new(),
            internal_policy: TrafficPolicy::default(),
            external_policy: TrafficPolicy::default(),
            affinity: Affinity::default(),
            balance: Balance::default(),
            weights: Weights::default(),
            health_check_node_port: None,
            ports: Vec::new(),
        }
    }

    /// Whether a backend can name this port. An alias without ports has all that are named by number.
    pub fn has_port(&self, wanted: &crate::BackendPort) -> bool {
        let is_alias = matches!(self.kind, ServiceKind::ExternalName(_)) && self.ports.is_empty();
        let by_number = matches!(wanted, crate::BackendPort::Number(_));
        (is_alias && by_number) || self.port(wanted).is_some()
    }

    /// The port a backend names, by number or by name.
    pub fn port(&self, wanted: &crate::BackendPort) -> Option<&ServicePort> {
        self.ports.iter().find(|port| match wanted {
            crate::BackendPort::Number(number) => port.port == *number,
            crate::BackendPort::Name(name) => port.name == *name,
        })
    }
}

/// `spec.type`, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Has a ClusterIP, or is headless.
    ClusterIp,
    /// Also has node ports.
    NodePort,
    /// Also has addresses of an external load balancer.
    LoadBalancer,
    /// An alias of a DNS name; never programmed.
    ExternalName(Box<str>),
}

/// One port of a Service: the unit of programming and of ingress backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The port's name; empty when the Service has a single unnamed port.
    pub name: Arc<str>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port of the Service's own addresses.
    pub port: Port,
    /// Where the host of an alias ([`ServiceKind::ExternalName`]) listens, if not on the same port.
    pub external_port: Option<Port>,
    /// The port that every node listens on.
    pub node_port: Option<Port>,
    /// `appProtocol`: how to speak to the endpoints.
    pub app_protocol: Option<Box<str>>,
    /// All known endpoints, ready or not, sorted by address and port, no duplicate address and port.
    pub endpoints: Arc<[Endpoint]>,
}

impl ServicePort {
    /// An unnamed port without endpoints, to be filled in.
    pub fn new(protocol: Protocol, port: Port) -> Self {
        Self {
            name: Arc::from(""),
            protocol,
            port,
            external_port: None,
            node_port: None,
            app_protocol: None,
            endpoints: Arc::from([]),
        }
    }
}

/// Transport protocols of Service ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the API's default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The IP protocol number assigned by IANA.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// `internalTrafficPolicy` and `externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any endpoint of the cluster.
    #[default]
    Cluster,
    /// Only endpoints on the node that received the packet.
    Local,
}

/// How an endpoint is chosen for a new connection (`fairway.dev/balance`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Drawn, whoever asks.
    #[default]
    Random,
    /// By the client's address: the same on every node, and for most clients also when another
    /// endpoint comes or goes.
    Maglev,
    /// The same by the client's address and port: each connection by itself.
    MaglevConnection,
}

/// `sessionAffinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Each connection is balanced on its own.
    #[default]
    None,
    /// A client address keeps its endpoint until it has been idle for so many seconds (1 to 86400).
    ClientIp {
        /// Idle time in seconds.
        timeout_seconds: u32,
    },
}
