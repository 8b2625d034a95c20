//! One Service -> its elements in one family's table.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use fairway_model::{Affinity, Balance, Node, Port, Protocol, Service, ServicePort, TrafficPolicy};
use ipnet::IpNet;

use crate::elements::Elements;
use crate::found::SlotsByFrontend;
use crate::frontend::{Access, Exposed, Frontend};
use crate::selection;
use crate::slots::{assign, shares};
use crate::{
    Bytes, Element, Family, HashedBy, IdleTimeout, MaglevTable, Options, SetName, SlotClass,
    TableSize, maglev,
};

/// A Service as it is programmed: kept for as long as it is.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) service: Arc<Service>,
    pub(crate) elements: Elements,
}

/// A Service while it is planned.
struct Plan<'a> {
    service: &'a Service,
    /// Whether connections are counted.
    counts: bool,
    elements: Vec<Element>,
    ports: Vec<PlannedPort>,
}

struct PlannedPort {
    protocol: Protocol,
    port: Port,
    slots: Rc<Slots>,
}

/// The endpoints of a service port by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// For clients anywhere. Empty only if nothing can answer at all.
    pub(crate) cluster: Box<[SocketAddr]>,
    /// On this node. Empty unless a policy asks for them.
    pub(crate) local: Box<[SocketAddr]>,
}

impl Planned {
    /// Plans a Service. `owns` tells whether a frontend is the Service's to have, `previous` which
    /// slots a port had before.
    pub(crate) fn new(
        service: &Arc<Service>,
        family: Family,
        options: &Options,
        node: &Node,
        owns: impl Fn(&Frontend) -> bool,
        previous: impl Fn(&ServicePort) -> Slots,
    ) -> Self {
        let mut plan = Plan {
            service,
            counts: options.count_connections,
            // What a port with two endpoints and two addresses takes.
            elements: Vec::with_capacity(8 * service.ports.len()),
            ports: Vec::with_capacity(service.ports.len()),
        };
        let allowed = allowed_sources(service, family, node);
        for exposed in Frontend::of(service, family) {
            if let (Access::ClusterIp, Frontend::Address(address, ..)) =
                (exposed.access, exposed.frontend)
            {
                let key = Bytes::new().address(address);
                plan.add(SetName::ClusterIps, key, Bytes::new());
            }
            if !owns(&exposed.frontend) {
                continue;
            }
            let slots = match plan.position(exposed.port) {
                Some(position) => plan.ports[position].slots.clone(),
                None => plan.add_port(exposed.port, family, node, &previous),
            };
            plan.expose(exposed, &slots);
            if let (Access::LoadBalancer, Some(allowed)) = (exposed.access, &allowed) {
                plan.restrict(exposed.frontend, allowed);
            }
        }
        Self {
            service: service.clone(),
            elements: plan.elements.into(),
        }
    }

    /// The slots by frontend, as they are programmed.
    pub(crate) fn slots(&self, family: Family) -> SlotsByFrontend {
        SlotsByFrontend::new(family, self.elements.iter())
    }
}

/// The endpoints that new connections of one family are shared out among under a traffic policy, each as
/// often as its share says: what a frontend's slots are made of.
pub fn shares_of_endpoints(
    service: &Service,
    port: &ServicePort,
    policy: TrafficPolicy,
    family: Family,
    node: &Node,
) -> Vec<SocketAddr> {
    let selected = match policy {
        TrafficPolicy::Cluster => selection::cluster(&port.endpoints, family, node),
        TrafficPolicy::Local => selection::local(&port.endpoints, family, node),
    };
    shares(&selected, &service.weights)
}

impl Plan<'_> {
    fn position(&self, port: &ServicePort) -> Option<usize> {
        self.ports
            .iter()
            .position(|known| (known.protocol, known.port) == (port.protocol, port.port))
    }

    fn add_port(
        &mut self,
        port: &ServicePort,
        family: Family,
        node: &Node,
        previous: impl Fn(&ServicePort) -> Slots,
    ) -> Rc<Slots> {
        let cluster = selection::cluster(&port.endpoints, family, node);
        let policies = [self.service.internal_policy, self.service.external_policy];
        let local = match policies.contains(&TrafficPolicy::Local) {
            true => selection::local(&port.endpoints, family, node),
            false => Vec::new(),
        };
        for endpoint in cluster.iter().chain(&local) {
            // An endpoint whose node is unknown may be here; if it is not, no packet with both of
            // these addresses ever passes.
            if endpoint.node.is_none() || endpoint.is_on(&node.name) {
                let address = endpoint.address;
                let key = Bytes::new().address(address).address(address);
                self.add(SetName::Hairpin, key, Bytes::new());
            }
        }
        let previous = previous(port);
        let weights = &self.service.weights;
        let balance = self.service.balance;
        let place = |previous: &[SocketAddr], shares: Vec<SocketAddr>| match balance {
            Balance::Random => assign(previous, &shares),
            Balance::Maglev | Balance::MaglevConnection => maglev::table(shares),
        };
        let slots = Rc::new(Slots {
            cluster: place(&previous.cluster, shares(&cluster, weights)),
            local: place(&previous.local, shares(&local, weights)),
        });
        self.ports.push(PlannedPort {
            protocol: port.protocol,
            port: port.port,
            slots: slots.clone(),
        });
        slots
    }

    fn expose(&mut self, exposed: Exposed<'_>, slots: &Slots) {
        let key = frontend_key(exposed.frontend);
        let sets = match exposed.frontend {
            Frontend::Address(..) => &ADDRESS,
            Frontend::NodePort(..) => &NODE_PORT,
        };
        let policy = match exposed.access {
            Access::ClusterIp => self.service.internal_policy,
            _ => self.service.external_policy,
        };
        if slots.cluster.is_empty() {
            self.add(sets.refused, key, Bytes::new());
            return;
        }
        if policy == TrafficPolicy::Local && slots.local.is_empty() {
            self.add(sets.dropped, key.clone(), Bytes::new());
        }
        if exposed.access == Access::ClusterIp {
            let used = match policy {
                TrafficPolicy::Cluster => &slots.cluster,
                TrafficPolicy::Local => &slots.local,
            };
            self.translate(sets.endpoints, sets.maglev, &key, used);
            self.stay(sets, &key, used, &[]);
            self.count(sets.connections, &key, used);
            return;
        }
        self.translate(sets.endpoints, sets.maglev, &key, &slots.cluster);
        let local = match policy {
            TrafficPolicy::Cluster => &[],
            TrafficPolicy::Local => &*slots.local,
        };
        self.stay(sets, &key, &slots.cluster, local);
        self.count(sets.connections, &key, &slots.cluster);
        self.count(sets.connections, &key, local);
        if policy == TrafficPolicy::Local {
            self.translate(sets.local_endpoints, sets.local_maglev, &key, &slots.local);
            self.add(sets.local_policy, key.clone(), Bytes::new());
        }
        self.add(sets.served, key, Bytes::new());
    }

    /// Lets clients stay with their endpoint, if they are to.
    fn stay(
        &mut self,
        sets: &FrontendSets,
        key: &Bytes,
        cluster: &[SocketAddr],
        local: &[SocketAddr],
    ) {
        let Affinity::ClientIp { timeout_seconds } = self.service.affinity else {
            return;
        };
        if cluster.is_empty() {
            return;
        }
        self.add(sets.affinity, key.clone(), Bytes::new());
        let lists = [
            (sets.affinity_endpoints, cluster),
            (sets.local_affinity_endpoints, local),
        ];
        for (set, endpoints) in lists {
            for endpoint in endpoints {
                if let Some(port) = Port::new(endpoint.port()) {
                    let key = key.clone().address(endpoint.ip()).port(port);
                    self.add(set(timeout_seconds), key, Bytes::new());
                }
            }
        }
    }

    /// Counts the connections that these endpoints get from here, however they are chosen.
    fn count(&mut self, set: SetName, key: &Bytes, endpoints: &[SocketAddr]) {
        if !self.counts {
            return;
        }
        // Weights and Maglev tables name each endpoint many times.
        let endpoints: BTreeSet<&SocketAddr> = endpoints.iter().collect();
        for endpoint in endpoints {
            if let Some(port) = Port::new(endpoint.port()) {
                let key = key.clone().address(endpoint.ip()).port(port);
                self.add(set, key, Bytes::new());
            }
        }
    }

    fn restrict(&mut self, frontend: Frontend, allowed: &[IpNet]) {
        let key = frontend_key(frontend);
        for network in allowed {
            let key = key.clone().network(*network);
            self.add(SetName::AllowedSources, key, Bytes::new());
        }
        self.add(SetName::Restricted, key, Bytes::new());
    }

    fn translate(
        &mut self,
        by_class: fn(SlotClass) -> SetName,
        maglev: fn(MaglevTable) -> SetName,
        key: &Bytes,
        slots: &[SocketAddr],
    ) {
        let Some(class) = SlotClass::of(slots.len()) else {
            return;
        };
        let by = match self.service.balance {
            Balance::Random => None,
            Balance::Maglev => Some(HashedBy::Client),
            Balance::MaglevConnection => Some(HashedBy::Connection),
        };
        // One endpoint needs no table.
        let size = u32::try_from(slots.len()).ok().and_then(TableSize::exactly);
        let table = by.zip(size).map(|(by, size)| MaglevTable { by, size });
        let map = table.map_or_else(|| by_class(class), maglev);
        for (slot, address) in (0..).zip(slots) {
            let key = match slots.len() {
                1 => key.clone(),
                _ => key.clone().slot(slot),
            };
            if let Some(port) = Port::new(address.port()) {
                self.add(map, key, Bytes::new().address(address.ip()).port(port));
            }
        }
    }

    fn add(&mut self, set: SetName, key: Bytes, value: Bytes) {
        self.elements.push(Element { set, key, value });
    }
}

/// The sets of one kind of frontend.
struct FrontendSets {
    served: SetName,
    local_policy: SetName,
    dropped: SetName,
    refused: SetName,
    endpoints: fn(SlotClass) -> SetName,
    local_endpoints: fn(SlotClass) -> SetName,
    maglev: fn(MaglevTable) -> SetName,
    local_maglev: fn(MaglevTable) -> SetName,
    affinity: SetName,
    affinity_endpoints: fn(IdleTimeout) -> SetName,
    local_affinity_endpoints: fn(IdleTimeout) -> SetName,
    connections: SetName,
}

const ADDRESS: FrontendSets = FrontendSets {
    served: SetName::ExternalAddresses,
    local_policy: SetName::LocalPolicy,
    dropped: SetName::Dropped,
    refused: SetName::Refused,
    endpoints: SetName::Endpoints,
    local_endpoints: SetName::LocalEndpoints,
    maglev: SetName::MaglevEndpoints,
    local_maglev: SetName::LocalMaglevEndpoints,
    affinity: SetName::Affinity,
    affinity_endpoints: SetName::AffinityEndpoints,
    local_affinity_endpoints: SetName::LocalAffinityEndpoints,
    connections: SetName::Connections,
};

const NODE_PORT: FrontendSets = FrontendSets {
    served: SetName::NodePorts,
    local_policy: SetName::LocalPolicyNodePorts,
    dropped: SetName::DroppedNodePorts,
    refused: SetName::RefusedNodePorts,
    endpoints: SetName::NodePortEndpoints,
    local_endpoints: SetName::LocalNodePortEndpoints,
    maglev: SetName::MaglevNodePortEndpoints,
    local_maglev: SetName::LocalMaglevNodePortEndpoints,
    affinity: SetName::AffinityNodePorts,
    affinity_endpoints: SetName::AffinityNodePortEndpoints,
    local_affinity_endpoints: SetName::LocalAffinityNodePortEndpoints,
    connections: SetName::NodePortConnections,
};

/// The key of a frontend, without a slot.
pub(crate) fn frontend_key(frontend: Frontend) -> Bytes {
    match frontend {
        Frontend::Address(address, protocol, port) => {
            Bytes::new().address(address).protocol(protocol).port(port)
        }
        Frontend::NodePort(protocol, port) => Bytes::new().protocol(protocol).port(port),
    }
}

/// Who may use the addresses of the Service's load balancer, without overlaps; None for everybody.
/// Where ranges are given, and all of them are of the other family, it is nobody.
fn allowed_sources(service: &Service, family: Family, node: &Node) -> Option<Vec<IpNet>> {
    if service.source_ranges.is_empty() {
        return None;
    }
    let in_family = |address: &IpAddr| Family::of(*address) == family;
    let ranges = service.source_ranges.iter().copied();
    let mut ranges: Vec<IpNet> = ranges.filter(|range| in_family(&range.addr())).collect();
    let mut of_node = node.addresses.iter();
    if of_node.any(|address| ranges.iter().any(|range| range.contains(address))) {
        // What the node sends to an address that it has itself comes from that address.
        let own = service.load_balancer_ips.iter().copied();
        ranges.extend(own.filter(in_family).map(IpNet::from));
    }
    let ranges = IpNet::aggregate(&ranges);
    let everybody = ranges.iter().any(|range| range.prefix_len() == 0);
    (!everybody).then_some(ranges)
}
