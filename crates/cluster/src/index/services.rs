use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fairway_model::{
    Endpoint, ObjectName, Protocol, Service, ServiceKind, ServiceMap, ServicePort,
};

use crate::convert::slice::Slice;

/// Joins Services with their EndpointSlices.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Slices by Service, sorted by their own name; also those whose Service is not (yet) there.
    slices: HashMap<ObjectName, Vec<(Arc<str>, Slice)>>,
    /// The Service of each slice, in the same namespace.
    owners: HashMap<ObjectName, Arc<str>>,
    /// Services that arrived (without endpoints) or went since the last commit.
    pending: BTreeMap<ObjectName, Option<Box<Service>>>,
    /// Services some of whose slices changed since the last commit.
    touched: BTreeSet<ObjectName>,
}

impl Services {
    pub(super) fn apply_service(&mut self, name: &ObjectName, service: Box<Service>) {
        self.pending.insert(name.clone(), Some(service));
    }

    pub(super) fn delete_service(&mut self, name: &ObjectName) {
        self.pending.insert(name.clone(), None);
    }

    pub(super) fn apply_slice(&mut self, name: &ObjectName, service: ObjectName, slice: Slice) {
        let owner = self.owners.get(name);
        if owner.is_some_and(|owner| *owner != service.name) {
            self.delete_slice(name);
        }
        let slices = self.slices.entry(service.clone()).or_default();
        match position(slices, &name.name) {
            Ok(at) if slices[at].1 == slice => return,
            Ok(at) => slices[at].1 = slice,
            Err(at) => {
                // Most Services have one slice, and always will.
                slices.reserve_exact(1);
                slices.insert(at, (name.name.clone(), slice));
            }
        }
        self.owners.insert(name.clone(), service.name.clone());
        self.touched.insert(service);
    }

    pub(super) fn delete_slice(&mut self, name: &ObjectName) {
        let Some(service) = self.owners.remove(name) else {
            return;
        };
        let service = ObjectName {
            namespace: name.namespace.clone(),
            name: service,
        };
        if let Some(slices) = self.slices.get_mut(&service) {
            if let Ok(at) = position(slices, &name.name) {
                slices.remove(at);
            }
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.touched.insert(service);
    }

    /// All Services, those that are pending too.
    pub(super) fn names(&self, published: &ServiceMap) -> Vec<ObjectName> {
        let published = published
            .keys()
            .filter(|name| !self.pending.contains_key(name));
        let pending = self.pending.iter().filter(|(_, service)| service.is_some());
        published
            .chain(pending.map(|(name, _)| name))
            .cloned()
            .collect()
    }

    pub(super) fn slice_names(&self) -> Vec<ObjectName> {
        self.owners.keys().cloned().collect()
    }

    /// Brings the published Services up to date and returns those that differ. Tells `ports_changed`
    /// of each Service that came, went, has other ports than before, or whose ports came to have endpoints
    /// or none.
    pub(super) fn commit(
        &mut self,
        published: &mut ServiceMap,
        mut ports_changed: impl FnMut(&ObjectName),
    ) -> BTreeSet<ObjectName> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut touched = std::mem::take(&mut self.touched);
        touched.extend(pending.keys().cloned());
        touched.retain(|name| {
            let old = published.get(name);
            let new = match pending.remove(name) {
                Some(new) => new.map(|service| *service),
                None => old.map(|service| Service::clone(service)),
            };
            let Some(mut new) = new else {
                let existed = published.remove_mut(name);
                if existed {
                    ports_changed(name);
                }
                return existed;
            };
            self.fill(&mut new, old);
            if old.is_some_and(|old| **old == new) {
                return false;
            }
            if !old.is_some_and(|old| same_ports(old, &new)) {
                ports_changed(name);
            }
            published.insert_mut(name.clone(), Arc::new(new));
            true
        });
        touched
    }

    /// Sets the endpoints of every port, sharing the lists that did not change.
    fn fill(&self, service: &mut Service, old: Option<&Arc<Service>>) {
        let slices = self.slices.get(&service.name);
        let headless = service.cluster_ips.is_empty();
        for port in &mut service.ports {
            let slices = slices.into_iter().flatten().map(|(_, slice)| slice);
            let slices = slices.filter(|slice| headless || !slice.headless);
            let endpoints = merge(slices, &port.name, port.protocol);
            let mut old = old.into_iter().flat_map(|old| &old.ports);
            let old = old.find(|old| old.name == port.name && old.protocol == port.protocol);
            port.endpoints = match old {
                Some(old) if *old.endpoints == *endpoints => old.endpoints.clone(),
                _ => endpoints.into(),
            };
        }
    }
}

fn position(slices: &[(Arc<str>, Slice)], name: &str) -> Result<usize, usize> {
    slices.binary_search_by(|(other, _)| (**other).cmp(name))
}

/// All endpoints of one port: sorted, each address and port once. Of two copies the one that is not
/// terminating wins: a pod that moves between slices is for a moment in both.
fn merge<'a>(
    slices: impl Iterator<Item = &'a Slice>,
    name: &str,
    protocol: Protocol,
) -> Vec<Endpoint> {
    let endpoints = slices.flat_map(|slice| slice.endpoints(name, protocol));
    let mut endpoints: Vec<Endpoint> = endpoints.collect();
    // Stable, so that of equal copies the one of the first slice by name wins.
    endpoints.sort_by_key(|endpoint| {
        (
            endpoint.address,
            endpoint.port,
            endpoint.conditions.terminating,
        )
    });
    endpoints.dedup_by_key(|endpoint| (endpoint.address, endpoint.port));
    endpoints
}

/// Whether anybody could answer there.
pub(super) fn has_usable_endpoints(port: &ServicePort) -> bool {
    port.endpoints.iter().any(|endpoint| {
        let conditions = endpoint.conditions;
        conditions.ready || conditions.is_serving_while_terminating()
    })
}

fn same_ports(old: &Service, new: &Service) -> bool {
    let ports = |service: &Service| -> Vec<_> {
        let ports = service.ports.iter();
        let ports = ports.map(|port| (port.name.clone(), port.port, has_usable_endpoints(port)));
        ports.collect()
    };
    // An alias has every port, and needs no endpoints.
    let is_alias = |service: &Service| matches!(service.kind, ServiceKind::ExternalName(_));
    is_alias(old) == is_alias(new) && ports(old) == ports(new)
}
