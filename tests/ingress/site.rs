use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Response};
use fairway_testkit::lab::{Builder, Pod};
use fairway_testkit::objects::{Object, Service};
use fairway_testkit::{Echo, Family, objects};
use serde_json::Value;

use crate::support::{Cluster, Feed, becomes};

/// A running cluster with the IngressClass `fairway`.
pub(crate) struct Site(Cluster);

impl Site {
    /// The port of the routers, on every node.
    pub(crate) const ROUTER: u16 = 8080;

    /// Builds the lab and starts all agents.
    pub(crate) fn start(feed: Feed, lab: Builder) -> Self {
        let site = Self::new(Cluster::new(feed, lab));
        site.0.start();
        site
    }

    /// Of a cluster whose agents are started later.
    pub(crate) fn new(cluster: Cluster) -> Self {
        let class = objects::ingress_class("fairway", "fairway.dev/ingress");
        cluster.apply("class", [class]);
        Self(cluster)
    }

    /// The router of a node.
    pub(crate) fn router(&self, node: &str) -> SocketAddr {
        SocketAddr::new(self.lab().node(node).ip(Family::V4), Self::ROUTER)
    }

    /// Asks the router of the first node from outside the cluster.
    pub(crate) fn get(&self, host: &str, path: &str) -> Response {
        self.get_at("node-1", host, path)
    }

    /// Who answers a GET request, see [`outcome`].
    pub(crate) fn answers(&self, host: &str, path: &str) -> String {
        self.answers_at("node-1", host, path)
    }

    /// As [`answers`](Self::answers), at the router of a node.
    pub(crate) fn answers_at(&self, node: &str, host: &str, path: &str) -> String {
        outcome(&self.get_at(node, host, path))
    }

    /// As [`get`](Self::get), at the router of a node.
    pub(crate) fn get_at(&self, node: &str, host: &str, path: &str) -> Response {
        let asked = ask::http_get(self.lab().client().ns(), self.router(node), host, path);
        asked.unwrap_or_else(|error| panic!("GET {host}{path}: {:#}", anyhow::Error::from(error)))
    }

    /// Waits until a GET request is answered so, see [`outcome`].
    pub(crate) fn becomes(&self, host: &str, path: &str, wanted: &str) {
        let what = format!("{host}{path}");
        becomes(wanted.to_owned(), &what, || self.answers(host, path));
    }

    /// The pods of these names.
    pub(crate) fn pods(&self, names: &[&str]) -> Vec<Arc<Pod>> {
        names.iter().map(|name| self.lab().pod(name)).collect()
    }

    /// Creates an [`app`] for each pod, of the same name.
    pub(crate) fn apply_apps(&self, pods: &[&str]) {
        let apps = pods.iter().flat_map(|name| app(name, &self.pods(&[name])));
        self.apply("apps", apps);
    }

    /// Gives the routers a Service of type NodePort, as the DaemonSet of a cluster has.
    pub(crate) fn expose_routers(&self, node_port: u16) {
        self.expose_routers_by(self.service("fairway", 250), node_port);
    }

    /// As [`expose_routers`](Self::expose_routers), with a Service that keeps traffic on its node.
    pub(crate) fn expose_routers_locally(&self, node_port: u16) {
        let service = self.service("fairway", 250).external_traffic_local();
        self.expose_routers_by(service, node_port);
    }

    fn expose_routers_by(&self, service: Object<Service>, node_port: u16) {
        let service = service.tcp("http", 80).node_port(node_port);
        let slices = Family::BOTH.map(|family| {
            let slice = objects::endpoint_slice("fairway", family).tcp("http", Self::ROUTER);
            let nodes = self.lab().nodes().iter();
            nodes.fold(slice, |slice, node| {
                slice.endpoint(node.ip(family), Some(node.name()))
            })
        });
        let [v4, v6] = slices.map(Value::from);
        self.apply(
            "routers",
            in_namespace("fairway-system", vec![service.build(), v4, v6]),
        );
    }
}

impl Deref for Site {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

/// A Service without ClusterIP, its port 80 called `http`, and its slices.
pub(crate) fn app(name: &str, pods: &[Arc<Pod>]) -> Vec<Value> {
    let service = objects::service(name).headless().tcp("http", 80).build();
    [service].into_iter().chain(endpoints(name, pods)).collect()
}

/// The slices of an [`app`], with these pods as ready endpoints.
pub(crate) fn endpoints(name: &str, pods: &[Arc<Pod>]) -> Vec<Value> {
    objects::endpoint_slices(name, &[("http", Protocol::Tcp, Echo::HTTP)], pods)
}

/// The same objects in a namespace.
pub(crate) fn in_namespace(namespace: &str, mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        object["metadata"]["namespace"] = namespace.into();
    }
    objects
}

/// The pod that answered, or the status of a response that no pod made.
pub(crate) fn outcome(response: &Response) -> String {
    match response.answer() {
        Some(answer) => answer.pod,
        None => response.status.as_str().to_owned(),
    }
}
