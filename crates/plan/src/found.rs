//! Which slots endpoints have, read off the elements: those found in the kernel when fairway starts,
//! and those of a Service that is planned anew.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use fairway_model::{Service, ServicePort, TrafficPolicy};

use crate::frontend::{Access, Frontend};
use crate::service::{Slots, frontend_key};
use crate::trace::endpoint;
use crate::{Bytes, Element, Family, SetName};

/// Slots by frontend key. A map of addresses and one of node ports never share a key: the lengths differ.
#[derive(Debug, Default)]
pub(crate) struct SlotsByFrontend {
    any: HashMap<Bytes, Box<[SocketAddr]>>,
    local: HashMap<Bytes, Box<[SocketAddr]>>,
}

type BySlot = HashMap<Bytes, BTreeMap<u32, SocketAddr>>;

impl SlotsByFrontend {
    pub(crate) fn new(family: Family, elements: impl Iterator<Item = Element>) -> Self {
        let (mut any, mut local) = (BySlot::new(), BySlot::new());
        for element in elements {
            let found = match element.set {
                SetName::Endpoints(_) | SetName::NodePortEndpoints(_) => &mut any,
                SetName::LocalEndpoints(_) | SetName::LocalNodePortEndpoints(_) => &mut local,
                _ => continue,
            };
            let several = element.set.class().is_some_and(|class| class.slots() > 1);
            let (key, slot) = match several {
                true => split_slot(&element.key),
                false => (element.key.clone(), 0),
            };
            if let Some(address) = endpoint(&element.value, family) {
                found.entry(key).or_default().insert(slot, address);
            }
        }
        Self {
            any: in_order(any),
            local: in_order(local),
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

fn take(slots: &mut Box<[SocketAddr]>, found: &HashMap<Bytes, Box<[SocketAddr]>>, key: &Bytes) {
    if let (true, Some(found)) = (slots.is_empty(), found.get(key)) {
        slots.clone_from(found);
    }
}

fn in_order(found: BySlot) -> HashMap<Bytes, Box<[SocketAddr]>> {
    let found = found.into_iter();
    found
        .map(|(key, slots)| (key, slots.into_values().collect()))
        .collect()
}

fn split_slot(key: &Bytes) -> (Bytes, u32) {
    match key.0.split_last_chunk::<4>() {
        Some((frontend, slot)) => (Bytes(frontend.into()), u32::from_ne_bytes(*slot)),
        None => (key.clone(), 0),
    }
}
