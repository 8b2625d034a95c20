use std::net::IpAddr;

use fairway_model::Protocol;
use serde_json::{Value, json};

use super::Object;
use crate::Family;

/// Marks a Service under construction.
#[derive(Clone, Debug)]
pub enum Service {}

/// A Service of type ClusterIP without addresses and ports, yet.
pub fn service(name: &str) -> Object<Service> {
    Object::new("v1", "Service", name).set("/spec", "type", "ClusterIP")
}

impl Object<Service> {
    /// Adds a ClusterIP; the first one is the primary one.
    ///
    /// # Panics
    ///
    /// When it is no address; [`set`](Self::set) can make objects that are not valid.
    pub fn cluster_ip(self, address: impl ToString) -> Self {
        let address = address.to_string();
        let parsed: IpAddr = address.parse().expect("a ClusterIP is an address");
        let family = Family::of(parsed).kubernetes();
        let mut object = self
            .push("/spec/clusterIPs", address.into())
            .push("/spec/ipFamilies", family.into());
        let addresses = object.at("/spec/clusterIPs").clone();
        let dual = addresses.as_array().is_some_and(|both| both.len() > 1);
        let policy = if dual {
            "RequireDualStack"
        } else {
            "SingleStack"
        };
        object.set("/spec", "clusterIP", addresses[0].clone()).set(
            "/spec",
            "ipFamilyPolicy",
            policy,
        )
    }

    /// Has no ClusterIP: a headless Service.
    pub fn headless(self) -> Self {
        self.set("/spec", "clusterIP", "None")
            .set("/spec", "clusterIPs", json!(["None"]))
    }

    /// Adds a TCP port; the name is empty for the only port of a Service.
    pub fn tcp(self, name: &str, port: u16) -> Self {
        self.port(name, Protocol::Tcp, port)
    }

    /// Adds a UDP port.
    pub fn udp(self, name: &str, port: u16) -> Self {
        self.port(name, Protocol::Udp, port)
    }

    /// Adds an SCTP port.
    pub fn sctp(self, name: &str, port: u16) -> Self {
        self.port(name, Protocol::Sctp, port)
    }

    fn port(self, name: &str, protocol: Protocol, port: u16) -> Self {
        self.push("/spec/ports", super::endpoints::port(name, protocol, port))
    }

    /// Gives the port added last a node port; the Service becomes one of type NodePort.
    pub fn node_port(mut self, port: u16) -> Self {
        self.last("/spec/ports")["nodePort"] = port.into();
        let kind = self.at("/spec")["type"].clone();
        if kind == "ClusterIP" {
            return self.kind("NodePort");
        }
        self
    }

    /// Names, or numbers, the pods' port for the port added last. Only the API server reads it:
    /// EndpointSlices say where traffic goes.
    pub fn target_port(mut self, port: impl Into<Value>) -> Self {
        self.last("/spec/ports")["targetPort"] = port.into();
        self
    }

    /// `appProtocol` of the port added last.
    pub fn app_protocol(mut self, protocol: &str) -> Self {
        self.last("/spec/ports")["appProtocol"] = protocol.into();
        self
    }

    /// `spec.type`.
    pub fn kind(self, kind: &str) -> Self {
        self.set("/spec", "type", kind)
    }

    /// Adds an address of the load balancer; the Service becomes one of type LoadBalancer.
    pub fn load_balancer_ip(self, address: IpAddr) -> Self {
        let address = json!({"ip": address.to_string()});
        self.kind("LoadBalancer")
            .push("/status/loadBalancer/ingress", address)
    }

    /// Adds an external address.
    pub fn external_ip(self, address: IpAddr) -> Self {
        self.push("/spec/externalIPs", address.to_string().into())
    }

    /// An alias of a DNS name.
    pub fn external_name(self, name: &str) -> Self {
        self.kind("ExternalName").set("/spec", "externalName", name)
    }

    /// Clients stay with their endpoint until they have been idle for so many seconds.
    pub fn client_ip_affinity(self, seconds: u32) -> Self {
        let config = json!({"clientIP": {"timeoutSeconds": seconds}});
        self.set("/spec", "sessionAffinity", "ClientIP").set(
            "/spec",
            "sessionAffinityConfig",
            config,
        )
    }

    /// Traffic to the ClusterIP stays on its node.
    pub fn internal_traffic_local(self) -> Self {
        self.set("/spec", "internalTrafficPolicy", "Local")
    }

    /// Traffic from outside stays on the node that receives it.
    pub fn external_traffic_local(self) -> Self {
        self.set("/spec", "externalTrafficPolicy", "Local")
    }
}
