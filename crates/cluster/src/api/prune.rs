use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Service, ServiceStatus};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressClassSpec, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::annotations;
use crate::status::manager;

/// Drops what the model does not use, before an object is buffered: of 100,000 objects in a list
/// the larger part is bookkeeping of others.
pub(super) trait Prune {
    fn prune(&mut self);
}

/// Keeps what names an object, selects it, dates it and says that it is going away.
fn prune_metadata(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        labels: metadata.labels.take(),
        annotations: metadata.annotations.take(),
        ..ObjectMeta::default()
    };
}

impl Prune for Service {
    fn prune(&mut self) {
        prune_metadata(&mut self.metadata);
        keep_labels(&mut self.metadata, &["service.kubernetes.io/"]);
        annotations::keep_service_proxy(&mut self.metadata.annotations);
        if let Some(spec) = &mut self.spec {
            spec.selector = None; // the slices say who the endpoints are
        }
        if let Some(status) = &mut self.status {
            *status = ServiceStatus {
                load_balancer: status.load_balancer.take(),
                ..ServiceStatus::default()
            };
        }
    }
}

impl Prune for EndpointSlice {
    fn prune(&mut self) {
        prune_metadata(&mut self.metadata);
        keep_labels(
            &mut self.metadata,
            &[
                "kubernetes.io/service-name",
                "service.kubernetes.io/",
                "endpointslice.kubernetes.io/",
            ],
        );
        annotations::keep_service_proxy(&mut self.metadata.annotations);
        for endpoint in &mut self.endpoints {
            *endpoint = Endpoint {
                addresses: std::mem::take(&mut endpoint.addresses),
                conditions: endpoint.conditions.take(),
                hints: endpoint.hints.take(),
                node_name: endpoint.node_name.take(),
                zone: endpoint.zone.take(),
                ..Endpoint::default()
            };
        }
    }
}

impl Prune for Node {
    fn prune(&mut self) {
        prune_metadata(&mut self.metadata);
        // The zone, and kube-proxy's exclude-from-external-load-balancers.
        keep_labels(
            &mut self.metadata,
            &["topology.kubernetes.io/", "node.kubernetes.io/"],
        );
        self.metadata.annotations = None;
        if let Some(spec) = &mut self.spec {
            *spec = NodeSpec {
                pod_cidr: spec.pod_cidr.take(),
                pod_cidrs: spec.pod_cidrs.take(),
                taints: spec.taints.take(),
                ..NodeSpec::default()
            };
        }
        if let Some(status) = &mut self.status {
            // The rest is a list of images and a heartbeat.
            *status = NodeStatus {
                addresses: status.addresses.take(),
                conditions: status.conditions.take().map(|mut conditions| {
                    conditions.retain(|condition| condition.type_ == "Ready");
                    conditions
                }),
                ..NodeStatus::default()
            };
        }
    }
}

impl Prune for ServiceCIDR {
    fn prune(&mut self) {
        prune_metadata(&mut self.metadata);
        self.metadata.labels = None;
        self.metadata.annotations = None;
        self.status = None;
    }
}

impl Prune for Ingress {
    fn prune(&mut self) {
        let managers = self.metadata.managed_fields.take();
        prune_metadata(&mut self.metadata);
        self.metadata.managed_fields = manager::keep_ours(managers);
        self.metadata.labels = None;
        annotations::keep_ingress(&mut self.metadata.annotations);
        // Its load balancer is what the leader compares before it writes.
    }
}

impl Prune for IngressClass {
    fn prune(&mut self) {
        prune_metadata(&mut self.metadata);
        self.metadata.labels = None;
        // Among them `ingressclass.kubernetes.io/is-default-class`.
        annotations::keep_ingress(&mut self.metadata.annotations);
        if let Some(spec) = &mut self.spec {
            *spec = IngressClassSpec {
                controller: spec.controller.take(),
                parameters: None,
            };
        }
    }
}

fn keep_labels(metadata: &mut ObjectMeta, prefixes: &[&str]) {
    if let Some(labels) = &mut metadata.labels {
        labels.retain(|key, _| prefixes.iter().any(|prefix| key.starts_with(prefix)));
        if labels.is_empty() {
            metadata.labels = None;
        }
    }
}
