//! One Service -> its elements in one family's table.

use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::{Port, Protocol, Service, ServicePort};

use crate::frontend::Frontend;
use crate::slots::{assign, usable};
use crate::{Bytes, Element, Family, SetName, SlotClass};

/// A Service as it is programmed.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) service: Arc<Service>,
    /// Sorted, without duplicates.
    pub(crate) elements: Vec<Element>,
    slots: Vec<PortSlots>,
}

/// The endpoints of a service port by slot.
#[derive(Clone, Debug)]
struct PortSlots {
    protocol: Protocol,
    port: Port,
    addresses: Box<[SocketAddr]>,
}

impl Planned {
    /// Plans a Service. `owns` tells whether a frontend is the Service's to have, `previous` which
    /// slots a port had before.
    pub(crate) fn new(
        service: &Arc<Service>,
        family: Family,
        node: &str,
        owns: impl Fn(&Frontend) -> bool,
        previous: impl Fn(&ServicePort) -> Box<[SocketAddr]>,
    ) -> Self {
        let mut elements = Vec::new();
        let mut slots: Vec<PortSlots> = Vec::new();
        for (frontend, port) in Frontend::of(service, family) {
            if let Frontend::Address(address, ..) = frontend {
                elements.push(element(
                    SetName::ClusterIps,
                    Bytes::new().address(address),
                    Bytes::new(),
                ));
            }
            if !owns(&frontend) {
                continue;
            }
            let known = slots
                .iter()
                .position(|known| (known.protocol, known.port) == (port.protocol, port.port));
            let index = known.unwrap_or_else(|| {
                let used = usable(&port.endpoints, family);
                elements.extend(
                    used.iter()
                        // An endpoint whose node is unknown may be here; if it is not, no packet
                        // with both of these addresses ever passes.
                        .filter(|endpoint| endpoint.node.is_none() || endpoint.is_on(node))
                        .map(|endpoint| {
                            let key = Bytes::new()
                                .address(endpoint.address)
                                .address(endpoint.address);
                            element(SetName::Hairpin, key, Bytes::new())
                        }),
                );
                let wanted: Vec<_> = used
                    .iter()
                    .map(|endpoint| endpoint.socket_address())
                    .collect();
                slots.push(PortSlots {
                    protocol: port.protocol,
                    port: port.port,
                    addresses: assign(&previous(port), &wanted),
                });
                slots.len() - 1
            });
            frontend_elements(&mut elements, frontend, &slots[index].addresses);
        }
        elements.sort_unstable();
        elements.dedup();
        Self {
            service: service.clone(),
            elements,
            slots,
        }
    }

    /// The slots of a service port; empty if it has none.
    pub(crate) fn slots(&self, port: &ServicePort) -> Box<[SocketAddr]> {
        self.slots
            .iter()
            .find(|known| (known.protocol, known.port) == (port.protocol, port.port))
            .map(|known| known.addresses.clone())
            .unwrap_or_default()
    }
}

fn frontend_elements(elements: &mut Vec<Element>, frontend: Frontend, slots: &[SocketAddr]) {
    let key = frontend_key(frontend);
    let class = SlotClass::of(slots.len());
    let (refused, map) = match frontend {
        Frontend::Address(..) => (SetName::Refused, class.map(SetName::Endpoints)),
        Frontend::NodePort(..) => (
            SetName::RefusedNodePorts,
            class.map(SetName::NodePortEndpoints),
        ),
    };
    let (Some(map), Some(class)) = (map, class) else {
        elements.push(element(refused, key, Bytes::new()));
        return;
    };
    if let Frontend::NodePort(..) = frontend {
        elements.push(element(SetName::NodePorts, key.clone(), Bytes::new()));
    }
    elements.extend((0..).zip(slots).filter_map(|(slot, address)| {
        let key = match class.slots() {
            1 => key.clone(),
            _ => key.clone().slot(slot),
        };
        let value = Bytes::new()
            .address(address.ip())
            .port(Port::new(address.port())?);
        Some(element(map, key, value))
    }));
}

/// The key of a frontend, without a slot.
pub(crate) fn frontend_key(frontend: Frontend) -> Bytes {
    match frontend {
        Frontend::Address(address, protocol, port) => {
            Bytes::new().address(address).protocol(protocol).port(port)
        }
        Frontend::NodePort(protocol, port) => Bytes::new().protocol(protocol).port(port),
    }
}

fn element(set: SetName, key: Bytes, value: Bytes) -> Element {
    Element { set, key, value }
}
