//! A cluster's network in network namespaces of this process.
//!
//! ```text
//!  client      balancer          172.18.0.0/16, fd00:172:18::/64
//!    |            |
//!  ==+============+===+=================+===  switch and router
//!                     |                 |
//!                  node-1            node-2
//!                  |    |            |    |     10.244.N.0/24, fd00:10:244:N::/64
//!            pod-1-1  pod-1-2  pod-2-1  pod-2-2
//! ```
//!
//! Packets for Service addresses are routed by way of the nodes and then nowhere: without an
//! agent they are answered with "network unreachable".

mod addressing;
mod host;
mod link;
mod namespace;
mod privileges;
mod sysctl;
#[cfg(test)]
mod tests;
mod topology;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::{try_join, try_join_all};
use ipnet::IpNet;

pub use host::{Host, Node, Pod};
pub use namespace::Namespace;
pub use privileges::{NotPermitted, enter, test};

use crate::Family;
use crate::echo::{Echo, Identity};
use namespace::{Starting, block_on_elsewhere};
use sysctl::Role;
use topology::Socket;

/// A running network; dropping it removes everything, and so does the end of the process.
#[derive(Debug)]
pub struct Lab {
    // Fields are dropped in this order: what is plugged in before what it is plugged into.
    pods: Mutex<Pods>,
    nodes: Vec<Node>,
    client: Host,
    balancer: Host,
    _switch: Namespace,
}

#[derive(Debug, Default)]
struct Pods {
    by_name: BTreeMap<String, Arc<Pod>>,
    /// The last pod number given out on each node: an address is never used again.
    numbers: BTreeMap<String, u8>,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: usize,
    pods_per_node: usize,
    named_pods: Vec<(String, String)>,
}

impl Lab {
    /// Starts the description of a lab: two nodes and no pods unless told otherwise.
    pub fn builder() -> Builder {
        Builder {
            nodes: 2,
            pods_per_node: 0,
            named_pods: Vec::new(),
        }
    }

    /// The nodes, `node-1` first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that name.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn node(&self, name: &str) -> &Node {
        self.find_node(name).expect("the node was built")
    }

    /// The pods there are now, sorted by name.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        self.lock_pods().by_name.values().cloned().collect()
    }

    /// The pod of that name.
    ///
    /// # Panics
    ///
    /// When there is none, or no longer.
    pub fn pod(&self, name: &str) -> Arc<Pod> {
        let pods = self.lock_pods();
        let Some(pod) = pods.by_name.get(name) else {
            panic!("no pod {name}, there are {:?}", pods.by_name.keys());
        };
        Arc::clone(pod)
    }

    /// A machine outside the cluster.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The machine of the load balancer, see [`Balancer`](crate::Balancer).
    pub fn balancer(&self) -> &Host {
        &self.balancer
    }

    /// The network that holds all pods, for `--cluster-cidr`.
    pub fn cluster_cidr(&self, family: Family) -> IpNet {
        addressing::cluster_cidr(family)
    }

    /// The network to take ClusterIPs from.
    pub fn service_cidr(&self, family: Family) -> IpNet {
        addressing::service_cidr(family)
    }

    /// Address number `number` of the Service network.
    pub fn cluster_ip(&self, family: Family, number: u8) -> IpAddr {
        addressing::cluster_ip(family, number)
    }

    /// Starts one more pod, with its echo servers, on a node.
    ///
    /// # Errors
    ///
    /// When the name is taken, there is no such node, or its 253 addresses have been used.
    pub fn add_pod(&self, name: &str, node: &str) -> Result<Arc<Pod>> {
        let wanted = [(name.to_owned(), node.to_owned())];
        let mut pods = self.start_pods(&wanted)?;
        pods.pop().context("one pod was asked for")
    }

    /// Removes a pod as a crash of its machine would: at once, whatever is open.
    ///
    /// For an orderly end, [`drain`](Echo::drain) its servers first.
    ///
    /// # Errors
    ///
    /// When there is no such pod.
    pub fn remove_pod(&self, name: &str) -> Result<()> {
        let removed = self.lock_pods().by_name.remove(name);
        let pod = removed.with_context(|| format!("no pod {name}"))?;
        let node = self.find_node(&pod.node)?;
        // The namespace may live on in somebody's `Arc`, and the kernel takes its time anyway.
        block_on_elsewhere(link::delete(node.ns(), pod.cable))?
    }

    fn find_node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.with_context(|| format!("no node {name}"))
    }

    fn start_pods(&self, wanted: &[(String, String)]) -> Result<Vec<Arc<Pod>>> {
        let mut sockets = Vec::new();
        for (name, node) in wanted {
            let node = self.find_node(node)?;
            let mut pods = self.lock_pods();
            ensure!(!pods.by_name.contains_key(name), "there is a pod {name}");
            let number = pods.numbers.entry(node.name().to_owned()).or_insert(1);
            ensure!(*number <= addressing::MAX_PODS, "{} is full", node.name());
            *number += 1;
            let number = *number;
            sockets.push(Socket { node, number });
        }
        let names = wanted.iter().map(|(name, _)| name.as_str());
        let namespaces = start_namespaces(names, Role::Host)?;
        let cables = sockets.iter().zip(&namespaces);
        block_on_elsewhere(try_join_all(
            cables.map(|(socket, namespace)| topology::wire_pod(socket, namespace)),
        ))??;
        let mut started = Vec::new();
        for (socket, namespace) in sockets.iter().zip(namespaces) {
            let addresses = Family::BOTH.map(|family| socket.address(family));
            let node = socket.node.name().to_owned();
            let identity = Identity {
                pod: namespace.name().to_owned(),
                node: node.clone(),
            };
            let echo = Echo::new(&namespace, identity, &addresses);
            echo.serve_lines(Echo::LINES)?;
            echo.serve_http(Echo::HTTP)?;
            started.push(Arc::new(Pod {
                namespace,
                addresses,
                node,
                cable: socket.cable(),
                echo,
            }));
        }
        let mut pods = self.lock_pods();
        for pod in &started {
            let name = pod.name().to_owned();
            if pods.by_name.insert(name, Arc::clone(pod)).is_some() {
                bail!("two pods called {}", pod.name());
            }
        }
        Ok(started)
    }

    fn lock_pods(&self) -> MutexGuard<'_, Pods> {
        // A panic cannot leave the maps half changed.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Builder {
    /// How many nodes: `node-1`, `node-2` and so on, up to 89.
    pub fn nodes(mut self, number: usize) -> Self {
        self.nodes = number;
        self
    }

    /// How many pods on each node: `pod-1-1` is the first one of `node-1`.
    pub fn pods_per_node(mut self, number: usize) -> Self {
        self.pods_per_node = number;
        self
    }

    /// One more pod, with a name of its own.
    pub fn pod(mut self, name: &str, node: &str) -> Self {
        self.named_pods.push((name.to_owned(), node.to_owned()));
        self
    }

    /// Builds it; takes some ten milliseconds.
    ///
    /// # Errors
    ///
    /// Without the right to make network namespaces: see [`enter`] for programs and [`test`] for
    /// tests.
    pub fn build(self) -> Result<Lab> {
        ensure!(
            self.nodes <= addressing::MAX_NODES,
            "a lab has at most {} nodes",
            addressing::MAX_NODES
        );
        let numbers = 1..=u8::try_from(self.nodes).context("at most 89 nodes")?;
        let names: Vec<_> = numbers.clone().map(|n| format!("node-{n}")).collect();

        let switch = Starting::new("switch", Role::Router)?;
        let outside = ["client", "balancer"].map(|name| Starting::new(name, Role::Host));
        let nodes = start_namespaces(names.iter().map(String::as_str), Role::Router)?;
        let switch = switch.finish()?;
        let [client, balancer] = outside;
        let (client, balancer) = (client?.finish()?, balancer?.finish()?);

        let wired = block_on_elsewhere(async {
            topology::wire_switch(&switch).await?;
            let hosts = numbers.clone().zip(&nodes).map(async |(number, node)| {
                let host =
                    topology::wire_host(&switch, node, addressing::node_host(number)).await?;
                anyhow::Ok(Node { host, number })
            });
            let outside = try_join(
                topology::wire_host(&switch, &client, addressing::CLIENT),
                topology::wire_host(&switch, &balancer, addressing::BALANCER),
            );
            let (nodes, outside) = try_join(try_join_all(hosts), outside).await?;
            topology::route_pod_networks(&switch, &nodes).await?;
            anyhow::Ok((nodes, outside))
        })?;
        let (nodes, (client, balancer)) = wired?;

        let lab = Lab {
            pods: Mutex::default(),
            nodes,
            client,
            balancer,
            _switch: switch,
        };
        let per_node = lab.nodes.iter().flat_map(|node| {
            let pod = |k| (format!("pod-{}-{k}", node.number), node.name().to_owned());
            (1..=self.pods_per_node).map(pod)
        });
        let pods: Vec<_> = per_node.chain(self.named_pods).collect();
        lab.start_pods(&pods)?;
        Ok(lab)
    }
}

fn start_namespaces<'a>(
    names: impl Iterator<Item = &'a str>,
    role: Role,
) -> Result<Vec<Namespace>> {
    let starting: Vec<_> = names
        .map(|name| Starting::new(name, role))
        .collect::<Result<_>>()?;
    starting.into_iter().map(Starting::finish).collect()
}
