//! The slots that endpoints have in the kernel when fairway starts.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use fairway_model::{Service, ServicePort, TrafficPolicy};

use crate::frontend::{Access, Frontend};
use crate::service::{Slots, frontend_key};
use crate::{Bytes, Element, Family, Observed, SetName};

/// Slots by frontend key. A map of addresses and one of node ports never share a key: the lengths differ.
#[derive(Debug, Default)]
pub(crate) struct FoundSlots {
    any: BySlot,
    local: BySlot,
}

type BySlot = HashMap<Bytes, Box<[SocketAddr]>>;

impl FoundSlots {
    pub(crate) fn new(family: Family, observed: &Observed) -> Self {
        Self {
            any: by_slot(family, observed, |set| {
                matches!(set, SetName::Endpoints(_) | SetName::NodePortEndpoints(_))
            }),
            local: by_slot(family, observed, |set| {
                matches!(
                    set,
                    SetName::LocalEndpoints(_) | SetName::LocalNodePortEndpoints(_)
                )
            }),
        }
    }

    /// What was found of a service port, under any of the frontends that it owns.
    pub(crate) fn of(
        &self,
        service: &Service,
        family: Family,
        port: &ServicePort,
        owns: impl Fn(&Frontend) -> bool,
    ) -> Slots {
        let mut slots = Slots::default();
        if self.any.is_empty() {
            return slots;
        }
        for exposed in Frontend::of(service, family) {
            let of = exposed.port;
            let is_of_port = (of.protocol, of.port) == (port.protocol, port.port);
            if !is_of_port || !owns(&exposed.frontend) {
                continue;
            }
            let key = frontend_key(exposed.frontend);
            let any = match (exposed.access, service.internal_policy) {
                (Access::ClusterIp, TrafficPolicy::Local) => &mut slots.local,
                _ => &mut slots.cluster,
            };
            take(any, &self.any, &key);
            take(&mut slots.local, &self.local, &key);
        }
        slots
    }
}

fn take(slots: &mut Box<[SocketAddr]>, found: &BySlot, key: &Bytes) {
    if let (true, Some(found)) = (slots.is_empty(), found.get(key)) {
        slots.clone_from(found);
    }
}

fn by_slot(family: Family, observed: &Observed, wanted: fn(SetName) -> bool) -> BySlot {
    let mut slots: HashMap<Bytes, BTreeMap<u32, SocketAddr>> = HashMap::new();
    for set in &observed.sets {
        let Some(class) = set.ours.filter(|set| wanted(*set)).and_then(SetName::class) else {
            continue;
        };
        for element in &set.elements {
            let (key, slot) = match class.slots() {
                1 => (element.key.clone(), 0),
                _ => split_slot(&element.key),
            };
            if let Some(address) = endpoint(family, element) {
                slots.entry(key).or_default().insert(slot, address);
            }
        }
    }
    slots
        .into_iter()
        .map(|(key, slots)| (key, slots.into_values().collect()))
        .collect()
}

fn split_slot(key: &Bytes) -> (Bytes, u32) {
    match key.0.split_last_chunk::<4>() {
        Some((frontend, slot)) => (Bytes(frontend.into()), u32::from_ne_bytes(*slot)),
        None => (key.clone(), 0),
    }
}

fn endpoint(family: Family, element: &Element) -> Option<SocketAddr> {
    let (address, port) = element.value.0.split_at_checked(family.address_length())?;
    let address = match family {
        Family::Ip4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        Family::Ip6 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    let port = u16::from_be_bytes(port.first_chunk::<2>().copied()?);
    Some(SocketAddr::new(address, port))
}
