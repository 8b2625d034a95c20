use std::time::SystemTime;

use fairway_model::{ObjectName, Trigger};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;

use super::label;

/// When the pod or Service changed for which the controller last changed a slice.
pub(crate) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The link from a slice to its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What caused a slice to be as it is, and its Service. A time that cannot be read is none: nothing
/// but a metric depends on it.
pub(crate) fn trigger(object: &EndpointSlice) -> Option<(ObjectName, Trigger)> {
    let metadata = &object.metadata;
    let text = metadata.annotations.as_ref()?.get(TRIGGER_TIME)?;
    let time: Timestamp = text.parse().ok()?;
    let trigger = Trigger {
        ipv4: object.address_type == "IPv4",
        time: SystemTime::from(time),
    };
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    Some((
        ObjectName::new(namespace, label(metadata, SERVICE_NAME)?),
        trigger,
    ))
}
