//! Cables, addresses and routes between the namespaces of a lab.

use std::net::IpAddr;

use anyhow::Result;
use futures_util::future::try_join_all;
use ipnet::IpNet;

use super::addressing as plan;
use super::link::{self, End};
use super::namespace::Namespace;
use super::{Host, Node};
use crate::Family;

// Device indexes. All are above what the kernel gives to tunnel devices that appear in every new
// namespace when their modules are loaded.
pub(super) const ETH0: u32 = 50;
const BRIDGE: u32 = 60;
const PORTS: u32 = 100;
const CABLES: u32 = 1000;

/// The switch of the underlay, which is also the router that knows the pod networks, as the
/// router of a cloud's private network does. It answers "unreachable" for everything else.
pub(super) async fn wire_switch(switch: &Namespace) -> Result<()> {
    link::loopback_up(switch).await?;
    link::add_bridge(switch, "underlay", BRIDGE).await?;
    for family in Family::BOTH {
        let router = plan::underlay(family, plan::ROUTER);
        link::add_address(switch, BRIDGE, router, plan::underlay_prefix(family)).await?;
    }
    add_link_local(switch, BRIDGE, plan::ROUTER).await?;
    link::answers(switch, BRIDGE).await
}

/// Plugs a machine into the switch. `host` is its number on the underlay.
pub(super) async fn wire_host(switch: &Namespace, machine: &Namespace, host: u8) -> Result<Host> {
    link::loopback_up(machine).await?;
    let port = End {
        namespace: switch,
        name: machine.name(),
        index: PORTS + u32::from(host),
        bridge: Some(BRIDGE),
    };
    link::add_veth(port, eth0(machine)).await?;
    link::carries(switch, BRIDGE).await?;
    add_link_local(machine, ETH0, host).await?;
    for family in Family::BOTH {
        let address = plan::underlay(family, host);
        let router = plan::underlay(family, plan::ROUTER);
        link::add_address(machine, ETH0, address, plan::underlay_prefix(family)).await?;
        let default = plan::everywhere(family);
        link::add_route(machine, default, Some(ETH0), Some(router)).await?;
    }
    link::answers(machine, ETH0).await?;
    Ok(Host {
        namespace: machine.clone(),
        addresses: Family::BOTH.map(|family| plan::underlay(family, host)),
    })
}

/// Tells the router and all nodes where each node's pods are, as flannel's `host-gw` does.
pub(super) async fn route_pod_networks(switch: &Namespace, nodes: &[Node]) -> Result<()> {
    for family in Family::BOTH {
        for node in nodes {
            let others = nodes.iter().filter(|other| other.number != node.number);
            let routers = others.map(|other| (other.ns(), ETH0));
            let learn = routers.chain([(switch, BRIDGE)]).map(|(router, device)| {
                let to = node.pod_cidr(family);
                link::add_route(router, to, Some(device), Some(node.ip(family)))
            });
            try_join_all(learn).await?;
        }
    }
    Ok(())
}

/// Where a pod is plugged in.
pub(super) struct Socket<'a> {
    pub(super) node: &'a Node,
    /// The pod's number in the node's pod network.
    pub(super) number: u8,
}

impl Socket<'_> {
    /// The index of the node's end of the cable.
    pub(super) fn cable(&self) -> u32 {
        CABLES + u32::from(self.number)
    }

    pub(super) fn address(&self, family: Family) -> IpAddr {
        plan::pod(family, self.node.number, self.number)
    }
}

/// Connects a pod to its node with a routed cable, as the `ptp` CNI plugin does: no bridge, so all
/// its traffic, that with pods of the same node too, passes the node's prerouting hook.
pub(super) async fn wire_pod(socket: &Socket<'_>, pod: &Namespace) -> Result<()> {
    let node = socket.node.ns();
    link::loopback_up(pod).await?;
    let cable = End {
        namespace: node,
        name: &format!("pod{}", socket.number),
        index: socket.cable(),
        bridge: None,
    };
    link::add_veth(cable, eth0(pod)).await?;
    add_link_local(node, socket.cable(), plan::ROUTER).await?;
    add_link_local(pod, ETH0, socket.number).await?;
    for family in Family::BOTH {
        let gateway = IpNet::from(socket.node.pod_gateway(family));
        let address = IpNet::from(socket.address(family));
        let (device, length) = (socket.cable(), gateway.prefix_len());
        link::add_address(node, device, gateway.addr(), length).await?;
        link::add_route(node, address, Some(device), None).await?;
        link::add_address(pod, ETH0, address.addr(), length).await?;
        link::add_route(pod, gateway, Some(ETH0), None).await?;
        let default = plan::everywhere(family);
        link::add_route(pod, default, Some(ETH0), Some(gateway.addr())).await?;
    }
    link::answers(node, socket.cable()).await?;
    link::answers(pod, ETH0).await
}

async fn add_link_local(machine: &Namespace, device: u32, host: u8) -> Result<()> {
    let address = plan::link_local(host);
    link::add_address(machine, device, address, plan::LINK_LOCAL_PREFIX).await
}

fn eth0(machine: &Namespace) -> End<'_> {
    End {
        namespace: machine,
        name: "eth0",
        index: ETH0,
        bridge: None,
    }
}
