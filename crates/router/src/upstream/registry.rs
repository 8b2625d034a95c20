use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{Node, ObjectName, Service, ServiceMap};

use super::{Aliases, Upstream, UpstreamKey};

/// The upstreams that routes refer to, one for each Service port that is named.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// A Service has few ports, and nearly always one that is named.
    services: HashMap<ObjectName, Vec<Entry>>,
    aliases: Aliases,
    /// Whose requests they are.
    node: Arc<Node>,
}

#[derive(Debug)]
struct Entry {
    upstream: Arc<Upstream>,
    /// How many hosts forward to it.
    hosts: usize,
}

impl Entry {
    fn is_for(&self, key: &UpstreamKey) -> bool {
        self.upstream.key == *key
    }
}

impl Upstreams {
    /// The upstream for a key, for one more host.
    pub(crate) fn acquire(&mut self, key: UpstreamKey, services: &ServiceMap) -> Arc<Upstream> {
        let ports = self.services.entry(key.service.clone()).or_default();
        if let Some(entry) = ports.iter_mut().find(|entry| entry.is_for(&key)) {
            entry.hosts += 1;
            return entry.upstream.clone();
        }
        let service = services.get(&key.service).map(Arc::as_ref);
        self.aliases.note(&key.service, service);
        let upstream = Arc::new(Upstream::new(key, service, &self.node, &self.aliases));
        ports.reserve_exact(1);
        ports.push(Entry {
            upstream: upstream.clone(),
            hosts: 1,
        });
        upstream
    }

    /// One host less forwards to it; after the last one it is forgotten.
    pub(crate) fn release(&mut self, key: &UpstreamKey) {
        let Some(ports) = self.services.get_mut(&key.service) else {
            return;
        };
        let Some(at) = ports.iter().position(|entry| entry.is_for(key)) else {
            return;
        };
        ports[at].hosts -= 1;
        if ports[at].hosts == 0 {
            ports.remove(at);
        }
        if ports.is_empty() {
            self.services.remove(&key.service);
            self.aliases.forget(&key.service);
        }
    }

    /// Brings all upstreams of a Service up to date.
    pub(crate) fn refresh(&mut self, name: &ObjectName, service: Option<&Service>) {
        let Some(entries) = self.services.get(name) else {
            return;
        };
        self.aliases.note(name, service);
        for entry in entries {
            entry.upstream.update(service, &self.node, &self.aliases);
        }
    }

    /// All changes of an update are in: forgets where hosts are that no Service is an alias of.
    pub(crate) fn settle(&mut self) {
        self.aliases.prune();
    }

    /// The hosts outside of the cluster that Services are aliases of.
    pub(crate) fn external_hosts(&self) -> impl Iterator<Item = &str> {
        self.aliases.hosts()
    }

    /// Sets where a host outside of the cluster is.
    pub(crate) fn locate_host(
        &mut self,
        host: &str,
        addresses: Vec<IpAddr>,
        services: &ServiceMap,
    ) {
        for name in self.aliases.locate(host, addresses) {
            self.refresh(&name, services.get(&name).map(Arc::as_ref));
        }
    }

    /// Follows the facts that topology hints are compared with.
    pub(crate) fn locate(&mut self, node: &Arc<Node>, services: &ServiceMap) {
        if Arc::ptr_eq(&self.node, node) {
            return;
        }
        let before = std::mem::replace(&mut self.node, node.clone());
        if before.name != node.name || before.zone != node.zone {
            for (name, entries) in &self.services {
                let service = services.get(name).map(Arc::as_ref);
                for entry in entries {
                    entry.upstream.update(service, &self.node, &self.aliases);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.services.values().map(Vec::len).sum()
    }
}
