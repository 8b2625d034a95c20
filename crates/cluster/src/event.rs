//! What the sources tell the index.

use std::sync::Arc;

use fairway_model::ObjectName;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::Problem;
use crate::tls::Secret;

/// One step of the cluster's history, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// The complete list of a kind: everything of that kind that is not in it is gone.
    /// Sent first for every kind in [`Kind::LISTED`], also (empty) for one that the source does not
    /// have, and again after a relist. For Secrets only by sources that have them all anyway.
    Replace(Kind, Vec<Object>),
    /// A part of a list that is too long for one event; [`Replace`](Self::Replace) brings the last one.
    /// Nothing of it counts before.
    Part(Kind, Vec<Object>),
    /// The list will not be completed: its parts are void.
    Void(Kind),
    /// An object was added or changed.
    Apply(Object),
    /// An object is gone.
    Delete(Kind, ObjectName),
    /// An object that was asked for by name cannot be had, and why.
    Unavailable(Kind, ObjectName, String),
    /// Events that belong together: no update shows the effect of only some of them.
    Batch(Vec<Event>),
    /// What is wrong with one of the source's own parts, for example a file. Takes the place of what
    /// was last said about that part; an empty list means that all is well again.
    Problems(Arc<str>, Vec<Problem>),
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
    /// Only those that an Ingress names; an API server is never asked for a list of them.
    Secret,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Ingress,
        Self::IngressClass,
        Self::Node,
        Self::ServiceCidr,
        Self::Secret,
    ];

    /// Those that every source lists as a whole.
    pub const LISTED: [Self; 6] = [
        Self::Service,
        Self::EndpointSlice,
        Self::Ingress,
        Self::IngressClass,
        Self::Node,
        Self::ServiceCidr,
    ];

    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Node => "Node",
            Self::ServiceCidr => "ServiceCIDR",
            Self::Secret => "Secret",
        }
    }

    /// Whether its objects live in namespaces.
    pub fn is_namespaced(self) -> bool {
        matches!(
            self,
            Self::Service | Self::EndpointSlice | Self::Ingress | Self::Secret
        )
    }
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
    Secret(Box<Secret>),
}

impl Object {
    /// Its metadata.
    pub(crate) fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Ingress(object) => &object.metadata,
            Self::IngressClass(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::ServiceCidr(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Ingress(_) => Kind::Ingress,
            Self::IngressClass(_) => Kind::IngressClass,
            Self::Node(_) => Kind::Node,
            Self::ServiceCidr(_) => Kind::ServiceCidr,
            Self::Secret(_) => Kind::Secret,
        }
    }
}
