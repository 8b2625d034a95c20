//! How many connections Services and their endpoints got.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The `fairway_*_connections_total` metric families. Whoever counts decides who has a series.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    services: Family<ServiceLabels, Counter>,
    endpoints: Family<EndpointLabels, Counter>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServiceLabels {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// The port's name, or its number where it has none.
    pub port: String,
}

/// An endpoint of a port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabels {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// The port's name, or its number where it has none.
    pub port: String,
    /// Address and port.
    pub endpoint: String,
}

impl ServiceLabels {
    /// All that have no series of their own.
    pub fn other() -> Self {
        Self {
            namespace: String::new(),
            service: "other".to_owned(),
            port: String::new(),
        }
    }
}

impl EndpointLabels {
    /// All that have no series of their own.
    pub fn other() -> Self {
        let ServiceLabels {
            namespace,
            service,
            port,
        } = ServiceLabels::other();
        Self {
            namespace,
            service,
            port,
            endpoint: String::new(),
        }
    }
}

impl ConnectionMetrics {
    /// Registers both families. The encoder adds `_total` and a full stop to the help.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "fairway_service_connections",
            "Connections that this node sent to endpoints of a Service",
            self.services.clone(),
        );
        registry.register(
            "fairway_endpoint_connections",
            "Connections that this node sent to an endpoint for a Service",
            self.endpoints.clone(),
        );
    }

    /// The counter of a port of a Service.
    pub fn service(&self, labels: &ServiceLabels) -> Counter {
        self.services.get_or_create_owned(labels)
    }

    /// The counter of an endpoint.
    pub fn endpoint(&self, labels: &EndpointLabels) -> Counter {
        self.endpoints.get_or_create_owned(labels)
    }

    /// The port is gone.
    pub fn remove_service(&self, labels: &ServiceLabels) {
        self.services.remove(labels);
    }

    /// The endpoint is gone.
    pub fn remove_endpoint(&self, labels: &EndpointLabels) {
        self.endpoints.remove(labels);
    }
}
