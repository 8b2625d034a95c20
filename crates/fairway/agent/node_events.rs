//! What the agent tells of itself, as Events about its Node: kube-proxy's reasons and action, so that
//! whoever looks for them finds them.

use fairway_admin::{BindError, Purpose};
use fairway_cluster::{ObjectEvent, Severity};
use fairway_model::{ObjectName, ObjectRef};

use crate::causes::with_causes;

/// The agent is about to program this node.
pub(crate) fn starting(node: &str) -> ObjectEvent {
    ObjectEvent {
        severity: Severity::Normal,
        ..about(node, "Starting", "fairway starts".to_owned())
    }
}

/// One of the agent's own addresses cannot be had, and it ends for that.
pub(crate) fn failed_to_start(node: &str, error: &BindError) -> ObjectEvent {
    let reason = match error.purpose {
        Purpose::Metrics => "FailedToStartMetricServer",
        Purpose::Health | Purpose::ServiceHealth => "FailedToStartProxierHealthcheck",
    };
    about(node, reason, with_causes(error))
}

fn about(node: &str, reason: &'static str, note: String) -> ObjectEvent {
    ObjectEvent {
        regarding: ObjectRef {
            kind: "Node",
            name: ObjectName::new("", node),
        },
        severity: Severity::Warning,
        reason,
        action: "StartKubeProxy",
        note,
    }
}
