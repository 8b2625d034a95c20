use fairway_cluster::{Problem, Reason};
use fairway_model::{ObjectRef, Service, ServiceKind, Snapshot};

use super::ExternalHosts;

/// Most Services that are told at a time: those of one host may be many.
const MOST: usize = 100;

/// Most addresses of one host that a message tells.
const TOLD: usize = 3;

impl ExternalHosts {
    /// What Services that are aliases of hosts do not get.
    pub(in crate::agent::ingress) fn problems(&self, snapshot: &Snapshot) -> Vec<Problem> {
        if self
            .followed
            .values()
            .all(|followed| followed.refused.is_empty())
        {
            return Vec::new();
        }
        let services = snapshot.services.values();
        services
            .filter_map(|service| self.problem(service))
            .take(MOST)
            .collect()
    }

    fn problem(&self, service: &Service) -> Option<Problem> {
        let ServiceKind::ExternalName(host) = &service.kind else {
            return None;
        };
        let refused = &self.followed.get(&**host)?.refused;
        let told = refused.iter().take(TOLD);
        let told = told
            .map(|(address, what)| format!("the address {address}, {what}, which is never asked"));
        let mut told: Vec<_> = told.collect();
        if told.is_empty() {
            return None;
        }
        if let Some(more) = refused.len().checked_sub(TOLD).filter(|more| *more > 0) {
            told.push(format!("{more} more such addresses"));
        }
        Some(Problem {
            object: ObjectRef {
                kind: "Service",
                name: service.name.clone(),
            },
            field: "spec.externalName".to_owned(),
            message: format!("has {}", told.join(", ")),
            reason: Reason::AddressRefused,
        })
    }
}
