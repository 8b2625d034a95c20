use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use fairway_model::{
    BackendPort, Endpoint, Node, ObjectName, Protocol, Service, ServiceKind, ServicePort,
    UpstreamProtocol, Weights, preferred,
};

mod aliases;
mod registry;
#[cfg(test)]
mod tests;

pub(crate) use aliases::Aliases;
pub(crate) use registry::Upstreams;

/// Names a Service port that routes forward to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamKey {
    /// The Service.
    pub service: ObjectName,
    /// Its port.
    pub port: BackendPort,
}

/// A Service port with its usable endpoints. One value serves all routes that name the same Service
/// port, and stays the same while endpoints come and go: workers may key their own state by `id`.
#[derive(Debug)]
pub struct Upstream {
    /// Unique within the process, never reused.
    pub id: u64,
    /// What it stands for.
    pub key: UpstreamKey,
    endpoints: ArcSwap<Endpoints>,
    /// Where in [`PROTOCOLS`], or beyond where the port does not say.
    protocol: AtomicU8,
}

const PROTOCOLS: [UpstreamProtocol; 4] = [
    UpstreamProtocol::Http1,
    UpstreamProtocol::Http2,
    UpstreamProtocol::Https,
    UpstreamProtocol::Http2Tls,
];

/// What an upstream currently offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// At least one usable endpoint: the ready ones or, if there is none, those that still serve
    /// while they terminate. Preferred ones first, then by address, no duplicates.
    Usable(Arc<[UsableEndpoint]>),
    /// The Service exists, but nothing can answer.
    None,
    /// There is no such Service.
    NoService,
    /// The Service has no such port.
    NoPort,
    /// The Service is an alias (ExternalName) of a host without an address that may be asked, or none that is
    /// known yet.
    Unresolved,
}

/// An endpoint that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsableEndpoint {
    /// Topology hints mean others for this node, which are asked as long as they answer.
    pub is_remote: bool,
    /// Address and port.
    pub address: SocketAddr,
    /// Its share beside the others'; at least 1.
    pub weight: u8,
}

impl UsableEndpoint {
    /// One like any other.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            is_remote: false,
            address,
            weight: 1,
        }
    }
}

impl Upstream {
    fn new(key: UpstreamKey, service: Option<&Service>, node: &Node, hosts: &Aliases) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let endpoints = Endpoints::of(service, &key.port, node, hosts);
        let upstream = Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            key,
            endpoints: ArcSwap::from_pointee(endpoints),
            protocol: AtomicU8::default(),
        };
        upstream.update(service, node, hosts);
        upstream
    }

    /// The endpoints right now: one atomic load, never blocks.
    pub fn endpoints(&self) -> Guard<Arc<Endpoints>> {
        self.endpoints.load()
    }

    /// What the Service says that its endpoints speak (`appProtocol`).
    pub fn protocol(&self) -> Option<UpstreamProtocol> {
        let at = self.protocol.load(Ordering::Relaxed);
        PROTOCOLS.get(usize::from(at)).copied()
    }

    /// Keeps the value in place where nothing changed, so that whoever compares pointers need not look.
    fn update(&self, service: Option<&Service>, node: &Node, hosts: &Aliases) {
        let protocol = service
            .and_then(|service| tcp_port(service, &self.key.port)?.app_protocol.as_deref())
            .and_then(UpstreamProtocol::of_app_protocol);
        let at = PROTOCOLS.iter().position(|it| Some(*it) == protocol);
        let at = u8::try_from(at.unwrap_or(PROTOCOLS.len())).expect("there are few protocols");
        self.protocol.store(at, Ordering::Relaxed);
        let endpoints = Endpoints::of(service, &self.key.port, node, hosts);
        if **self.endpoints.load() != endpoints {
            self.endpoints.store(Arc::new(endpoints));
        }
    }
}

impl Endpoints {
    /// What a backend that names this port can use, on whatever node and in whatever family.
    pub(crate) fn of(
        service: Option<&Service>,
        port: &BackendPort,
        node: &Node,
        hosts: &Aliases,
    ) -> Self {
        let Some(service) = service else {
            return Self::NoService;
        };
        if let ServiceKind::ExternalName(host) = &service.kind {
            return Self::of_host(service, port, hosts.addresses(host));
        }
        match tcp_port(service, port) {
            Some(port) => Self::usable(&port.endpoints, &service.weights, node),
            None => Self::NoPort,
        }
    }

    /// What a port of an alias can use. Without ports of its own the alias has every port.
    fn of_host(service: &Service, port: &BackendPort, addresses: &[IpAddr]) -> Self {
        let number = match (tcp_port(service, port), port) {
            (Some(port), _) => port.external_port.unwrap_or(port.port),
            (None, BackendPort::Number(number)) if service.ports.is_empty() => *number,
            _ => return Self::NoPort,
        };
        let mut usable: Vec<_> = addresses
            .iter()
            .map(|address| UsableEndpoint::new(SocketAddr::new(*address, number.get())))
            .collect();
        usable.sort_unstable();
        usable.dedup();
        match usable.is_empty() {
            true => Self::Unresolved,
            false => Self::Usable(usable.into()),
        }
    }

    fn usable(endpoints: &[Endpoint], weights: &Weights, node: &Node) -> Self {
        let select = |is_wanted: fn(&Endpoint) -> bool| -> Vec<&Endpoint> {
            endpoints.iter().filter(|it| is_wanted(it)).collect()
        };
        let mut usable = select(|endpoint| endpoint.conditions.ready);
        let preferred = match usable.is_empty() {
            // As kube-proxy does: a rolling update of a single replica would otherwise answer 503.
            true => {
                usable = select(|endpoint| endpoint.conditions.is_serving_while_terminating());
                usable.clone()
            }
            false => preferred(usable.clone(), node),
        };
        if usable.is_empty() {
            return Self::None;
        }
        // Both in the same order.
        let mut preferred = preferred.into_iter().peekable();
        let mut usable: Vec<_> = usable
            .into_iter()
            .map(|endpoint| UsableEndpoint {
                is_remote: preferred
                    .next_if(|it| std::ptr::eq(*it, endpoint))
                    .is_none(),
                address: endpoint.socket_address(),
                weight: weights.of(endpoint),
            })
            .collect();
        // As for Services: where all have the weight 0 they count alike.
        match usable.iter().all(|endpoint| endpoint.weight == 0) {
            true => usable.iter_mut().for_each(|endpoint| endpoint.weight = 1),
            false => usable.retain(|endpoint| endpoint.weight > 0),
        }
        usable.sort_unstable();
        Self::Usable(usable.into())
    }
}

/// One number may stand for a UDP port as well (DNS does), so the first port of that number is not enough.
fn tcp_port<'a>(service: &'a Service, wanted: &BackendPort) -> Option<&'a ServicePort> {
    let mut tcp = service
        .ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp);
    tcp.find(|port| match wanted {
        BackendPort::Number(number) => port.port == *number,
        BackendPort::Name(name) => port.name == *name,
    })
}
