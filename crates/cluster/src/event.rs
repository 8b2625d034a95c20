//! What the sources tell the index.

use std::sync::Arc;

use fairway_model::ObjectName;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::Problem;
use crate::tls::Secret;

/// One step of the cluster's history, in order; of objects as the API serves them unless it is said
/// otherwise.
#[derive(Clone, Debug)]
pub enum Event<T = Object> {
    /// The complete list of a kind: everything of that kind that is not in it is gone.
    /// Sent first for every kind in [`Kind::LISTED`], also (empty) for one that the source does not
    /// have, and again after a relist. For Secrets only by sources that have them all anyway.
    Replace(Kind, Vec<T>),
    /// A part of a list that is too long for one event; [`Replace`](Self::Replace) brings the last one.
    /// Nothing of it counts before.
    Part(Kind, Vec<T>),
    /// The list will not be completed: its parts are void.
    Void(Kind),
    /// The source may not list a kind, and goes on asking.
    Withheld(Kind),
    /// An object was added or changed.
    Apply(T),
    /// An object is gone.
    Delete(Kind, ObjectName),
    /// An object that was asked for by name cannot be had, and why.
    Unavailable(Kind, ObjectName, String),
    /// Events that belong together: no update shows the effect of only some of them.
    Batch(Vec<Self>),
    /// What is wrong with one of the source's own parts, for example a file. Takes the place of what
    /// was last said about that part; an empty list means that all is well again.
    Problems(Arc<str>, Vec<Problem>),
}

impl<T> Event<T> {
    /// The same of what is made of the objects. An object of which nothing is made is left out; one that
    /// was all there is leaves an empty batch.
    pub(crate) fn filter_map<U>(self, make: &mut impl FnMut(T) -> Option<U>) -> Event<U> {
        match self {
            Self::Replace(kind, objects) => {
                Event::Replace(kind, objects.into_iter().filter_map(make).collect())
            }
            Self::Part(kind, objects) => {
                Event::Part(kind, objects.into_iter().filter_map(make).collect())
            }
            Self::Void(kind) => Event::Void(kind),
            Self::Withheld(kind) => Event::Withheld(kind),
            Self::Apply(object) => match make(object) {
                Some(object) => Event::Apply(object),
                None => Event::Batch(Vec::new()),
            },
            Self::Delete(kind, name) => Event::Delete(kind, name),
            Self::Unavailable(kind, name, why) => Event::Unavailable(kind, name, why),
            Self::Batch(events) => {
                let events = events.into_iter();
                Event::Batch(events.map(|event| event.filter_map(&mut *make)).collect())
            }
            Self::Problems(part, problems) => Event::Problems(part, problems),
        }
    }
}

/// An object in some form.
pub(crate) trait Named {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// None for one without a name, which no API server serves.
    fn name(&self) -> Option<ObjectName>;
}

impl Named for Object {
    fn kind(&self) -> Kind {
        Self::kind(self)
    }

    fn name(&self) -> Option<ObjectName> {
        let metadata = self.metadata();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        Some(ObjectName::new(namespace, metadata.name.as_deref()?))
    }
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
