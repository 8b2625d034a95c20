use std::net::IpAddr;

use fairway_model::{Endpoint, Node, Service, ServiceKind, ServicePort, Snapshot};
use serde::Serialize;

use super::query::Query;
use super::{Judgement, Status};

/// Most endpoints of a port that are listed: a hundred pages of it would be no page.
const MOST_ENDPOINTS: usize = 100;

/// A Service.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    namespace: String,
    name: String,
    kind: &'static str,
    /// Of the host that it is an alias of.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_of: Option<String>,
    /// ClusterIPs, external addresses and those of load balancers.
    addresses: Vec<IpAddr>,
    /// Another service proxy looks after it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
    ports: Vec<Port>,
}

#[derive(Debug, Serialize)]
struct Port {
    name: String,
    port: u16,
    protocol: String,
    node_port: Option<u16>,
    ready: usize,
    /// Of all, listed or not.
    total: usize,
    endpoints: Vec<EndpointItem>,
}

#[derive(Debug, Serialize)]
struct EndpointItem {
    address: String,
    state: &'static str,
    /// Whether clients get there from this node.
    used: bool,
    why: String,
    node: Option<String>,
    zone: Option<String>,
    /// On this node.
    local: bool,
}

pub(super) fn found<'a>(
    snapshot: &'a Snapshot,
    query: &'a Query,
) -> impl Iterator<Item = &'a Service> {
    let services = snapshot.services.values().map(|service| &**service);
    services.filter(|service| {
        let addresses = addresses(service);
        query.finds([&*service.name.namespace, &*service.name.name])
            || addresses
                .into_iter()
                .any(|address| query.finds([&*address.to_string()]))
    })
}

impl Item {
    pub(super) fn new(service: &Service, status: &Status) -> Self {
        let (kind, alias_of) = match &service.kind {
            ServiceKind::ClusterIp if service.cluster_ips.is_empty() => ("headless", None),
            ServiceKind::ClusterIp => ("ClusterIP", None),
            ServiceKind::NodePort => ("NodePort", None),
            ServiceKind::LoadBalancer => ("LoadBalancer", None),
            ServiceKind::ExternalName(host) => ("ExternalName", Some(host.to_string())),
        };
        let ports = service.ports.iter();
        Self {
            namespace: service.name.namespace.to_string(),
            name: service.name.name.to_string(),
            kind,
            alias_of,
            addresses: addresses(service),
            elsewhere: service.proxied_elsewhere,
            ports: ports.map(|port| Port::new(port, service, status)).collect(),
        }
    }
}

impl Port {
    fn new(port: &ServicePort, service: &Service, status: &Status) -> Self {
        let node = &status.snapshot.node;
        let endpoints = port.endpoints.iter();
        let judged = (status.judge)(service, port, node);
        let described = endpoints.clone().zip(judged).take(MOST_ENDPOINTS);
        Self {
            name: port.name.to_string(),
            port: port.port.get(),
            protocol: port.protocol.to_string(),
            node_port: port.node_port.map(fairway_model::Port::get),
            ready: endpoints.filter(|it| it.conditions.ready).count(),
            total: port.endpoints.len(),
            endpoints: described
                .map(|(endpoint, judged)| EndpointItem::new(endpoint, judged, node))
                .collect(),
        }
    }
}

impl EndpointItem {
    fn new(endpoint: &Endpoint, judged: Judgement, node: &Node) -> Self {
        let conditions = endpoint.conditions;
        Self {
            address: endpoint.socket_address().to_string(),
            state: match () {
                () if conditions.ready => "ready",
                () if conditions.is_serving_while_terminating() => "draining",
                () if conditions.terminating => "terminating",
                () => "not ready",
            },
            used: judged.used,
            why: judged.why,
            node: endpoint.node.as_deref().map(str::to_owned),
            zone: endpoint.zone.as_deref().map(str::to_owned),
            local: endpoint.is_on(&node.name),
        }
    }
}

fn addresses(service: &Service) -> Vec<IpAddr> {
    let own = service.cluster_ips.iter().chain(&service.external_ips);
    own.chain(&service.load_balancer_ips).copied().collect()
}
