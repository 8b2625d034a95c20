use std::fmt;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};
use kube::Resource;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;

use super::prune::Prune;
use crate::options::Options;
use crate::{Kind, Object};

/// A kind that is watched.
pub(super) trait Watched:
    Resource<DynamicType = ()> + Prune + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
    const KIND: Kind;
    /// Older API servers do not have it, and fairway works without.
    const OPTIONAL: bool = false;

    fn into_object(self) -> Object;
}

impl Watched for Service {
    const KIND: Kind = Kind::Service;

    fn into_object(self) -> Object {
        Object::Service(Box::new(self))
    }
}

impl Watched for EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;

    fn into_object(self) -> Object {
        Object::EndpointSlice(Box::new(self))
    }
}

impl Watched for Node {
    const KIND: Kind = Kind::Node;

    fn into_object(self) -> Object {
        Object::Node(Box::new(self))
    }
}

impl Watched for ServiceCIDR {
    const KIND: Kind = Kind::ServiceCidr;
    const OPTIONAL: bool = true; // networking.k8s.io/v1 has it since Kubernetes 1.33

    fn into_object(self) -> Object {
        Object::ServiceCidr(Box::new(self))
    }
}

impl Watched for Ingress {
    const KIND: Kind = Kind::Ingress;

    fn into_object(self) -> Object {
        Object::Ingress(Box::new(self))
    }
}

impl Watched for IngressClass {
    const KIND: Kind = Kind::IngressClass;

    fn into_object(self) -> Object {
        Object::IngressClass(Box::new(self))
    }
}

/// Which objects of a kind to ask for; `None` where nobody wants the kind.
///
/// Without the ingress half these are kube-proxy's own filters, so that the API server sends
/// neither headless Services nor those of another service proxy. The router needs both: an Ingress
/// may name them as backends.
pub(super) fn selection(kind: Kind, options: &Options) -> Option<watcher::Config> {
    let everything = watcher::Config::default();
    match kind {
        Kind::Ingress | Kind::IngressClass => options.ingress.then_some(everything),
        Kind::ServiceCidr => options.service_proxy.then_some(everything),
        Kind::Node => {
            let name = options.node_name.trim().to_lowercase();
            Some(everything.fields(&format!("metadata.name={name}")))
        }
        Kind::Service | Kind::EndpointSlice if options.ingress => Some(everything),
        Kind::Service => Some(
            everything
                .labels("!service.kubernetes.io/service-proxy-name")
                .fields("spec.clusterIP!=None"),
        ),
        // Never as a kind: see `super::secrets`.
        Kind::Secret => None,
        Kind::EndpointSlice => Some(everything.labels("!service.kubernetes.io/headless")),
    }
}
