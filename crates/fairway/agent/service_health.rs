//! The health checks of Services: which there should be, and where they are asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairway_admin::{
    Health, HealthCheck, HealthServer, IpFamily, ServiceHealthServers, UnservedHealthServer,
};
use fairway_cluster::{EventRecorder, ObjectEvent, Severity};
use fairway_model::{Node, ObjectName, ObjectRef, Snapshot, Update};
use fairway_plan::{Family, NodePortAddresses, NodePortScope};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::interfaces::Addresses;
use crate::causes::with_causes;

/// Before a port that was taken is tried again. To try costs two system calls.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the health check servers of Services at what the snapshot asks for.
pub(crate) struct ServiceHealth {
    servers: ServiceHealthServers,
    recorder: EventRecorder,
    node_port_addresses: NodePortAddresses,
    interfaces: watch::Receiver<Addresses>,
    node: Arc<Node>,
    checks: BTreeMap<ObjectName, Checks>,
    retry_at: Option<Instant>,
}

/// Of one Service; the first by age gets a port that two want.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checks {
    created: i64,
    families: [Option<HealthCheck>; 2],
}

impl ServiceHealth {
    /// None yet; they come with the first [`apply`](Self::apply).
    pub(crate) fn new(
        health: Health,
        recorder: EventRecorder,
        node_port_addresses: NodePortAddresses,
        interfaces: watch::Receiver<Addresses>,
    ) -> Self {
        Self {
            servers: ServiceHealthServers::new(health),
            recorder,
            node_port_addresses,
            interfaces,
            node: Arc::default(),
            checks: BTreeMap::new(),
            retry_at: None,
        }
    }

    /// Follows a change of Services, their endpoints, or the Node.
    pub(crate) async fn apply(&mut self, update: &Update) {
        self.node = update.snapshot.node.clone();
        let mut changed = update.changes.node;
        for name in &update.changes.services {
            changed |= self.look_at(&update.snapshot, name);
        }
        if changed {
            self.serve().await;
        }
    }

    /// Returns when [`follow`](Self::follow) has something to do. Cancel safe.
    pub(crate) async fn wake(&mut self) {
        let until_retry = async {
            match self.retry_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until_retry => {}
            changed = self.interfaces.changed() => if changed.is_err() {
                // It ends only with the process.
                std::future::pending().await
            },
        }
    }

    /// Follows addresses that came and went, and tries again what did not work.
    pub(crate) async fn follow(&mut self) {
        self.serve().await;
    }

    /// Whether what is to be served of a Service changed.
    fn look_at(&mut self, snapshot: &Snapshot, name: &ObjectName) -> bool {
        let checks = snapshot.services.get(name).map(|service| Checks {
            created: service.created,
            families: IpFamily::ALL
                .map(|family| HealthCheck::of(service, family, &snapshot.node.name)),
        });
        match checks.filter(|checks| checks.families != [None; 2]) {
            Some(checks) => self.checks.insert(name.clone(), checks) != Some(checks),
            None => self.checks.remove(name).is_some(),
        }
    }

    async fn serve(&mut self) {
        let interfaces = self.interfaces.borrow_and_update().clone();
        let listening = Family::ALL.map(|family| {
            let scope = NodePortScope::new(family, &self.node_port_addresses, &self.node);
            scope.listening(family, &interfaces)
        });
        let mut oldest_first: Vec<_> = self.checks.iter().collect();
        oldest_first.sort_by_key(|(_, checks)| checks.created);
        let mut wanted = Vec::new();
        for (service, checks) in oldest_first {
            for (check, addresses) in checks.families.iter().zip(&listening) {
                let Some(check) = check else {
                    continue;
                };
                wanted.extend(addresses.iter().map(|address| HealthServer {
                    service: service.clone(),
                    address: SocketAddr::new(*address, check.port.get()),
                    local_endpoints: check.local_endpoints,
                }));
            }
        }
        for unserved in self.servers.serve(wanted).await {
            self.recorder
                .record(failed_to_start(unserved, &self.node.name));
        }
        self.retry_at = match self.servers.wants_retry() {
            true => Some(Instant::now() + RETRY),
            false => None,
        };
    }
}

/// kube-proxy's Event, with what to do about it.
fn failed_to_start(unserved: UnservedHealthServer, node: &str) -> ObjectEvent {
    let UnservedHealthServer { service, error } = unserved;
    ObjectEvent {
        regarding: ObjectRef {
            kind: "Service",
            name: service,
        },
        severity: Severity::Warning,
        reason: "FailedToStartServiceHealthcheck",
        action: "Listen",
        note: format!("node {node}: {}", with_causes(&error)),
    }
}
