use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fairway_model::{Endpoint, ObjectName, Protocol, Service, ServiceMap};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;

use super::Interner;
use crate::convert::service::service;
use crate::convert::slice::{Slice, slice};
use crate::problem::Report;

/// Joins Services with their EndpointSlices.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Slices by Service and by their own name; also those whose Service is not (yet) there.
    slices: HashMap<ObjectName, BTreeMap<Arc<str>, Slice>>,
    /// The Service of each slice.
    owners: HashMap<ObjectName, ObjectName>,
    /// Services that arrived (without endpoints) or went since the last commit.
    pending: BTreeMap<ObjectName, Option<Box<Service>>>,
    /// Services some of whose slices changed since the last commit.
    touched: BTreeSet<ObjectName>,
}

impl Services {
    pub(super) fn apply_service(
        &mut self,
        object: &core::Service,
        name: &ObjectName,
        names: &mut Interner,
        report: &mut Report,
    ) {
        let service = service(object, name.clone(), names, report);
        self.pending.insert(name.clone(), Some(Box::new(service)));
    }

    pub(super) fn delete_service(&mut self, name: &ObjectName) {
        self.pending.insert(name.clone(), None);
    }

    pub(super) fn apply_slice(
        &mut self,
        object: &discovery::EndpointSlice,
        name: &ObjectName,
        names: &mut Interner,
        report: &mut Report,
    ) {
        let Some(slice) = slice(object, name, names, report) else {
            return self.delete_slice(name);
        };
        if self
            .owners
            .get(name)
            .is_some_and(|owner| *owner != slice.service)
        {
            self.delete_slice(name);
        }
        let service = slice.service.clone();
        let slices = self.slices.entry(service.clone()).or_default();
        if slices.get(&name.name) == Some(&slice) {
            return;
        }
        slices.insert(name.name.clone(), slice);
        self.owners.insert(name.clone(), service.clone());
        self.touched.insert(service);
    }

    pub(super) fn delete_slice(&mut self, name: &ObjectName) {
        let Some(service) = self.owners.remove(name) else {
            return;
        };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(&name.name);
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
    /// of each Service that came, went, or has other ports than before.
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
            let slices = slices.into_iter().flat_map(BTreeMap::values);
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

fn same_ports(old: &Service, new: &Service) -> bool {
    let ports = |service: &Service| -> Vec<_> {
        let ports = service.ports.iter();
        ports.map(|port| (port.name.clone(), port.port)).collect()
    };
    ports(old) == ports(new)
}
