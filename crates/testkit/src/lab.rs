//! A cluster's network in network namespaces of this process.
//!
//! ```text
//!  client    balancer   control-plane         172.18.0.0/16, fd00:172:18::/64
//!    |          |            |
//!  ==+==========+=====+======+==========+===  switch and router
//!                     |                 |
//!                  node-1            node-2
//!                  |    |            |    |     10.244.N.0/24, fd00:10:244:N::/64
//!            pod-1-1  pod-1-2  pod-2-1  pod-2-2
//! ```
//!
//! Packets for Service addresses are routed by way of the nodes and then nowhere: without an
//! agent they are answered with "network unreachable".

mod addressing;
mod builder;
mod host;
mod link;
mod namespace;
mod privileges;
mod sysctl;
#[cfg(test)]
mod tests;
mod topology;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use ipnet::IpNet;

pub use builder::Builder;
pub use host::{Host, Node, Pod};
pub use namespace::Namespace;
pub use privileges::{NotPermitted, enter, test};

use crate::Family;
use crate::apiserver::{ApiServer, Secure};
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
    control_plane: Host,
    _switch: Namespace,
}

#[derive(Debug, Default)]
struct Pods {
    by_name: BTreeMap<String, Arc<Pod>>,
    /// The last pod number given out on each node: an address is never used again.
    numbers: BTreeMap<String, u8>,
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
        self.find_node(name)
            .unwrap_or_else(|error| panic!("{error}"))
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

    /// The machine of the API server.
    pub fn control_plane(&self) -> &Host {
        &self.control_plane
    }

    /// Starts a fake API server on the control plane's port 6443, where the nodes reach it.
    ///
    /// # Errors
    ///
    /// When there is one already.
    pub fn start_api_server(&self) -> Result<ApiServer> {
        self.start_api_server_as(ApiServer::start_on)
    }

    /// The same with TLS.
    ///
    /// # Errors
    ///
    /// When there is one already.
    pub fn start_secure_api_server(&self, secure: Secure) -> Result<ApiServer> {
        self.start_api_server_as(|listener| ApiServer::start_secure_on(listener, secure))
    }

    fn start_api_server_as(
        &self,
        start: impl FnOnce(TcpListener) -> Result<ApiServer> + Send,
    ) -> Result<ApiServer> {
        let address = SocketAddr::new(self.control_plane.ip(Family::V4), 6443);
        // Inside, so that it also comes back there after it went away.
        self.control_plane.ns().run(|| {
            let listener = TcpListener::bind(address);
            start(listener.with_context(|| format!("cannot listen on {address}"))?)
        })
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
            let same = wanted.iter().filter(|(other, _)| other == name).count();
            let free = same == 1 && !pods.by_name.contains_key(name);
            ensure!(free, "there is a pod {name} already");
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
            pods.by_name.insert(pod.name().to_owned(), Arc::clone(pod));
        }
        Ok(started)
    }

    fn lock_pods(&self) -> MutexGuard<'_, Pods> {
        // A panic cannot leave the maps half changed.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
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
