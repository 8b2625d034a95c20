//! The objects of a cluster of a given size, as an API server has them: with the names, labels and
//! bookkeeping that controllers leave in them.

use std::fmt;
use std::net::IpAddr;

use fairway_testkit::Family;
use fairway_testkit::objects::{self, EndpointSlice, Object};
use serde_json::{Value, json};

use crate::chain_per_service::{cluster_ip, endpoint};

/// Most endpoints that the EndpointSlice controller puts into one slice.
const SLICE: usize = 100;

/// How many nodes the endpoints are spread over, and how many namespaces the Services.
const NODES: usize = 100;
const NAMESPACES: usize = 50;

/// What there is how much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Population {
    pub(crate) services: usize,
    /// Endpoints of each Service.
    pub(crate) endpoints: usize,
    /// Each with a host of its own and two paths.
    pub(crate) ingresses: usize,
}

impl Population {
    pub(crate) const fn new(services: usize, endpoints: usize) -> Self {
        Self {
            services,
            endpoints,
            ingresses: 0,
        }
    }

    /// Everything but the node.
    pub(crate) fn objects(self) -> impl Iterator<Item = Value> {
        let services = (0..self.services).flat_map(move |index| {
            let slices = (0..self.slices()).map(move |part| self.slice(index, part, 0));
            std::iter::once(service(index)).chain(slices)
        });
        let ingresses = (0..self.ingresses).map(move |index| ingress(index, self.services));
        services.chain(ingresses)
    }

    /// Slices of each Service.
    pub(crate) fn slices(self) -> usize {
        self.endpoints.div_ceil(SLICE)
    }

    /// A slice of a Service. Its last endpoint is another one in each version, the others stay.
    pub(crate) fn slice(self, index: usize, part: usize, version: usize) -> Value {
        let first = part * SLICE;
        let last = self.endpoints.min(first + SLICE) - 1;
        let slice = (first..=last).fold(empty_slice(index, part), |slice, position| {
            let version = if position == last { version } else { 0 };
            slice.endpoint(
                self.endpoint(index, position, version),
                Some(&node_name(index + position)),
            )
        });
        let mut slice = slice.tcp("http", 8080).build();
        let endpoints = slice["endpoints"].as_array_mut();
        for (position, endpoint) in endpoints.into_iter().flatten().enumerate() {
            let pod = format!("{}-6f7c9d8b5-{position:05}", service_name(index));
            endpoint["zone"] = format!("zone-{}", position % 3).into();
            endpoint["targetRef"] = json!({
                "kind": "Pod", "name": pod, "namespace": namespace(index),
                "uid": format!("8d1f3c52-0000-4000-8000-{:012x}", index * SLICE + position),
            });
        }
        slice
    }

    /// The address of an endpoint. Those of a version other than 0 are in a network of their own.
    pub(crate) fn endpoint(self, index: usize, position: usize, version: usize) -> IpAddr {
        endpoint(index * self.endpoints + position, version)
    }
}

impl fmt::Display for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.services, self.endpoints)
    }
}

/// A Service of type ClusterIP.
pub(crate) fn service(index: usize) -> Value {
    objects::service(&service_name(index))
        .namespace(&namespace(index))
        .label("app.kubernetes.io/name", &service_name(index))
        .label("app.kubernetes.io/managed-by", "Helm")
        .annotation("meta.helm.sh/release-name", &service_name(index))
        .cluster_ip(cluster_ip(index))
        .tcp("http", 80)
        .target_port(8080)
        .set(
            "/spec",
            "selector",
            json!({ "app.kubernetes.io/name": service_name(index) }),
        )
        .build()
}

pub(crate) fn service_name(index: usize) -> String {
    format!("storefront-{index:06}")
}

pub(crate) fn namespace(index: usize) -> String {
    format!("team-{}", index % NAMESPACES)
}

pub(crate) fn slice_name(index: usize, part: usize) -> String {
    format!("{}-x{part:04}", service_name(index))
}

/// The node whose agent is measured: none of the endpoints runs on it.
pub(crate) fn node() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": NODE, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "status": { "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }] },
    })
}

/// Its name.
pub(crate) const NODE: &str = "measured-node";

fn node_name(number: usize) -> String {
    format!("worker-{:03}.example.internal", number % NODES)
}

fn empty_slice(index: usize, part: usize) -> Object<EndpointSlice> {
    objects::endpoint_slice(&service_name(index), Family::V4)
        .named(&slice_name(index, part))
        .namespace(&namespace(index))
        .label(
            "endpointslice.kubernetes.io/managed-by",
            "endpointslice-controller.k8s.io",
        )
}

fn ingress(index: usize, services: usize) -> Value {
    let target = index % services.max(1);
    let host = format!("host-{index:06}.example.com");
    objects::ingress(&format!("ingress-{index:06}"))
        .namespace(&namespace(target))
        .class("fairway")
        .prefix(&host, "/", &service_name(target), 80)
        .prefix(&host, "/api", &service_name(target), 80)
        .build()
}
