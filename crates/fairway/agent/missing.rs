//! What of the agent does not run on this node, while the rest does.

use std::time::Duration;

use fairway_admin::{Health, ReportedProblem};
use fairway_proxy::BindError;
use rustix::thread::{CapabilitySet, capabilities};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::causes::with_causes;

/// How soon the router looks again whether it can have its ports.
const AGAIN: Duration = Duration::from_secs(5);

/// The halves that were wanted and cannot be had. At least one half runs.
pub(super) struct Missing {
    node: String,
    health: Health,
    service_proxy: Option<Why>,
    ingress: Option<(Why, Instant)>,
}

/// What stands in the way.
struct Why {
    /// What to change.
    field: &'static str,
    reason: &'static str,
    message: String,
}

impl Missing {
    /// Nothing is missing yet.
    pub(super) fn nothing(node: &str, health: &Health) -> Self {
        Self {
            node: node.to_owned(),
            health: health.clone(),
            service_proxy: None,
            ingress: None,
        }
    }

    /// Whether Services are programmed, or will be.
    pub(super) fn has_service_proxy(&self) -> bool {
        self.service_proxy.is_none()
    }

    /// The kernel's tables cannot be had. That does not change while this process lives.
    pub(super) fn lose_service_proxy(&mut self, cause: &anyhow::Error) {
        let why = if lacks(CapabilitySet::NET_ADMIN) {
            Why {
                field: "securityContext.capabilities.add",
                reason: "CapabilityMissing",
                message: "NET_ADMIN is missing: Services are not programmed on this node, the router serves; add it \
                          to the container's capabilities, or run with --service-proxy=false"
                    .to_owned(),
            }
        } else {
            Why {
                field: "",
                reason: "ServiceProxyFailed",
                message: format!(
                    "Services are not programmed on this node, the router serves: {}; see `fairway doctor`",
                    with_causes(&**cause)
                ),
            }
        };
        warn!(cause = with_causes(&**cause), "{}", why.message);
        self.health.set_service_proxy_serving(false);
        self.service_proxy = Some(why);
    }

    /// The router cannot have its ports, for now.
    pub(super) fn lose_ingress(&mut self, cause: &BindError) {
        let reason = match cause {
            BindError::InUse { .. } => "PortInUse",
            BindError::Denied { .. } => "CapabilityMissing",
            BindError::NoSuchAddress { .. } => "NoSuchAddress",
            BindError::Other { .. } => "ListenerFailed",
        };
        let why = Why {
            field: "--ingress-http-address, --ingress-https-address",
            reason,
            message: format!(
                "{}; the router does not serve on this node, Services work; trying again",
                with_causes(cause)
            ),
        };
        let known = self.ingress.as_ref().map(|(why, _)| &why.message);
        if known != Some(&why.message) {
            warn!("{}", why.message);
        }
        self.ingress = Some((why, Instant::now() + AGAIN));
    }

    /// The router serves.
    pub(super) fn regain_ingress(&mut self) {
        if self.ingress.take().is_some() {
            info!("the router has its ports now, and serves");
        }
    }

    /// Waits until the router should be tried again; for ever if it need not be.
    pub(super) async fn ingress_due(&self) {
        match &self.ingress {
            Some((_, due)) => sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// For the status page.
    pub(super) fn reported(&self) -> Vec<ReportedProblem> {
        let ingress = self.ingress.as_ref().map(|(why, _)| why);
        let all = self.service_proxy.iter().chain(ingress);
        let all = all.map(|why| ReportedProblem {
            object: format!("Node {}", self.node),
            field: why.field.to_owned(),
            reason: why.reason,
            message: why.message.clone(),
        });
        all.collect()
    }
}

/// Whether this process lacks a capability; one that cannot find out has it.
fn lacks(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| !sets.effective.contains(capability))
}
