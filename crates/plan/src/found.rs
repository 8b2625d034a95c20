//! The slots that endpoints have in the kernel when fairway starts.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use crate::frontend::Frontend;
use crate::service::frontend_key;
use crate::{Bytes, Element, Family, Observed, SetName};

/// Slots by frontend key. A map of addresses and one of node ports never share a key: the lengths differ.
#[derive(Debug, Default)]
pub(crate) struct FoundSlots(HashMap<Bytes, Box<[SocketAddr]>>);

impl FoundSlots {
    pub(crate) fn new(family: Family, observed: &Observed) -> Self {
        let mut slots: HashMap<Bytes, BTreeMap<u32, SocketAddr>> = HashMap::new();
        for set in &observed.sets {
            let Some(SetName::Endpoints(class) | SetName::NodePortEndpoints(class)) = set.ours
            else {
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
        let slots = slots
            .into_iter()
            .map(|(key, slots)| (key, slots.into_values().collect()))
            .collect();
        Self(slots)
    }

    pub(crate) fn of(&self, frontend: Frontend) -> Option<Box<[SocketAddr]>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&frontend_key(frontend)).cloned()
    }
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
