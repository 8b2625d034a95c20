use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::{try_join, try_join_all};

use super::namespace::{Starting, block_on_elsewhere};
use super::sysctl::Role;
use super::{Host, Lab, Node, addressing, start_namespaces, topology};

/// What to build.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) nodes: usize,
    pub(super) pods_per_node: usize,
    pub(super) named_pods: Vec<(String, String)>,
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
    /// Without the right to make network namespaces: see [`enter`](super::enter) for programs and
    /// [`test`](super::test()) for
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
        let names_outside = ["client", "balancer", "control-plane"];
        let outside = start_namespaces(names_outside.into_iter(), Role::Host)?;
        let nodes = start_namespaces(names.iter().map(String::as_str), Role::Router)?;
        let switch = switch.finish()?;

        let wired = block_on_elsewhere(async {
            topology::wire_switch(&switch).await?;
            let hosts = numbers.clone().zip(&nodes).map(async |(number, node)| {
                let host =
                    topology::wire_host(&switch, node, addressing::node_host(number)).await?;
                anyhow::Ok(Node { host, number })
            });
            let outside = addressing::OUTSIDE.into_iter().zip(&outside);
            let outside =
                outside.map(|(host, machine)| topology::wire_host(&switch, machine, host));
            let (nodes, outside) = try_join(try_join_all(hosts), try_join_all(outside)).await?;
            topology::route_pod_networks(&switch, &nodes).await?;
            anyhow::Ok((nodes, outside))
        })?;
        let (nodes, outside) = wired?;
        let Ok([client, balancer, control_plane]) = <[Host; 3]>::try_from(outside) else {
            bail!("not all machines were started");
        };

        let lab = Lab {
            pods: Mutex::default(),
            nodes,
            client,
            balancer,
            control_plane,
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
