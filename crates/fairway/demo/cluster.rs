//! The cluster of the demo: machines, pods, agents, and the manifests that they all read.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fairway_model::{ObjectName, Service, Snapshot};
use fairway_testkit::balancer::HealthCheck;
use fairway_testkit::lab::{Node, Pod};
use fairway_testkit::{Balancer, Echo, Family, Lab, Manifests, objects};

use super::agent::Agent;

/// `manifests/examples`, so that the program needs no files.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "fairway.yaml",
        include_str!("../../../manifests/examples/fairway.yaml"),
    ),
    (
        "shop.yaml",
        include_str!("../../../manifests/examples/shop.yaml"),
    ),
    (
        "blog.yaml",
        include_str!("../../../manifests/examples/blog.yaml"),
    ),
];

/// Where clients reach the load balancer.
pub(super) const BALANCER_PORT: u16 = 80;
/// Where fairway serves HTTP unless told otherwise.
const ROUTER_PORT: u16 = 8080;
/// The Service that leads to fairway's own router, on every node.
pub(super) const WAY_IN: App = App("fairway-system", "fairway-ingress");

/// A Service of the examples: namespace and name. Its pods are `NAME-1`, `NAME-2` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct App(&'static str, &'static str);

pub(super) const STOREFRONT: App = App("shop", "storefront");
pub(super) const API: App = App("shop", "api");
pub(super) const BLOG: App = App("blog", "blog");
pub(super) const APPS: [App; 3] = [STOREFRONT, API, BLOG];

/// Everything that runs; dropping it removes everything.
#[derive(Debug)]
pub(super) struct Cluster {
    // Dropped in this order: what runs in the network before the network.
    _agents: Vec<Agent>,
    _balancer: Balancer,
    pub(super) lab: Lab,
    manifests: Manifests,
    services: Snapshot,
    /// How long the network took to build.
    pub(super) built_in: Duration,
    /// How long the agents took from their start until they were ready.
    pub(super) ready_in: Duration,
}

impl App {
    pub(super) fn object(self) -> ObjectName {
        ObjectName::new(self.0, self.1)
    }

    /// The file of its EndpointSlices.
    pub(super) fn file(self) -> String {
        format!("{}-endpoints.yaml", self.1)
    }
}

impl Cluster {
    pub(super) fn start(directory: &Path) -> anyhow::Result<Self> {
        let start = Instant::now();
        let lab = Lab::builder()
            .nodes(2)
            .pod("storefront-1", "node-1")
            .pod("storefront-2", "node-2")
            .pod("api-1", "node-1")
            .pod("api-2", "node-2")
            .pod("blog-1", "node-2")
            .build()?;
        let built_in = start.elapsed();

        let manifests = directory.join("manifests");
        std::fs::create_dir(&manifests)?;
        let manifests = Manifests::at(manifests);
        for (file, text) in EXAMPLES {
            manifests.write_text(file, text)?;
        }
        let nodes: Vec<_> = lab.nodes().iter().map(objects::node).collect();
        manifests.write("nodes.yaml", &nodes)?;
        for app in APPS {
            publish(&manifests, app, &pods(&lab, app))?;
        }
        let routers = Family::BOTH.map(|family| {
            let slice = slice(WAY_IN, family, ROUTER_PORT);
            let add =
                |slice: Slice, node: &Node| slice.endpoint(node.ip(family), Some(node.name()));
            lab.nodes().iter().fold(slice, add).build()
        });
        manifests.write(&WAY_IN.file(), &routers)?;

        let services = load(manifests.path(), "")?;
        let way_in = node_port(&services, WAY_IN)?;

        let start = Instant::now();
        let start_agent = |node| Agent::start(&lab, node, manifests.path(), directory);
        let mut agents: Vec<_> = lab
            .nodes()
            .iter()
            .map(start_agent)
            .collect::<Result<_, _>>()?;
        for agent in &mut agents {
            agent.wait_ready()?;
        }
        let ready_in = start.elapsed();

        let check = HealthCheck {
            port: 10256,
            path: "/healthz".to_owned(),
            interval: Duration::from_millis(200),
        };
        let balancer = Balancer::start_checked(&lab, BALANCER_PORT, way_in, check)?;
        let all = lab.nodes().len() * Family::BOTH.len();
        let healthy = || balancer.healthy().len();
        ensure!(
            until(|| healthy() == all),
            "the load balancer finds only {} of {all} node addresses healthy",
            healthy()
        );
        Ok(Self {
            _agents: agents,
            _balancer: balancer,
            lab,
            manifests,
            services,
            built_in,
            ready_in,
        })
    }

    /// The pods of an application that there are now.
    pub(super) fn pods(&self, app: App) -> Vec<Arc<Pod>> {
        pods(&self.lab, app)
    }

    /// Makes these pods the endpoints of an application. Returns when the file was in place.
    pub(super) fn publish(&self, app: App, pods: &[Arc<Pod>]) -> anyhow::Result<Instant> {
        publish(&self.manifests, app, pods)
    }

    /// What a node makes of the manifests as they are now.
    pub(super) fn snapshot(&self, node: &Node) -> anyhow::Result<Snapshot> {
        load(self.manifests.path(), node.name())
    }

    /// The addresses and ports of an application's Service.
    pub(super) fn service(&self, app: App) -> anyhow::Result<&Service> {
        service(&self.services, app)
    }

    /// Where clients inside the cluster reach an application.
    pub(super) fn cluster_ip(&self, app: App, family: Family) -> anyhow::Result<SocketAddr> {
        let service = self.service(app)?;
        let mut addresses = service.cluster_ips.iter();
        let address = addresses.find(|address| Family::of(**address) == family);
        let address = address.with_context(|| format!("{} has no {family}", service.name))?;
        let port = service.ports.first().context("a Service has a port")?;
        Ok(SocketAddr::new(*address, port.port.get()))
    }

    /// The port of every node that leads to an application.
    pub(super) fn node_port(&self, app: App) -> anyhow::Result<u16> {
        node_port(&self.services, app)
    }

    /// Where clients outside reach all applications.
    pub(super) fn front_door(&self, family: Family) -> SocketAddr {
        SocketAddr::new(self.lab.balancer().ip(family), BALANCER_PORT)
    }

    /// Whose address it is.
    pub(super) fn owner(&self, address: IpAddr) -> String {
        let lab = &self.lab;
        let family = Family::of(address);
        let hosts = [lab.client(), lab.balancer()];
        if let Some(host) = hosts.iter().find(|host| host.ip(family) == address) {
            return host.name().to_owned();
        }
        let is_of = |node: &&Node| [node.ip(family), node.pod_gateway(family)].contains(&address);
        if let Some(node) = lab.nodes().iter().find(is_of) {
            return node.name().to_owned();
        }
        let pods = lab.pods();
        let pod = pods.iter().find(|pod| pod.ip(family) == address);
        pod.map_or("nobody here", |pod| pod.name()).to_owned()
    }
}

type Slice = objects::Object<objects::EndpointSlice>;

fn slice(app: App, family: Family, port: u16) -> Slice {
    let slice = objects::endpoint_slice(app.1, family).namespace(app.0);
    slice.tcp("http", port)
}

fn publish(manifests: &Manifests, app: App, pods: &[Arc<Pod>]) -> anyhow::Result<Instant> {
    let slices = Family::BOTH.map(|family| {
        let slice = slice(app, family, Echo::HTTP);
        pods.iter().fold(slice, |slice, pod| slice.pod(pod)).build()
    });
    manifests.write(&app.file(), &slices)?;
    Ok(Instant::now())
}

fn pods(lab: &Lab, app: App) -> Vec<Arc<Pod>> {
    let mut pods = lab.pods();
    pods.retain(|pod| {
        let number = pod.name().strip_prefix(app.1);
        number.is_some_and(|rest| rest.starts_with('-'))
    });
    pods
}

fn load(manifests: &Path, node: &str) -> anyhow::Result<Snapshot> {
    let options = fairway_cluster::Options {
        node_name: node.into(),
        ..fairway_cluster::Options::default()
    };
    let (snapshot, problems) = fairway_cluster::load(manifests, &options)?;
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(snapshot)
}

fn service(snapshot: &Snapshot, app: App) -> anyhow::Result<&Service> {
    let name = app.object();
    let service = snapshot.services.get(&name);
    Ok(service.with_context(|| format!("no Service {name} in the examples"))?)
}

fn node_port(snapshot: &Snapshot, app: App) -> anyhow::Result<u16> {
    let service = service(snapshot, app)?;
    let mut ports = service.ports.iter().filter_map(|port| port.node_port);
    let port = ports.next();
    Ok(port
        .with_context(|| format!("{} has no node port", service.name))?
        .get())
}

/// Waits for what takes effect in its own time. False if it does not within 10 s.
pub(super) fn until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
