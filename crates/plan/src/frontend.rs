//! Who owns an address: two Services may ask for the same one, for a moment or for good.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use fairway_model::{ObjectName, Port, Protocol, Service, ServiceKind, ServicePort};
use foldhash::{HashMap, HashSet, HashSetExt};
use smallvec::SmallVec;

use crate::{Element, Family, SetName};

/// Something that clients connect to, and that only one Service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frontend {
    Address(IpAddr, Protocol, Port),
    NodePort(Protocol, Port),
}

/// Every frontend that some Service asks for, with those who ask: the oldest has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    /// In their order; nearly always there is one.
    by_frontend: HashMap<Frontend, SmallVec<[Claim; 1]>>,
    contested: BTreeSet<Frontend>,
}

/// Ordered so that the first is the owner: by age, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    created: i64,
    service: ObjectName,
}

/// A frontend of a Service, why it has it, and the port it leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exposed<'a> {
    pub(crate) frontend: Frontend,
    pub(crate) access: Access,
    pub(crate) port: &'a ServicePort,
}

/// A frontend that two Services ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contest<'a> {
    pub(crate) frontend: Frontend,
    pub(crate) owner: &'a ObjectName,
    pub(crate) loser: &'a ObjectName,
}

/// An address or a node port that a Service asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The Service.
    pub loser: ObjectName,
    /// Its field that asks.
    pub field: &'static str,
    /// What it asks for, for people.
    pub frontend: String,
    /// The Service that has it, which is older.
    pub owner: ObjectName,
}

impl Conflict {
    /// What follows, without the Service and the field.
    pub fn message(&self) -> String {
        let Self {
            frontend, owner, ..
        } = self;
        format!("{frontend} belongs to Service {owner}; it is not served for this one")
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loser, field, .. } = self;
        write!(f, "Service {loser} {field}: {}", self.message())
    }
}

/// What gives a Service a frontend, and so decides about policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A ClusterIP.
    ClusterIp,
    /// A port of every node.
    NodePort,
    /// An address of its load balancer.
    LoadBalancer,
    /// An external IP.
    ExternalIp,
}

impl Frontend {
    /// Its protocol.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Address(_, protocol, _) | Self::NodePort(protocol, _) => *protocol,
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> Port {
        match self {
            Self::Address(_, _, port) | Self::NodePort(_, port) => *port,
        }
    }

    /// The frontend that an element of a map of endpoints is for.
    pub(crate) fn of_key(family: Family, element: &Element) -> Option<Self> {
        let fields = &*element.key.0;
        let protocol_and_port = |fields: &[u8]| {
            let protocol = match fields.first()? {
                6 => Protocol::Tcp,
                17 => Protocol::Udp,
                132 => Protocol::Sctp,
                _ => return None,
            };
            let port = fields.get(4..6)?.try_into().ok()?;
            Some((protocol, Port::new(u16::from_be_bytes(port))?))
        };
        if let SetName::NodePortEndpoints(_)
        | SetName::LocalNodePortEndpoints(_)
        | SetName::MaglevNodePortEndpoints(_)
        | SetName::LocalMaglevNodePortEndpoints(_)
        | SetName::NodePortConnections = element.set
        {
            let (protocol, port) = protocol_and_port(fields)?;
            return Some(Self::NodePort(protocol, port));
        }
        let (address, fields) = fields.split_at_checked(family.address_length())?;
        let address = match family {
            Family::Ip4 => IpAddr::from(*address.first_chunk::<4>()?),
            Family::Ip6 => IpAddr::from(*address.first_chunk::<16>()?),
        };
        let (protocol, port) = protocol_and_port(fields)?;
        Some(Self::Address(address, protocol, port))
    }

    /// All frontends of a Service in one family, each once. A Service without a ClusterIP of the
    /// family does not exist in it.
    pub(crate) fn of(service: &Service, family: Family) -> Vec<Exposed<'_>> {
        let mut all: Vec<Exposed<'_>> = Vec::new();
        if !Self::has_any(service, family) {
            return all;
        }
        // An address that is also a load balancer's is guarded by the source ranges.
        let addresses = [
            (Access::ClusterIp, &service.cluster_ips),
            (Access::LoadBalancer, &service.load_balancer_ips),
            (Access::ExternalIp, &service.external_ips),
        ];
        let of_port = 1 + addresses.iter().map(|(_, all)| all.len()).sum::<usize>();
        // Most Services have a handful, which are compared faster than hashed.
        let few = service.ports.len() * of_port <= 16;
        let mut seen = HashSet::new();
        for port in &service.ports {
            let mut add = |access, frontend| {
                let is_new = match few {
                    true => all.iter().all(|exposed| exposed.frontend != frontend),
                    false => seen.insert(frontend),
                };
                if is_new {
                    all.push(Exposed {
                        frontend,
                        access,
                        port,
                    });
                }
            };
            for (access, addresses) in &addresses {
                let of_family = |address: &&IpAddr| Family::of(**address) == family;
                for address in addresses.iter().filter(of_family) {
                    add(*access, Self::Address(*address, port.protocol, port.port));
                }
            }
            if let Some(node_port) = port.node_port {
                add(Access::NodePort, Self::NodePort(port.protocol, node_port));
            }
        }
        all
    }

    /// Whether a Service has frontends in the family.
    pub(crate) fn has_any(service: &Service, family: Family) -> bool {
        let ours =
            !service.proxied_elsewhere && !matches!(service.kind, ServiceKind::ExternalName(_));
        let mut cluster_ips = service.cluster_ips.iter();
        ours && cluster_ips.any(|ip| Family::of(*ip) == family) && !service.ports.is_empty()
    }
}

impl Access {
    /// The field that asks for it.
    pub fn field(self) -> &'static str {
        match self {
            Self::ClusterIp => "spec.clusterIPs",
            Self::NodePort => "spec.ports",
            Self::LoadBalancer => "status.loadBalancer.ingress",
            Self::ExternalIp => "spec.externalIPs",
        }
    }
}

impl Claims {
    /// Replaces what a Service asks for. Returns the other Services that may win or lose by it.
    pub(crate) fn replace(
        &mut self,
        family: Family,
        old: Option<&Service>,
        new: Option<&Service>,
    ) -> BTreeSet<ObjectName> {
        let mut rivals = BTreeSet::new();
        if let Some(service) = old {
            let claim = Claim::of(service);
            for Exposed { frontend, .. } in Frontend::of(service, family) {
                let Some(claims) = self.by_frontend.get_mut(&frontend) else {
                    continue;
                };
                claims.retain(|other| *other != claim);
                rivals.extend(claims.iter().map(|rival| rival.service.clone()));
                if claims.len() < 2 {
                    self.contested.remove(&frontend);
                }
                if claims.is_empty() {
                    self.by_frontend.remove(&frontend);
                }
            }
        }
        if let Some(service) = new {
            let claim = Claim::of(service);
            for Exposed { frontend, .. } in Frontend::of(service, family) {
                let claims = self.by_frontend.entry(frontend).or_default();
                rivals.extend(claims.iter().map(|rival| rival.service.clone()));
                if let Err(position) = claims.binary_search(&claim) {
                    claims.insert(position, claim.clone());
                }
                if claims.len() > 1 {
                    self.contested.insert(frontend);
                }
            }
        }
        rivals
    }

    /// The Service that has the frontend.
    pub(crate) fn owner(&self, frontend: &Frontend) -> Option<&ObjectName> {
        let claim = self.by_frontend.get(frontend)?.first()?;
        Some(&claim.service)
    }

    /// Whether more than one Service asks for the frontend.
    pub(crate) fn is_contested(&self, frontend: &Frontend) -> bool {
        self.contested.contains(frontend)
    }

    /// Who does not get what, and who has it instead.
    pub(crate) fn contested(&self) -> impl Iterator<Item = Contest<'_>> {
        self.contested.iter().flat_map(|frontend| {
            let mut claims = self.by_frontend.get(frontend).into_iter().flatten();
            let owner = claims.next();
            let losers = claims.map(|claim| &claim.service);
            losers.filter_map(move |loser| {
                Some(Contest {
                    frontend: *frontend,
                    owner: &owner?.service,
                    loser,
                })
            })
        })
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, protocol, port) => {
                write!(f, "{}/{protocol}", SocketAddr::new(*address, port.get()))
            }
            Self::NodePort(protocol, port) => write!(f, "node port {port}/{protocol}"),
        }
    }
}

impl Claim {
    fn of(service: &Service) -> Self {
        Self {
            created: service.created,
            service: service.name.clone(),
        }
    }
}
