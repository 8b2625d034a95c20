//! Kubernetes objects as JSON, for manifests and for the fake API server.
//!
//! ```
//! use fairway_testkit::objects;
//!
//! let web = objects::service("web")
//!     .cluster_ip("10.96.0.10")
//!     .tcp("http", 80)
//!     .node_port(30080)
//!     .build();
//! assert_eq!(web["spec"]["type"], "NodePort");
//! ```

mod endpoints;
mod ingress;
mod secret;
mod service;

use std::marker::PhantomData;

use serde_json::{Value, json};

pub use endpoints::{EndpointSlice, endpoint_slice, endpoint_slices};
pub use ingress::{BackendPort, Ingress, IngressClass, ingress, ingress_class};
pub use secret::{Secret, secret, tls_secret};
pub use service::{Service, service};

use crate::{Family, lab};

/// An object under construction. `Kind` decides what else can be said about it.
#[derive(Clone, Debug)]
pub struct Object<Kind> {
    json: Value,
    kind: PhantomData<Kind>,
}

impl<Kind> Object<Kind> {
    fn new(api_version: &str, kind: &str, name: &str) -> Self {
        let json = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        });
        Self {
            json,
            kind: PhantomData,
        }
    }

    /// Puts it into a namespace; without, readers assume `default`.
    pub fn namespace(self, namespace: &str) -> Self {
        self.set("/metadata", "namespace", namespace)
    }

    /// When it was created, in RFC 3339; the start of 2026 unless said otherwise.
    pub fn created(self, timestamp: &str) -> Self {
        self.set("/metadata", "creationTimestamp", timestamp)
    }

    /// Adds a label.
    pub fn label(self, name: &str, value: &str) -> Self {
        self.set("/metadata/labels", name, value)
    }

    /// Adds an annotation.
    pub fn annotation(self, name: &str, value: &str) -> Self {
        self.set("/metadata/annotations", name, value)
    }

    /// Sets any field, valid or not. The pointer is as in RFC 6901, for example `/spec`; objects
    /// on the way are made.
    pub fn set(mut self, pointer: &str, field: &str, value: impl Into<Value>) -> Self {
        self.at(pointer)[field] = value.into();
        self
    }

    /// The finished object.
    pub fn build(self) -> Value {
        self.json
    }

    /// The value at a pointer, made where it is missing.
    fn at(&mut self, pointer: &str) -> &mut Value {
        let steps = pointer.split('/').skip(1);
        steps.fold(&mut self.json, |value, step| match value {
            Value::Array(items) => {
                let index = step.parse::<usize>().ok();
                let item = index.and_then(|index| items.get_mut(index));
                item.expect("the pointer refers to an item that is there")
            }
            value => &mut value[step],
        })
    }

    fn push(mut self, pointer: &str, item: Value) -> Self {
        match self.at(pointer) {
            Value::Array(items) => items.push(item),
            empty => *empty = json!([item]),
        }
        self
    }

    /// The last item of the list at a pointer.
    fn last(&mut self, pointer: &str) -> &mut Value {
        let items = self.at(pointer).as_array_mut();
        let last = items.and_then(|items| items.last_mut());
        last.expect("something was added before it is described")
    }
}

impl<Kind> From<Object<Kind>> for Value {
    fn from(object: Object<Kind>) -> Self {
        object.build()
    }
}

/// The Node object of a lab's node.
pub fn node(node: &lab::Node) -> Value {
    let addresses =
        Family::BOTH.map(|family| json!({"type": "InternalIP", "address": node.ip(family)}));
    let pod_cidrs = Family::BOTH.map(|family| node.pod_cidr(family).to_string());
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name(),
            "labels": {"kubernetes.io/hostname": node.name()},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"podCIDR": pod_cidrs[0], "podCIDRs": pod_cidrs},
        "status": {
            "addresses": addresses,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A `List` of objects, as one document.
pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
    let items: Vec<_> = items.into_iter().collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[cfg(test)]
mod tests;
