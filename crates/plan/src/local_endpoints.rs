//! Services of which this node drops traffic because it has no endpoint of its own for it.

use std::collections::BTreeSet;

use fairway_model::{Changes, Node, ObjectName, Service, Snapshot, TrafficPolicy};

use crate::frontend::{Access, Exposed, Frontend};
use crate::{Family, selection};

#[cfg(test)]
mod tests;

/// Services with a traffic policy `Local` that have endpoints, but none on this node.
#[derive(Clone, Debug)]
pub struct WithoutLocalEndpoints {
    family: Family,
    internal: BTreeSet<ObjectName>,
    external: BTreeSet<ObjectName>,
}

/// By which of its policies a Service has no local endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lacks {
    internal: bool,
    external: bool,
}

impl WithoutLocalEndpoints {
    /// Of one family, none yet.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            internal: BTreeSet::new(),
            external: BTreeSet::new(),
        }
    }

    /// Follows a change of Services and their endpoints.
    pub fn update(&mut self, snapshot: &Snapshot, changes: &Changes) {
        for name in &changes.services {
            let service = snapshot.services.get(name);
            let lacks = service.map(|service| Lacks::of(service, self.family, &snapshot.node));
            let lacks = lacks.unwrap_or_default();
            for (set, lacks) in [
                (&mut self.internal, lacks.internal),
                (&mut self.external, lacks.external),
            ] {
                match lacks {
                    true => set.insert(name.clone()),
                    false => set.remove(name),
                };
            }
        }
    }

    /// How many Services lack them by their `internalTrafficPolicy`.
    pub fn internal(&self) -> usize {
        self.internal.len()
    }

    /// How many Services lack them by their `externalTrafficPolicy`.
    pub fn external(&self) -> usize {
        self.external.len()
    }
}

impl Lacks {
    fn of(service: &Service, family: Family, node: &Node) -> Self {
        let mut lacks = Self::default();
        for Exposed { access, port, .. } in Frontend::of(service, family) {
            let (policy, lacks) = match access {
                Access::ClusterIp => (service.internal_policy, &mut lacks.internal),
                _ => (service.external_policy, &mut lacks.external),
            };
            // The usual case looks at no endpoint.
            *lacks = *lacks
                || policy == TrafficPolicy::Local
                    && selection::local(&port.endpoints, family, node).is_empty()
                    && !selection::cluster(&port.endpoints, family, node).is_empty();
        }
        lacks
    }
}
