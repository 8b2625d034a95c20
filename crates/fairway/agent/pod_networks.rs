//! `NodeCIDR`: who a pod of this node is, is known when the Node has its networks.

use std::time::Duration;

use fairway_model::Snapshot;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::config::{Config, LocalPods};

/// kube-proxy's patience, after which it ends.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The networks of a Node that has none yet: who assigns them does so after the Node has appeared.
/// Until then nothing is programmed, so that the rules of a former run, which knew them, stay.
#[derive(Debug)]
pub(super) struct PodNetworks {
    until: Instant,
}

impl PodNetworks {
    /// If they have to be waited for.
    pub(super) fn awaited(config: &Config, snapshot: &Snapshot) -> Option<Self> {
        let needed = config.service_proxy && config.rules.local_pods == LocalPods::NodeCidr;
        if !needed || !snapshot.node.pod_cidrs.is_empty() {
            return None;
        }
        let node = &config.node_name;
        info!(%node, "waiting for the Node's spec.podCIDRs (detect-local-mode NodeCIDR)");
        Some(Self {
            until: Instant::now() + PATIENCE,
        })
    }

    /// Waits for the end of patience.
    pub(super) async fn given_up(&self) {
        sleep_until(self.until).await;
    }

    /// Whether there is nothing to wait for any more.
    pub(super) fn is_over(&self, snapshot: &Snapshot) -> bool {
        if !snapshot.node.pod_cidrs.is_empty() {
            return true;
        }
        let over = self.until <= Instant::now();
        if over {
            let node = &snapshot.node.name;
            warn!(
                %node,
                "the Node still has no spec.podCIDRs: Services are programmed without, and ClusterIP \
                 traffic is not masqueraded until it has",
            );
        }
        over
    }
}
