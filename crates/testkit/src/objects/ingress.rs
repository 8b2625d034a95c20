use serde_json::{Value, json};

use super::Object;

/// Marks an Ingress under construction.
#[derive(Clone, Debug)]
pub enum Ingress {}

/// Marks an IngressClass under construction.
#[derive(Clone, Debug)]
pub enum IngressClass {}

/// A Service's port in an Ingress, by number or by name.
#[derive(Clone, Debug)]
pub struct BackendPort(Value);

impl From<u16> for BackendPort {
    fn from(number: u16) -> Self {
        Self(json!({"number": number}))
    }
}

impl From<&str> for BackendPort {
    fn from(name: &str) -> Self {
        Self(json!({"name": name}))
    }
}

/// An Ingress without class, rules and default backend, yet.
pub fn ingress(name: &str) -> Object<Ingress> {
    Object::new("networking.k8s.io/v1", "Ingress", name).set("", "spec", json!({}))
}

/// An IngressClass whose Ingresses a controller serves; fairway's is `fairway.dev/ingress`.
pub fn ingress_class(name: &str, controller: &str) -> Object<IngressClass> {
    Object::new("networking.k8s.io/v1", "IngressClass", name).set("/spec", "controller", controller)
}

impl Object<IngressClass> {
    /// Serves Ingresses that name no class.
    pub fn default_class(self) -> Self {
        self.annotation("ingressclass.kubernetes.io/is-default-class", "true")
    }
}

impl Object<Ingress> {
    /// `spec.ingressClassName`.
    pub fn class(self, name: &str) -> Self {
        self.set("/spec", "ingressClassName", name)
    }

    /// Sends a host's paths below a prefix to a Service. The empty host is every host.
    pub fn prefix(
        self,
        host: &str,
        path: &str,
        service: &str,
        port: impl Into<BackendPort>,
    ) -> Self {
        self.path("Prefix", host, path, backend(service, port))
    }

    /// Sends exactly one path of a host to a Service.
    pub fn exact(
        self,
        host: &str,
        path: &str,
        service: &str,
        port: impl Into<BackendPort>,
    ) -> Self {
        self.path("Exact", host, path, backend(service, port))
    }

    /// Adds a path of any type, and any backend, to a host.
    pub fn path(self, path_type: &str, host: &str, path: &str, backend: Value) -> Self {
        let mut path = json!({"path": path, "pathType": path_type, "backend": backend});
        let mut rule = json!({"http": {"paths": []}});
        if !host.is_empty() {
            rule["host"] = host.into();
        }
        let rules = self.json["spec"]["rules"].as_array();
        let last = rules.and_then(|rules| rules.last());
        let mut object = if last.is_some_and(|last| last["host"] == rule["host"]) {
            self
        } else {
            self.push("/spec/rules", rule)
        };
        if let Value::Array(paths) = &mut object.last("/spec/rules")["http"]["paths"] {
            paths.push(path.take());
        }
        object
    }

    /// Where requests go that no rule matches.
    pub fn default_backend(self, service: &str, port: impl Into<BackendPort>) -> Self {
        self.set("/spec", "defaultBackend", backend(service, port))
    }

    /// The certificate of some hosts.
    pub fn tls(self, hosts: &[&str], secret: &str) -> Self {
        self.push("/spec/tls", json!({"hosts": hosts, "secretName": secret}))
    }
}

fn backend(service: &str, port: impl Into<BackendPort>) -> Value {
    json!({"service": {"name": service, "port": port.into().0}})
}
