use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output};
use std::rc::Rc;

use fairway_testkit::apiserver::Secure;
use fairway_testkit::lab::{Builder, Node, Pod};
use fairway_testkit::objects::{self, Object, Service};
use fairway_testkit::{Agent, ApiServer, Family, Lab, Manifests, nft};
use serde_json::Value;

use super::fairway;
use super::feed::{Feed, Objects};

/// A lab with the objects of a cluster and an agent on each node.
///
/// When a test fails, the agents' logs are printed.
pub(crate) struct Cluster {
    // Agents end before what they are fed by and run in.
    agents: RefCell<BTreeMap<String, Rc<Agent>>>,
    objects: Objects,
    flags: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    lab: Lab,
}

impl Cluster {
    /// Builds the lab. Knows its Nodes and has no agents yet; these know the pod network.
    pub(crate) fn new(feed: Feed, lab: Builder) -> Self {
        let lab = lab.build().unwrap();
        Self::of(Objects::new(feed, &lab), lab)
    }

    /// The same with an API server that speaks TLS, and HTTP/2 in it, as real ones do.
    pub(crate) fn secure(lab: Builder) -> Self {
        let lab = lab.build().unwrap();
        let server = lab.start_secure_api_server(Secure::Http2 { streams: 100 });
        Self::of(Objects::of(Some(server.unwrap())), lab)
    }

    fn of(objects: Objects, lab: Lab) -> Self {
        let cidrs = Family::BOTH.map(|family| lab.cluster_cidr(family).to_string());
        let cluster = Self {
            agents: RefCell::default(),
            objects,
            flags: vec!["--cluster-cidr".to_owned(), cidrs.join(",")],
            environment: Vec::new(),
            lab,
        };
        let nodes = cluster.lab.nodes().iter().map(objects::node);
        cluster.apply("nodes", nodes.collect::<Vec<_>>());
        cluster
    }

    /// Other flags than `--cluster-cidr` for the agents.
    pub(crate) fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(ToString::to_string).collect();
        self
    }

    /// Further flags for the agents.
    pub(crate) fn with_further_flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// Variables of the agents' environment.
    pub(crate) fn with_environment(mut self, variables: &[(&'static str, &'static str)]) -> Self {
        self.environment = variables.to_vec();
        self
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The directory of manifests, for files that [`apply`](Self::apply) cannot write. An API server
    /// leaves it empty.
    pub(crate) fn directory(&self) -> &Manifests {
        self.objects.directory()
    }

    /// The API server.
    ///
    /// # Panics
    ///
    /// When the cluster is fed by manifests.
    pub(crate) fn api_server(&self) -> &ApiServer {
        self.objects.server()
    }

    /// Makes these the objects of a file. They change at once if the agents are fed by manifests,
    /// one after the other if fed by the API.
    pub(crate) fn apply(&self, file: &str, objects: impl IntoIterator<Item = impl Into<Value>>) {
        let objects = objects.into_iter().map(Into::into);
        self.objects.write(file, objects.collect());
    }

    /// Deletes the objects of a file.
    pub(crate) fn delete(&self, file: &str) {
        self.apply(file, [Value::Null; 0]);
    }

    /// Starts the agents of all nodes, and waits until they are ready.
    pub(crate) fn start(&self) {
        let nodes = self.lab.nodes().iter();
        let agents: Vec<_> = nodes.map(|node| self.spawn_agent(node.name())).collect();
        for agent in agents {
            agent.wait_ready().unwrap();
        }
    }

    /// Starts the agent of a node, or the next one, and waits until it is ready.
    pub(crate) fn start_agent(&self, node: &str) -> Rc<Agent> {
        let agent = self.spawn_agent(node);
        agent.wait_ready().unwrap();
        agent
    }

    /// Starts the agent of a node, or the next one.
    pub(crate) fn spawn_agent(&self, node: &str) -> Rc<Agent> {
        let ns = self.lab.node(node).ns();
        let mut command = Command::new(fairway());
        command
            .args(self.run_arguments(node))
            .envs(self.environment.iter().copied());
        let agent = Rc::new(Agent::spawn_command(ns, command).unwrap());
        let mut agents = self.agents.borrow_mut();
        agents.insert(node.to_owned(), Rc::clone(&agent));
        agent
    }

    /// The arguments of `fairway` on a node.
    pub(crate) fn run_arguments(&self, node: &str) -> Vec<String> {
        let name = ["--v=4", "run", "--hostname-override", node];
        // Where it matters, a test says so.
        let hurry = ["--drain-delay-seconds", "0"].map(str::to_owned);
        let flags = self.objects.flags();
        name.map(str::to_owned)
            .into_iter()
            .chain(hurry.into_iter().filter(|_| !self.waits()))
            .chain(flags)
            .chain(self.flags.iter().cloned())
            .collect()
    }

    /// Whether the agents are told how long to serve on when they are to stop.
    fn waits(&self) -> bool {
        let mut flags = self.flags.iter();
        flags.any(|flag| flag.starts_with("--drain-delay-seconds"))
    }

    /// The flags that tell where the objects are.
    pub(crate) fn source_flags(&self) -> [String; 2] {
        self.objects.flags()
    }

    /// The agent that was started last on a node.
    pub(crate) fn agent(&self, node: &str) -> Rc<Agent> {
        Rc::clone(&self.agents.borrow()[node])
    }

    /// Runs another command of fairway on a node.
    pub(crate) fn fairway(&self, node: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(fairway());
        command.args(arguments);
        self.lab.node(node).ns().output(command).unwrap()
    }

    /// What `fairway render` prints for the objects there are now.
    pub(crate) fn render(&self, node: &str) -> String {
        let manifests = Manifests::in_tempdir().unwrap();
        manifests.write("all.yaml", &self.objects.all()).unwrap();
        let path = manifests.path().to_str().unwrap();
        let mut arguments = vec!["render", "--manifests", path, "--node-name", node];
        arguments.extend(self.flags.iter().map(String::as_str));
        let rendered = self.fairway(node, &arguments);
        assert!(rendered.status.success(), "{rendered:?}");
        String::from_utf8(rendered.stdout).unwrap()
    }

    /// Our tables on a node as `nft` lists them, in an order that does not depend on the kernel.
    pub(crate) fn tables(&self, node: &str) -> String {
        let ns = self.lab.node(node).ns();
        let tables = Family::BOTH.map(|family| {
            // An error, such as its absence, is as good an answer as any.
            let listed = nft::list_table(ns, family, "fairway");
            listed.map_or_else(|error| format!("{error:#}"), |text| nft::normalise(&text))
        });
        tables.join("\n")
    }

    /// A dual-stack Service with the ClusterIPs of that number.
    pub(crate) fn service(&self, name: &str, number: u8) -> Object<Service> {
        let [v4, v6] = Family::BOTH.map(|family| self.lab.cluster_ip(family, number));
        objects::service(name).cluster_ip(v4).cluster_ip(v6)
    }

    /// A port of the ClusterIP of that number.
    pub(crate) fn cluster_ip(&self, family: Family, number: u8, port: u16) -> SocketAddr {
        (self.lab.cluster_ip(family, number), port).into()
    }

    /// What a pod sees of masqueraded traffic that comes by way of a node.
    pub(crate) fn masqueraded(&self, node: &Node, pod: &Pod, family: Family) -> IpAddr {
        if pod.node() == node.name() {
            node.pod_gateway(family)
        } else {
            node.ip(family)
        }
    }

    /// Sends the outside client's traffic for ClusterIPs to a node.
    pub(crate) fn route_cluster_ips(&self, node: &str) {
        for family in Family::BOTH {
            let gateway = self.lab.node(node).ip(family);
            let route = self.lab.service_cidr(family);
            self.lab.client().add_route(route, gateway).unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (node, agent) in self.agents.borrow().iter() {
                eprintln!("--- the agent on {node} said:\n{}", agent.stderr());
            }
        }
    }
}
