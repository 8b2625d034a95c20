use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::Protocol;
use serde_json::{Value, json};

use super::Object;
use crate::Family;
use crate::lab::Pod;

/// Marks an EndpointSlice under construction.
#[derive(Clone, Debug)]
pub enum EndpointSlice {}

/// An empty slice of a Service; its name is `SERVICE-ipv4` or `SERVICE-ipv6`.
pub fn endpoint_slice(service: &str, family: Family) -> Object<EndpointSlice> {
    let family = family.kubernetes();
    let name = format!("{service}-{}", family.to_ascii_lowercase());
    Object::new("discovery.k8s.io/v1", "EndpointSlice", &name)
        .label("kubernetes.io/service-name", service)
        .set("", "addressType", family)
        .set("", "endpoints", json!([]))
        .set("", "ports", json!([]))
}

/// The slices of a Service, one for each family, with these pods as ready endpoints.
pub fn endpoint_slices(
    service: &str,
    ports: &[(&str, Protocol, u16)],
    pods: &[Arc<Pod>],
) -> Vec<Value> {
    let slices = Family::BOTH.map(|family| {
        let mut slice = endpoint_slice(service, family);
        for (name, protocol, number) in ports {
            slice = slice.push("/ports", port(name, *protocol, *number));
        }
        for pod in pods {
            slice = slice.pod(pod);
        }
        slice.build()
    });
    slices.into()
}

impl Object<EndpointSlice> {
    /// Another name, for a Service's second slice of a family.
    pub fn named(self, name: &str) -> Self {
        self.set("/metadata", "name", name)
    }

    /// Adds a TCP port of the pods; the name is that of the Service's port.
    pub fn tcp(self, name: &str, number: u16) -> Self {
        self.push("/ports", port(name, Protocol::Tcp, number))
    }

    /// Adds a UDP port of the pods.
    pub fn udp(self, name: &str, number: u16) -> Self {
        self.push("/ports", port(name, Protocol::Udp, number))
    }

    /// Adds a pod, with its address of the slice's family, as a ready endpoint.
    pub fn pod(self, pod: &Pod) -> Self {
        let v4 = self.json["addressType"] == Family::V4.kubernetes();
        let family = if v4 { Family::V4 } else { Family::V6 };
        let mut object = self.endpoint(pod.ip(family), Some(pod.node()));
        object.last("/endpoints")["targetRef"] = json!({"kind": "Pod", "name": pod.name()});
        object
    }

    /// Adds a ready endpoint by its address.
    pub fn endpoint(self, address: IpAddr, node: Option<&str>) -> Self {
        let mut endpoint = json!({
            "addresses": [address.to_string()],
            "conditions": {"ready": true, "serving": true, "terminating": false},
        });
        if let Some(node) = node {
            endpoint["nodeName"] = node.into();
        }
        self.push("/endpoints", endpoint)
    }

    /// The endpoint added last is not ready: started, but not answering yet.
    pub fn not_ready(self) -> Self {
        self.condition("ready", false).condition("serving", false)
    }

    /// The endpoint added last is being deleted; it may answer still.
    pub fn terminating(self, serving: bool) -> Self {
        self.condition("ready", false)
            .condition("serving", serving)
            .condition("terminating", true)
    }

    /// The zone of the endpoint added last.
    pub fn zone(mut self, zone: &str) -> Self {
        self.last("/endpoints")["zone"] = zone.into();
        self
    }

    /// Who should prefer the endpoint added last: one more of `forZones` or of `forNodes`.
    pub fn hint(mut self, whom: &str, name: &str) -> Self {
        let hints = &mut self.last("/endpoints")["hints"][whom];
        match hints {
            Value::Array(hints) => hints.push(json!({"name": name})),
            none => *none = json!([{"name": name}]),
        }
        self
    }

    fn condition(mut self, name: &str, value: bool) -> Self {
        self.last("/endpoints")["conditions"][name] = value.into();
        self
    }
}

pub(super) fn port(name: &str, protocol: Protocol, number: u16) -> Value {
    let protocol = protocol.to_string().to_ascii_uppercase();
    json!({"name": name, "protocol": protocol, "port": number})
}
