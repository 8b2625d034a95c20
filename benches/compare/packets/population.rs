//! The cluster that is programmed.

use std::net::{IpAddr, Ipv4Addr};

use fairway_model::{Endpoint, ObjectName, Port, Protocol, Service, ServiceKind, ServicePort};

/// Services that have a node port; there are 2,768 of those in all.
const NODE_PORTS: usize = 2_000;

/// Where the range of node ports begins.
const FIRST_NODE_PORT: u16 = 30_000;

/// Services with two endpoints elsewhere each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    services: usize,
}

/// The Service that is measured, beside the population.
pub(crate) struct Target {
    pub(crate) cluster_ip: IpAddr,
    pub(crate) node_port: u16,
    /// Pods on this node, the first of which is the only endpoint of most ports.
    pub(crate) pods: Vec<IpAddr>,
    pub(crate) pod_port: u16,
}

impl Target {
    /// The port that one pod is behind, and that has a node port.
    pub(crate) const PORT: u16 = 80;
    /// The port that all pods are behind.
    pub(crate) const WIDE_PORT: u16 = 81;
}

impl Population {
    /// So many, the measured one among them.
    pub(crate) fn new(services: usize) -> Self {
        Self { services }
    }

    /// All but the measured one.
    pub(crate) fn others(self) -> impl Iterator<Item = Service> {
        (0..self.services.saturating_sub(1)).map(|index| {
            let endpoints = [2 * index, 2 * index + 1];
            let endpoints =
                endpoints.map(|number| endpoint(address([10, 128, 0, 1], number), 8080));
            let mut tcp = ServicePort {
                endpoints: endpoints.into(),
                ..ServicePort::new(Protocol::Tcp, port(80))
            };
            let mut kind = ServiceKind::ClusterIp;
            if index < NODE_PORTS {
                let number = u16::try_from(index).expect("below the limit");
                tcp.node_port = Some(port(FIRST_NODE_PORT + number));
                kind = ServiceKind::NodePort;
            }
            Service {
                kind,
                cluster_ips: vec![address([10, 32, 0, 1], index)],
                ports: vec![tcp],
                ..Service::new(ObjectName::new("default", format!("service-{index}")))
            }
        })
    }
}

impl Target {
    /// As the API has it: TCP and UDP on the same ports.
    pub(crate) fn service(&self) -> Service {
        let one = [Protocol::Tcp, Protocol::Udp].map(|protocol| ServicePort {
            node_port: Some(port(self.node_port)),
            ..self.port(protocol, Self::PORT, &self.pods[..1])
        });
        let all = [Protocol::Tcp, Protocol::Udp];
        let all = all.map(|protocol| self.port(protocol, Self::WIDE_PORT, &self.pods));
        Service {
            kind: ServiceKind::NodePort,
            cluster_ips: vec![self.cluster_ip],
            ports: [one, all].concat(),
            ..Service::new(ObjectName::new("default", "web"))
        }
    }

    fn port(&self, protocol: Protocol, number: u16, pods: &[IpAddr]) -> ServicePort {
        let pods = pods.iter();
        ServicePort {
            name: format!("{protocol}-{number}").into(),
            endpoints: pods.map(|pod| endpoint(*pod, self.pod_port)).collect(),
            ..ServicePort::new(protocol, port(number))
        }
    }
}

fn endpoint(address: IpAddr, number: u16) -> Endpoint {
    Endpoint {
        node: Some(match address {
            // Pods of the lab's only node.
            IpAddr::V4(address) if address.octets()[1] == 244 => super::site::NODE.into(),
            _ => "another-node".into(),
        }),
        ..Endpoint::ready(address, port(number))
    }
}

fn address(first: [u8; 4], number: usize) -> IpAddr {
    let number = u32::try_from(number).expect("a cluster is not that large");
    Ipv4Addr::from(u32::from_be_bytes(first) + number).into()
}

fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}
