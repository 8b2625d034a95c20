//! Packets that no Service concerns, and whose they may be.

use std::net::IpAddr;

use fairway_model::{Port, Protocol, Service, ServiceKind};
use fairway_plan::NodePortScope;

use crate::{Answer, Outcome, World};

/// What an address is that no Service is served on.
pub(crate) fn answer(
    world: &World,
    (address, protocol, port): (IpAddr, Protocol, Port),
    scope: &NodePortScope,
) -> Answer {
    let mut advice = Vec::new();
    for service in world.snapshot.services.values() {
        advice.extend(of_service(world, service, (address, protocol, port), scope));
        if advice.len() >= MOST {
            break;
        }
    }
    let listens = world.ingress.as_ref().and_then(|routing| {
        let listens = |list: &[std::net::SocketAddr]| list.iter().any(|it| it.port() == port.get());
        match protocol {
            Protocol::Tcp if listens(&routing.http) => Some("HTTP"),
            Protocol::Tcp if listens(&routing.https) => Some("HTTPS"),
            _ => None,
        }
    });
    let summary = match listens {
        Some(what) if world.is_of_node(address) => {
            advice.push("ask about the URL to learn where requests go".to_owned());
            format!(
                "no Service has {address} port {port}/{protocol}: the ingress router itself serves {what} there"
            )
        }
        _ => format!("not fairway's: no Service is served on {address} port {port}/{protocol}"),
    };
    Answer {
        outcome: Outcome::NotOurs,
        status: None,
        summary,
        advice,
    }
}

/// More would not help.
const MOST: usize = 5;

fn of_service(
    world: &World,
    service: &Service,
    (address, protocol, port): (IpAddr, Protocol, Port),
    scope: &NodePortScope,
) -> Option<String> {
    let name = &service.name;
    let addresses = || {
        let all = [
            &service.cluster_ips,
            &service.external_ips,
            &service.load_balancer_ips,
        ];
        all.into_iter().flatten()
    };
    if service.proxied_ips.contains(&address) {
        return Some(format!(
            "it is the balancer's address of Service {name} with ipMode Proxy: nodes leave it to the balancer"
        ));
    }
    let has_address = addresses().any(|it| *it == address);
    if has_address && service.proxied_elsewhere {
        return Some(format!(
            "Service {name} has the address, and its label service.kubernetes.io/service-proxy-name gives it to another service proxy"
        ));
    }
    if has_address {
        let ports: Vec<_> = service
            .ports
            .iter()
            .map(crate::http::name_of_port)
            .collect();
        return Some(format!(
            "Service {name} has the address, with {}",
            ports.join(", ")
        ));
    }
    if service.health_check_node_port == Some(port) && world.is_of_node(address) {
        return Some(format!(
            "the agent itself answers there whether this node has endpoints of Service {name} (healthCheckNodePort)"
        ));
    }
    let is_node_port =
        (service.ports.iter()).any(|it| it.protocol == protocol && it.node_port == Some(port));
    if is_node_port {
        return Some(node_port(service, address, port, scope));
    }
    if let ServiceKind::ExternalName(_) = service.kind {
        return None;
    }
    let mut ports = service.ports.iter();
    let endpoint = ports.find_map(|of| {
        of.endpoints
            .iter()
            .find(|it| it.address == address && it.port == port)
    })?;
    let place = endpoint.node.as_deref();
    let place = place
        .map(|node| format!(" on node {node}"))
        .unwrap_or_default();
    Some(format!(
        "it is an endpoint of Service {name}{place}: packets go there directly"
    ))
}

fn node_port(service: &Service, address: IpAddr, port: Port, scope: &NodePortScope) -> String {
    let name = &service.name;
    if address.is_loopback() {
        return format!(
            "{port} is a node port of Service {name}: on loopback it is served with --loopback-node-ports only"
        );
    }
    let served = match scope {
        NodePortScope::Everywhere => "addresses of this node".to_owned(),
        NodePortScope::Address(served) => served.to_string(),
        NodePortScope::Within(networks) => {
            let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
            format!("addresses of this node within {}", networks.join(", "))
        }
    };
    format!(
        "{port} is a node port of Service {name}: here it is served on {served} only (--nodeport-addresses)"
    )
}
