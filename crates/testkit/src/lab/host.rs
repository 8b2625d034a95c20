use std::net::IpAddr;

use anyhow::Result;
use ipnet::IpNet;

use super::addressing;
use super::link;
use super::namespace::{Namespace, block_on_elsewhere};
use super::topology::ETH0;
use crate::Family;
use crate::echo::Echo;

/// A machine on the underlay network.
#[derive(Debug)]
pub struct Host {
    pub(super) namespace: Namespace,
    pub(super) addresses: [IpAddr; 2],
}

impl Host {
    /// Its name in the lab.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Its network namespace.
    pub fn ns(&self) -> &Namespace {
        &self.namespace
    }

    /// Its address on the underlay.
    pub fn ip(&self, family: Family) -> IpAddr {
        of_family(self.addresses, family)
    }

    /// Sends packets for a network by way of another machine, for example those for a
    /// load balancer's address to a node.
    ///
    /// # Errors
    ///
    /// When the gateway is not on the underlay, or is of the other family.
    pub fn add_route(&self, to: IpNet, gateway: IpAddr) -> Result<()> {
        block_on_elsewhere(link::add_route(
            &self.namespace,
            to,
            Some(ETH0),
            Some(gateway),
        ))?
    }

    /// Gives it one more address.
    ///
    /// # Errors
    ///
    /// When it has the address already.
    pub fn add_address(&self, address: IpAddr) -> Result<()> {
        let prefix = IpNet::from(address).prefix_len();
        block_on_elsewhere(link::add_address(&self.namespace, ETH0, address, prefix))?
    }
}

/// A node of the cluster: routes for its pods and runs the agent.
#[derive(Debug)]
pub struct Node {
    pub(super) host: Host,
    /// From 1 on.
    pub(super) number: u8,
}

impl Node {
    /// `node-1`, `node-2` and so on.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// The node's own network namespace: where its agent and host processes run.
    pub fn ns(&self) -> &Namespace {
        self.host.ns()
    }

    /// Its address on the underlay, the Node object's `InternalIP`.
    pub fn ip(&self, family: Family) -> IpAddr {
        self.host.ip(family)
    }

    /// The network of its pods.
    pub fn pod_cidr(&self, family: Family) -> IpNet {
        addressing::pod_network(family, self.number)
    }

    /// What it calls itself towards its pods, like the address of a pod bridge: the first of the
    /// pod network. Also what masqueraded traffic to its own pods comes from.
    pub fn pod_gateway(&self, family: Family) -> IpAddr {
        addressing::pod(family, self.number, 1)
    }

    /// It as a machine among others, to add routes and addresses.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// A pod: a namespace behind a node, with echo servers in it.
#[derive(Debug)]
pub struct Pod {
    pub(super) namespace: Namespace,
    pub(super) addresses: [IpAddr; 2],
    pub(super) node: String,
    /// The index of the node's end of its cable.
    pub(super) cable: u32,
    pub(super) echo: Echo,
}

impl Pod {
    /// Its name, unique in the lab.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Its network namespace.
    pub fn ns(&self) -> &Namespace {
        &self.namespace
    }

    /// Its address.
    pub fn ip(&self, family: Family) -> IpAddr {
        of_family(self.addresses, family)
    }

    /// The name of the node it runs on.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its servers: lines on TCP and UDP port [`Echo::LINES`], HTTP on [`Echo::HTTP`], and what
    /// else is asked of them.
    pub fn echo(&self) -> &Echo {
        &self.echo
    }
}

fn of_family([v4, v6]: [IpAddr; 2], family: Family) -> IpAddr {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}
