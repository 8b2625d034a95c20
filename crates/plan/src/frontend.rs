//! Who owns an address: two Services may ask for the same one, for a moment or for good.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use fairway_model::{ObjectName, Port, Protocol, Service, ServiceKind, ServicePort};

use crate::Family;

/// Something that clients connect to, and that only one Service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frontend {
    Address(IpAddr, Protocol, Port),
    NodePort(Protocol, Port),
}

/// Every frontend that some Service asks for, with those who ask: the oldest has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    by_frontend: BTreeMap<Frontend, BTreeSet<Claim>>,
    contested: BTreeSet<Frontend>,
}

/// Ordered so that the first is the owner: by age, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    created: i64,
    service: ObjectName,
}

impl Frontend {
    /// All frontends of a Service in one family, with the port they lead to. A Service without an
    /// address of the family does not exist in it.
    pub(crate) fn of(
        service: &Service,
        family: Family,
    ) -> impl Iterator<Item = (Self, &ServicePort)> {
        let ours =
            !service.proxied_elsewhere && !matches!(service.kind, ServiceKind::ExternalName(_));
        let addresses = service
            .cluster_ips
            .iter()
            .copied()
            .filter(move |address| ours && Family::of(*address) == family);
        addresses.enumerate().flat_map(move |(index, address)| {
            service.ports.iter().flat_map(move |port| {
                let cluster_ip = Self::Address(address, port.protocol, port.port);
                let node_port = port
                    .node_port
                    .filter(|_| index == 0)
                    .map(|node_port| Self::NodePort(port.protocol, node_port));
                [Some(cluster_ip), node_port]
                    .into_iter()
                    .flatten()
                    .map(move |frontend| (frontend, port))
            })
        })
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
            for (frontend, _) in Frontend::of(service, family) {
                let Some(claims) = self.by_frontend.get_mut(&frontend) else {
                    continue;
                };
                claims.remove(&claim);
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
            for (frontend, _) in Frontend::of(service, family) {
                let claims = self.by_frontend.entry(frontend).or_default();
                rivals.extend(claims.iter().map(|rival| rival.service.clone()));
                claims.insert(claim.clone());
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

    /// A line for each frontend that more than one Service asks for.
    pub(crate) fn contested(&self) -> impl Iterator<Item = String> {
        self.contested.iter().filter_map(|frontend| {
            let mut claims = self.by_frontend.get(frontend)?.iter();
            let owner = &claims.next()?.service;
            let losers: Vec<_> = claims.map(|claim| claim.service.to_string()).collect();
            let losers = losers.join(", ");
            Some(format!(
                "{frontend} belongs to Service {owner}; not served for {losers}"
            ))
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
