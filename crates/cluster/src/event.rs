//! What the sources tell the index.

use fairway_model::ObjectName;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};

/// One step of the cluster's history, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// The complete list of a kind: everything of that kind that is not in it is gone.
    /// Sent first for every kind, and again after a relist.
    Replace(Kind, Vec<Object>),
    /// An object was added or changed.
    Apply(Object),
    /// An object is gone.
    Delete(Kind, ObjectName),
}

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the kinds' own names")]
pub enum Kind {
    Service,
    EndpointSlice,
    Ingress,
    IngressClass,
    Node,
    ServiceCidr,
}

/// An object as the API serves it. Short-lived: the index keeps only what the model uses.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the kinds' own names")]
pub enum Object {
    Service(Box<Service>),
    EndpointSlice(Box<EndpointSlice>),
    Ingress(Box<Ingress>),
    IngressClass(Box<IngressClass>),
    Node(Box<Node>),
    ServiceCidr(Box<ServiceCIDR>),
}
