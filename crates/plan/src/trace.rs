//! What becomes of one packet, for who asks why.
//!
//! The planned rules are walked as the kernel walks them, over the planned elements of the Services that
//! ask for the packet's address or node port. What policies mean is not said here a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fairway_model::{ObjectName, Port, Protocol, Service, ServicePort, Snapshot};

use crate::frontend::{Access, Claims, Exposed, Frontend};
use crate::layout;
use crate::service::{Planned, Slots};
use crate::{Bytes, Chain, Element, Family, Options, Selector, SetName};

pub use walk::{Cause, Outcome, Packet, Sender, Walk};

#[cfg(test)]
mod tests;
mod walk;

pub(crate) type Sets = BTreeMap<SetName, BTreeMap<Bytes, Bytes>>;

/// The part of a table that decides about packets to one address and port.
#[derive(Clone, Debug)]
pub struct Scene {
    family: Family,
    destination: (IpAddr, Protocol, Port),
    candidates: Vec<Candidate>,
    address_of: Vec<ObjectName>,
    chains: Vec<Chain>,
    sets: Sets,
}

/// A Service that asks for the address and port, or for the node port.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The Service.
    pub service: Arc<Service>,
    /// What it asks for it with.
    pub access: Access,
    /// The number of the port of the Service.
    pub port: Port,
    /// Whether it has it: the oldest of those that ask does.
    pub owns: bool,
}

impl Candidate {
    /// The port of the Service.
    pub fn service_port(&self, protocol: Protocol) -> Option<&ServicePort> {
        let mut ports = self.service.ports.iter();
        ports.find(|port| (port.protocol, port.port) == (protocol, self.port))
    }
}

impl Scene {
    /// What is planned of a snapshot for packets to this address and port. Costs a look at every Service.
    pub fn new(
        options: &Options,
        snapshot: &Snapshot,
        (address, protocol, port): (IpAddr, Protocol, Port),
    ) -> Self {
        let family = Family::of(address);
        let frontends = [
            Frontend::Address(address, protocol, port),
            Frontend::NodePort(protocol, port),
        ];
        let concerned: Vec<_> = snapshot
            .services
            .values()
            .filter(|service| is_concerned(service, address, port))
            .collect();
        let mut claims = Claims::default();
        for service in &concerned {
            claims.replace(family, None, Some(service));
        }
        let (mut candidates, mut address_of) = (Vec::new(), Vec::new());
        let mut sets = Sets::new();
        for &service in &concerned {
            let owns = |frontend: &Frontend| claims.owner(frontend) == Some(&service.name);
            for Exposed {
                frontend,
                access,
                port,
            } in Frontend::of(service, family)
            {
                if frontends.contains(&frontend) {
                    candidates.push(Candidate {
                        service: service.clone(),
                        access,
                        port: port.port,
                        owns: owns(&frontend),
                    });
                }
            }
            if service.cluster_ips.contains(&address) {
                address_of.push(service.name.clone());
            }
            let planned = Planned::new(service, family, options, &snapshot.node, owns, |_| {
                Slots::default()
            });
            for Element { set, key, value } in planned.elements.iter() {
                sets.entry(set).or_default().insert(key, value);
            }
        }
        candidates.sort_by_key(|candidate| {
            let service = &candidate.service;
            (!candidate.owns, service.created, service.name.clone())
        });
        let on_demand = sets.keys().copied();
        let companions: BTreeSet<_> = on_demand.filter_map(layout::companion).collect();
        for set in layout::permanent_sets().chain(companions) {
            sets.entry(set).or_default();
        }
        let names = sets.keys().copied().collect();
        Self {
            family,
            destination: (address, protocol, port),
            candidates,
            address_of,
            chains: layout::chains(family, options, &snapshot.node, &names),
            sets,
        }
    }

    /// The family of the address.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Those who ask for the address and port, or the node port; first those who have it.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The Services whose ClusterIP the address is, whatever their ports are.
    pub fn services_of_address(&self) -> &[ObjectName] {
        &self.address_of
    }

    /// The way of a packet from this sender.
    pub fn walk(&self, packet: &Packet) -> Walk {
        walk::walk(&self.chains, &self.sets, packet, self.destination)
    }

    /// Where the kernel may hold something about such packets, and of this client if it is remembered. Who
    /// may use a restricted address is not among it.
    pub fn keys(&self, client: Option<IpAddr>) -> Vec<(SetName, Bytes)> {
        let mut keys = Vec::new();
        for &set in self.sets.keys() {
            if !decides(set) {
                continue;
            }
            let mut of_set = vec![Bytes::new()];
            for selector in set.shape().key {
                of_set = self.extend(of_set, selector, client);
            }
            keys.extend(of_set.into_iter().map(|key| (set, key)));
        }
        keys
    }

    /// The planned elements among those that [`keys`](Self::keys) ask for.
    pub fn elements(&self) -> Vec<Element> {
        let keys = self.keys(None).into_iter();
        keys.filter_map(|(set, key)| {
            let value = self.sets.get(&set)?.get(&key)?.clone();
            Some(Element { set, key, value })
        })
        .collect()
    }

    /// The same rules over these elements, found under [`keys`](Self::keys).
    #[must_use]
    pub fn over(&self, elements: impl IntoIterator<Item = Element>) -> Self {
        let mut scene = self.clone();
        for (set, elements) in &mut scene.sets {
            if decides(*set) {
                elements.clear();
            }
        }
        for Element { set, key, value } in elements {
            scene.sets.entry(set).or_default().insert(key, value);
        }
        scene
    }

    fn extend(&self, keys: Vec<Bytes>, selector: Selector, client: Option<IpAddr>) -> Vec<Bytes> {
        let (address, protocol, port) = self.destination;
        let append = |add: &dyn Fn(Bytes) -> Bytes| keys.iter().cloned().map(add).collect();
        match selector {
            Selector::DestinationAddress => append(&|key| key.address(address)),
            Selector::Protocol => append(&|key| key.protocol(protocol)),
            Selector::DestinationPort => append(&|key| key.port(port)),
            Selector::RandomSlot(slots) => (0..slots)
                .flat_map(|slot| keys.iter().cloned().map(move |key| key.slot(slot)))
                .collect(),
            Selector::SourceAddress => {
                let client = client.filter(|client| Family::of(*client) == self.family);
                client.map_or_else(Vec::new, |client| append(&|key| key.address(client)))
            }
            _ => Vec::new(),
        }
    }
}

/// Whether the kernel's elements of a set decide where a packet goes. The others only count it, or say
/// what may be remembered of it; networks have no keys to ask for.
fn decides(set: SetName) -> bool {
    !matches!(
        set,
        SetName::Hairpin
            | SetName::AllowedSources
            | SetName::AffinityEndpoints(_)
            | SetName::LocalAffinityEndpoints(_)
            | SetName::AffinityNodePortEndpoints(_)
            | SetName::LocalAffinityNodePortEndpoints(_)
            | SetName::Connections
            | SetName::NodePortConnections
    )
}

/// A first look that allocates nothing.
fn is_concerned(service: &Service, address: IpAddr, port: Port) -> bool {
    service.cluster_ips.contains(&address)
        || service.load_balancer_ips.contains(&address)
        || service.external_ips.contains(&address)
        || (service.ports.iter()).any(|of_service| of_service.node_port == Some(port))
}

/// The endpoint that a map's value names.
pub(crate) fn endpoint(value: &Bytes, family: Family) -> Option<SocketAddr> {
    let (address, port) = value.0.split_at_checked(family.address_length())?;
    let address = match family {
        Family::Ip4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        Family::Ip6 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    let port = u16::from_be_bytes(port.first_chunk::<2>().copied()?);
    Some(SocketAddr::new(address, port))
}
