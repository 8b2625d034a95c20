use fairway_cluster::{Problem, Reason};
use fairway_model::{ObjectRef, Service, ServiceKind, Snapshot};

use super::Located;

/// Most refused addresses that are told at a time; the log has all.
const MOST: usize = 20;

impl Located {
    /// What the Services that are aliases of the host do not get.
    pub(in crate::agent::ingress) fn problems(&self, snapshot: &Snapshot) -> Vec<Problem> {
        if self.newly_refused.is_empty() {
            return Vec::new();
        }
        let is_alias = |service: &Service| match &service.kind {
            ServiceKind::ExternalName(host) => **host == *self.host,
            _ => false,
        };
        let aliases = snapshot.services.values();
        let aliases = aliases.filter(|service| is_alias(service));
        let problems = aliases.flat_map(|service| {
            let refused = self.newly_refused.iter();
            refused.map(|(address, what)| Problem {
                object: ObjectRef {
                    kind: "Service",
                    name: service.name.clone(),
                },
                field: "spec.externalName".to_owned(),
                message: format!("has the address {address}, {what}, which is never asked"),
                reason: Reason::AddressRefused,
            })
        });
        problems.take(MOST).collect()
    }
}
