use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fairway_model::{BackendPort, Node, ObjectName, Service, ServiceMap};

use super::{Upstream, UpstreamKey};

/// The upstreams that routes refer to, one for each Service port that is named.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    services: HashMap<ObjectName, BTreeMap<BackendPort, Entry>>,
    /// Whose requests they are.
    node: Arc<Node>,
}

#[derive(Debug)]
struct Entry {
    upstream: Arc<Upstream>,
    /// How many hosts forward to it.
    hosts: usize,
}

impl Upstreams {
    /// The upstream for a key, for one more host.
    pub(crate) fn acquire(&mut self, key: UpstreamKey, services: &ServiceMap) -> Arc<Upstream> {
        let ports = self.services.entry(key.service.clone()).or_default();
        let node = &self.node;
        let entry = ports.entry(key.port.clone()).or_insert_with(|| {
            let service = services.get(&key.service).map(Arc::as_ref);
            Entry {
                upstream: Arc::new(Upstream::new(key, service, node)),
                hosts: 0,
            }
        });
        entry.hosts += 1;
        entry.upstream.clone()
    }

    /// One host less forwards to it; after the last one it is forgotten.
    pub(crate) fn release(&mut self, key: &UpstreamKey) {
        let Some(ports) = self.services.get_mut(&key.service) else {
            return;
        };
        let Some(entry) = ports.get_mut(&key.port) else {
            return;
        };
        entry.hosts -= 1;
        if entry.hosts == 0 {
            ports.remove(&key.port);
        }
        if ports.is_empty() {
            self.services.remove(&key.service);
        }
    }

    /// Brings all upstreams of a Service up to date.
    pub(crate) fn refresh(&self, name: &ObjectName, service: Option<&Service>) {
        for entry in self
            .services
            .get(name)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            entry.upstream.update(service, &self.node);
        }
    }

    /// Follows the facts that topology hints are compared with.
    pub(crate) fn locate(&mut self, node: &Arc<Node>, services: &ServiceMap) {
        if Arc::ptr_eq(&self.node, node) {
            return;
        }
        let before = std::mem::replace(&mut self.node, node.clone());
        if before.name != node.name || before.zone != node.zone {
            for name in self.services.keys() {
                self.refresh(name, services.get(name).map(Arc::as_ref));
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.services.values().map(BTreeMap::len).sum()
    }
}
