//! `spec.healthCheckNodePort`: where load balancers ask whether this node has endpoints of a Service
//! with `externalTrafficPolicy: Local`.
//!
//! ```text
//! Service + node name -> HealthCheck (per family) + addresses -> HealthServer -> ServiceHealthServers
//! ```

mod servers;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use fairway_model::{Endpoint, Port, Service, ServiceKind, TrafficPolicy};

pub use self::servers::{HealthServer, ServiceHealthServers, UnservedHealthServer};
use crate::IpFamily;

/// What load balancers are told of a Service, in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Where they ask.
    pub port: Port,
    /// Ready endpoints on this node, each address once. One that terminates does not count, although
    /// it may serve: that the node should get nothing new is what drains it.
    pub local_endpoints: usize,
}

impl HealthCheck {
    /// The health check of a Service on the node of that name; None where it has none.
    pub fn of(service: &Service, family: IpFamily, node: &str) -> Option<Self> {
        let exists = service.kind == ServiceKind::LoadBalancer
            && service.external_policy == TrafficPolicy::Local
            && !service.proxied_elsewhere
            && !service.ports.is_empty()
            && service.cluster_ips.iter().any(|ip| family.has(*ip));
        let port = service.health_check_node_port.filter(|_| exists)?;
        let endpoints = service.ports.iter().flat_map(|port| port.endpoints.iter());
        let counts = |endpoint: &&Endpoint| {
            endpoint.conditions.ready && endpoint.is_on(node) && family.has(endpoint.address)
        };
        let local: HashSet<_> = endpoints.filter(counts).map(|it| it.address).collect();
        Some(Self {
            port,
            local_endpoints: local.len(),
        })
    }
}
