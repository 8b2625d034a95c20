//! Numbers about requests.
//!
//! Each worker counts in a shard of its own, with plain stores to atomics that only it writes; a scrape
//! adds the shards up. A request therefore neither looks a label up nor touches another core's memory.
//! Labels come from declared objects only, so clients cannot create series; what is declared no more
//! loses them, and beyond a limit routes share one.

mod collector;
mod count;
mod histogram;
mod ingress_nginx;
mod outcome;
mod series;
mod shard;
#[cfg(test)]
mod tests;
mod traffic;

use std::sync::{Arc, Mutex, PoisonError};

use fairway_model::{HostPattern, HostRoutes};
use prometheus_client::registry::Registry;

pub(crate) use count::Count;
pub use ingress_nginx::ControllerLabels;
pub(crate) use outcome::{Finished, Method};
pub(crate) use series::{RouteLabels, RouteSeries};
pub(crate) use shard::Shard;
pub use traffic::RouteTraffic;

use ingress_nginx::IngressNginx;
use series::Known;

/// What is told of requests.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// Routes that have series of their own, each a host, path and backend; further ones are counted
    /// together, as `other`.
    pub most_routes: usize,
    /// Whether to tell everything a second time by the names of ingress-nginx, and as whom.
    pub ingress_nginx: Option<ControllerLabels>,
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            // About 12 MB of text where each has had requests: what a scrape every 15 s can still carry.
            most_routes: 2000,
            ingress_nginx: None,
        }
    }
}

/// The proxy's metrics; the handle connects a scrape with the workers.
#[derive(Clone, Debug)]
pub struct Metrics {
    shards: Arc<Shards>,
}

#[derive(Debug)]
struct Shards {
    known: Arc<Known>,
    shards: Mutex<Vec<Arc<Shard>>>,
}

impl Metrics {
    /// Makes the metrics part of what `registry` tells.
    pub fn register(registry: &mut Registry, options: &MetricsOptions) -> Self {
        let metrics = Self::new(options);
        metrics.register_again(registry, options);
        metrics
    }

    /// Makes them part of what another registry tells, from now on with these options.
    pub fn register_again(&self, registry: &mut Registry, options: &MetricsOptions) {
        self.shards.known.limit(options.most_routes);
        registry.register_collector(Box::new(collector::Sum::new(self.shards.clone())));
        if let Some(controller) = &options.ingress_nginx {
            let collector = IngressNginx::new(self.shards.clone(), controller.clone());
            registry.register_collector(Box::new(collector));
        }
    }

    fn new(options: &MetricsOptions) -> Self {
        let shards = Shards {
            known: Arc::new(Known::new(options.most_routes)),
            shards: Mutex::default(),
        };
        Self {
            shards: Arc::new(shards),
        }
    }

    /// The routes of a host changed: series of those that are gone are no longer told. To be called
    /// when no worker uses the routes of before any more.
    pub fn routes_changed(&self, host: &HostPattern, routes: Option<&HostRoutes>) {
        let gone = self.shards.known.retain(host, routes);
        if gone.is_empty() {
            return;
        }
        for shard in self.shards.all().iter() {
            shard.series.remove(&gone);
        }
    }

    /// A shard for one worker, or for the thread that writes the log.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::new(self.shards.known.clone()));
        let mut shards = self.shards.all();
        self.fold(&mut shards);
        shards.push(shard.clone());
        shard
    }

    /// Makes one shard of those of threads that have ended. It is a new one: a scrape that has begun adds up
    /// those that it knows, and must not find their counts in another one as well.
    fn fold(&self, shards: &mut Vec<Arc<Shard>>) {
        let mut ended = Vec::new();
        for shard in std::mem::take(shards) {
            match Arc::try_unwrap(shard) {
                Ok(shard) => ended.push(shard),
                Err(shard) => shards.push(shard),
            }
        }
        if ended.is_empty() {
            return;
        }
        let sum = Shard::new(self.shards.known.clone());
        for shard in &ended {
            sum.fold(shard);
        }
        shards.push(Arc::new(sum));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&MetricsOptions::default())
    }
}

impl Shards {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shard>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
