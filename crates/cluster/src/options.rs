use std::sync::Arc;

use fairway_model::{Backend, ObjectName, RoutePolicies};

/// What of the cluster concerns this node and this router.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the node that fairway runs on; compared trimmed and lower-case.
    pub node_name: Arc<str>,
    /// Value of the legacy annotation `kubernetes.io/ingress.class` that makes an Ingress ours.
    pub ingress_class: String,
    /// `spec.controller` of the IngressClasses that are ours.
    pub controllers: Vec<String>,
    /// Whether an Ingress that names no class at all is ours.
    pub watch_ingress_without_class: bool,
    /// Answers what no rule and no Ingress default backend does; without it that is a 404.
    pub default_backend: Option<Backend>,
    /// The Secret of the certificate for hosts that have none.
    pub default_certificate: Option<ObjectName>,
    /// What is set for routes beside what Ingresses say.
    pub policies: RoutePolicies,
    /// Whether the service proxy runs.
    pub service_proxy: bool,
    /// Whether the ingress router runs; without it Ingresses and IngressClasses are not watched.
    pub ingress: bool,
}

impl Default for Options {
    /// Both halves, our own class, no node name.
    fn default() -> Self {
        Self {
            node_name: Arc::default(),
            ingress_class: "fairway".to_owned(),
            controllers: vec!["fairway.dev/ingress".to_owned()],
            watch_ingress_without_class: false,
            default_backend: None,
            default_certificate: None,
            policies: RoutePolicies::default(),
            service_proxy: true,
            ingress: true,
        }
    }
}
