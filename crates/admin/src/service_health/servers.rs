use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairway_model::ObjectName;
use tokio::task::JoinHandle;
use tracing::info;

use crate::sites::ServiceHealthSite;
use crate::{BindError, Health, Listener, Purpose, serve};

/// The running health check servers, one for each Service and address.
#[derive(Debug)]
pub struct ServiceHealthServers {
    health: Health,
    running: BTreeMap<Key, Server>,
    /// What could not be bound when it was last tried.
    unserved: BTreeSet<Key>,
}

type Key = (ObjectName, SocketAddr);

/// A server that should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthServer {
    /// The Service.
    pub service: ObjectName,
    /// Where it is asked about; a wildcard means one family.
    pub address: SocketAddr,
    /// What to answer.
    pub local_endpoints: usize,
}

/// A server that should run and does not.
#[derive(Debug)]
pub struct UnservedHealthServer {
    /// The Service.
    pub service: ObjectName,
    /// Why.
    pub error: BindError,
}

#[derive(Debug)]
struct Server {
    local_endpoints: Arc<AtomicUsize>,
    task: JoinHandle<std::convert::Infallible>,
}

impl ServiceHealthServers {
    /// None yet. They answer 503 while `health` says that the rules are stale.
    pub fn new(health: Health) -> Self {
        Self {
            health,
            running: BTreeMap::new(),
            unserved: BTreeSet::new(),
        }
    }

    /// Makes exactly these servers run; of two that want one address the first gets it. Returns those
    /// that cannot run and of which that is news. Must be called within a Tokio runtime.
    pub async fn serve(&mut self, wanted: Vec<HealthServer>) -> Vec<UnservedHealthServer> {
        let wanted = wanted.into_iter();
        let wanted: Vec<(Key, usize)> = wanted
            .map(|it| ((it.service, it.address), it.local_endpoints))
            .collect();
        let keys: BTreeSet<&Key> = wanted.iter().map(|(key, _)| key).collect();
        let gone = self.running.extract_if(.., |key, _| !keys.contains(key));
        let gone: Vec<_> = gone.collect();
        for ((service, address), mut server) in gone {
            info!(%service, %address, "the health check of a Service is closed");
            server.close().await;
        }
        let known = std::mem::take(&mut self.unserved);
        let mut news = Vec::new();
        for (key, local_endpoints) in wanted {
            if let Some(server) = self.running.get(&key) {
                server
                    .local_endpoints
                    .store(local_endpoints, Ordering::Relaxed);
                continue;
            }
            let is_known = known.contains(&key);
            let failed = self.start(key, local_endpoints);
            news.extend(failed.filter(|_| !is_known));
        }
        news
    }

    /// Whether a server should run and does not, so that [`serve`](Self::serve) should be called again
    /// in a while: who has its port may leave it.
    pub fn wants_retry(&self) -> bool {
        !self.unserved.is_empty()
    }

    fn start(&mut self, key: Key, local_endpoints: usize) -> Option<UnservedHealthServer> {
        let (service, address) = &key;
        let listener = match Listener::bind_one_family(Purpose::ServiceHealth, *address) {
            Ok(listener) => listener,
            Err(error) => {
                let service = service.clone();
                self.unserved.insert(key);
                return Some(UnservedHealthServer { service, error });
            }
        };
        info!(%service, %address, "the health check of a Service is served");
        let local_endpoints = Arc::new(AtomicUsize::new(local_endpoints));
        let site = ServiceHealthSite {
            service: service.clone(),
            local_endpoints: Arc::clone(&local_endpoints),
            health: self.health.clone(),
        };
        let server = Server {
            local_endpoints,
            task: tokio::spawn(serve(listener, site)),
        };
        self.running.insert(key, server);
        None
    }
}

impl Server {
    /// Returns when the port is free for another Service.
    async fn close(&mut self) {
        self.task.abort();
        // Ends by being aborted, which is no news.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
