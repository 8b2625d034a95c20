use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{Changes, HostPattern, HostRoutes, Snapshot};

use crate::index::{HostTable, compile};
use crate::upstream::Upstreams;
use crate::{Index, Problem};

#[cfg(test)]
mod tests;

/// Builds the index from snapshots, host by host.
#[derive(Debug, Default)]
pub struct Builder {
    index: Arc<Index>,
    upstreams: Upstreams,
    /// Only hosts that have some.
    problems: BTreeMap<HostPattern, Vec<Problem>>,
}

impl Builder {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies an update. Endpoint changes take effect in the upstreams at once; the returned index
    /// holds the new routes and shares everything else with the one before. It is the same index as
    /// before where no routes changed.
    pub fn apply(&mut self, snapshot: &Snapshot, changes: &Changes) -> Arc<Index> {
        self.upstreams.locate(&snapshot.node, &snapshot.services);
        for name in &changes.services {
            let service = snapshot.services.get(name).map(Arc::as_ref);
            self.upstreams.refresh(name, service);
        }
        let changed = (changes.hosts.iter())
            .map(|host| (host, snapshot.routes.hosts.get(host)))
            .filter(|(host, routes)| !is_same(self.index.table(host), *routes));
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            let mut index = Index::clone(&self.index);
            for (host, routes) in changed {
                self.replace(&mut index, host, routes, snapshot);
            }
            self.index = Arc::new(index);
        }
        self.upstreams.settle();
        self.index.clone()
    }

    /// The hosts that Services which routes forward to are aliases of (ExternalName).
    pub fn external_hosts(&self) -> impl Iterator<Item = &str> {
        self.upstreams.external_hosts()
    }

    /// Sets the addresses of such a host, which takes effect at once. Without any, requests for it are
    /// answered with 503.
    pub fn locate_host(&mut self, host: &str, addresses: Vec<IpAddr>, snapshot: &Snapshot) {
        self.upstreams
            .locate_host(host, addresses, &snapshot.services);
    }

    /// The rules that match nothing because of how they are written, by host.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.values().flatten()
    }

    fn replace(
        &mut self,
        index: &mut Index,
        host: &HostPattern,
        routes: Option<&Arc<HostRoutes>>,
        snapshot: &Snapshot,
    ) {
        let old = index.table(host).cloned();
        self.problems.remove(host);
        match routes {
            Some(routes) => {
                let (table, problems) =
                    compile(host, routes, &snapshot.services, &mut self.upstreams);
                index.insert(host, Arc::new(table));
                if !problems.is_empty() {
                    self.problems.insert(host.clone(), problems);
                }
            }
            None => index.remove(host),
        }
        // Last, so that what old and new routes share stays the same upstream.
        for upstream in old.iter().flat_map(|table| &table.upstreams) {
            self.upstreams.release(&upstream.key);
        }
    }
}

/// Whether the table routes as it should; TLS is not its business.
fn is_same(table: Option<&Arc<HostTable>>, routes: Option<&Arc<HostRoutes>>) -> bool {
    match (table.map(|table| &table.source), routes) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            Arc::ptr_eq(old, new) || (old.rules == new.rules && old.default == new.default)
        }
        _ => false,
    }
}
