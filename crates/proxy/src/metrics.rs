//! Numbers about requests.
//!
//! Each worker counts in a shard of its own, with plain stores to atomics that only it writes; a scrape
//! adds the shards up. A request therefore neither looks a label up nor touches another core's memory.
//! Labels come from declared objects only, so clients cannot create series.

mod collector;
mod shard;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;

pub(crate) use shard::{RouteLabels, RouteStats, Shard};

/// The proxy's metrics; the handle connects a scrape with the workers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    shards: Arc<Shards>,
}

#[derive(Debug, Default)]
struct Shards(Mutex<Vec<Arc<Shard>>>);

impl Metrics {
    /// Makes the metrics part of what `registry` tells.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(collector::Sum::new(metrics.shards.clone())));
        metrics
    }

    /// A shard for one worker.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.shards.all().push(shard.clone());
        shard
    }
}

impl Shards {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
