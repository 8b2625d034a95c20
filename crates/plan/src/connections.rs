//! Whose connections an element counts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fairway_model::ServicePort;

use crate::frontend::Frontend;
use crate::service::Planned;
use crate::{Bytes, Element, Family};

/// An element that counts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The element.
    pub element: Element,
    /// The name of the service port, or its number where it has none.
    pub port: Arc<str>,
    /// Who gets the connections.
    pub endpoint: SocketAddr,
}

impl Counter {
    /// What a service port is called.
    pub fn port_label(port: &ServicePort) -> Arc<str> {
        match &*port.name {
            "" => port.port.to_string().into(),
            _ => port.name.clone(),
        }
    }
}

/// The elements of a Service that count.
pub(crate) fn counters(planned: &Planned, family: Family) -> Vec<Counter> {
    let exposed = Frontend::of(&planned.service, family);
    let elements = planned.elements.iter();
    let counting = elements.filter(|element| element.set.counts());
    counting
        .filter_map(|element| {
            let frontend = Frontend::of_key(family, &element)?;
            let exposed = exposed.iter().find(|known| known.frontend == frontend)?;
            Some(Counter {
                port: Counter::port_label(exposed.port),
                endpoint: endpoint(family, &element.key)?,
                element,
            })
        })
        .collect()
}

/// The last two fields of a key.
fn endpoint(family: Family, Bytes(key): &Bytes) -> Option<SocketAddr> {
    let length = family.address_length();
    let (_, fields) = key.split_at_checked(key.len().checked_sub(length + 4)?)?;
    let address = match family {
        Family::Ip4 => IpAddr::from(*fields.first_chunk::<4>()?),
        Family::Ip6 => IpAddr::from(*fields.first_chunk::<16>()?),
    };
    let port = u16::from_be_bytes(fields.get(length..length + 2)?.try_into().ok()?);
    Some(SocketAddr::new(address, port))
}
