//! Devices, addresses and routes, over rtnetlink.

use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::AddressHeaderFlags;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, State};
use netlink_packet_route::route::RouteScope;
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder};
use tokio::time::{sleep, timeout};

use super::namespace::Namespace;

/// The loopback device of every namespace.
const LOOPBACK: u32 = 1;

/// How long the kernel's workers may take with a new device: a millisecond, a second on a bad day.
const SETTLED: Duration = Duration::from_secs(10);

/// One end of a veth pair. Indexes are chosen here rather than asked from the kernel, which saves
/// a round trip a device; the two ends must differ, or the kernel reports their carrier only once
/// a second (`linkwatch_urgent_event`).
pub(super) struct End<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) name: &'a str,
    pub(super) index: u32,
    /// The bridge it is a port of.
    pub(super) bridge: Option<u32>,
}

pub(super) async fn loopback_up(namespace: &Namespace) -> Result<()> {
    set_up(namespace, LOOPBACK).await
}

pub(super) async fn add_bridge(namespace: &Namespace, name: &str, index: u32) -> Result<()> {
    // Snooping would learn IPv6 multicast groups, neighbour discovery's among them, with a delay.
    let bridge = LinkBridge::new(name)
        .mcast_snooping(false)
        .index(index)
        .up()
        .build();
    let request = namespace.netlink().link().add(bridge);
    let added = request.execute().await;
    added.with_context(|| format!("cannot add the bridge {name}"))
}

/// Makes a veth pair across two namespaces, both ends up.
pub(super) async fn add_veth(near: End<'_>, far: End<'_>) -> Result<()> {
    let other_namespace = LinkAttribute::NetNsFd(far.namespace.file().as_raw_fd());
    let peer = describe(LinkMessageBuilder::default(), &far)
        .append_extra_attribute(other_namespace)
        .build();
    let pair = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Veth)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .up();
    let netlink = near.namespace.netlink();
    let request = netlink.link().add(describe(pair, &near).build());
    let added = request.execute().await;
    added.with_context(|| {
        let (near, far) = (near.namespace.name(), far.namespace.name());
        format!("cannot connect {near} and {far}")
    })?;
    // The far end cannot be born up: at that moment it has no peer yet.
    set_up(far.namespace, far.index).await?;
    carries(near.namespace, near.index).await?;
    carries(far.namespace, far.index).await
}

/// Waits until the kernel's link watcher has seen the carrier of a device that is up. Before, it
/// drops what it should send, and a bridge what it should forward.
pub(super) async fn carries(namespace: &Namespace, index: u32) -> Result<()> {
    let seen = async {
        loop {
            let mut links = namespace
                .netlink()
                .link()
                .get()
                .match_index(index)
                .execute();
            let link = links.try_next().await?.context("the device has vanished")?;
            if link
                .attributes
                .contains(&LinkAttribute::OperState(State::Up))
            {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let within = timeout(SETTLED, seen).await;
    within
        .unwrap_or_else(|_| bail!("no carrier within {SETTLED:?}"))
        .with_context(|| format!("device {index} of {}", namespace.name()))
}

async fn set_up(namespace: &Namespace, index: u32) -> Result<()> {
    let up = LinkUnspec::new_with_index(index).up().build();
    let set = namespace.netlink().link().set(up).execute().await;
    set.with_context(|| format!("cannot set device {index} of {} up", namespace.name()))
}

fn describe(link: LinkMessageBuilder<LinkUnspec>, end: &End<'_>) -> LinkMessageBuilder<LinkUnspec> {
    let link = link.name(end.name).index(end.index);
    match end.bridge {
        Some(bridge) => link.controller(bridge),
        None => link,
    }
}

pub(super) async fn delete(namespace: &Namespace, index: u32) -> Result<()> {
    let request = namespace.netlink().link().del(index);
    let deleted = request.execute().await;
    deleted.with_context(|| format!("cannot delete device {index} of {}", namespace.name()))
}

pub(super) async fn add_address(
    namespace: &Namespace,
    index: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<()> {
    let request = namespace.netlink().address().add(index, address, prefix);
    let added = request.execute().await;
    added.with_context(|| format!("cannot add {address}/{prefix} to {}", namespace.name()))
}

/// Waits until all IPv6 addresses of a device can be used. A worker of the kernel sees to it,
/// also where duplicate address detection is off. An address that was added with that flag
/// instead is never tentative, but neighbours do not find it before the worker has run.
pub(super) async fn answers(namespace: &Namespace, index: u32) -> Result<()> {
    let settled = async {
        loop {
            let turn = namespace.dumping().lock().await;
            let addresses = namespace.netlink().address().get();
            let addresses = addresses.set_link_index_filter(index).execute();
            let addresses: Vec<_> = addresses.try_collect().await?;
            drop(turn);
            let mut flags = addresses.iter().map(|address| address.header.flags);
            if !flags.any(|flags| flags.contains(AddressHeaderFlags::Tentative)) {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let within = timeout(SETTLED, settled).await;
    within
        .unwrap_or_else(|_| bail!("still tentative after {SETTLED:?}"))
        .with_context(|| format!("IPv6 of device {index} of {}", namespace.name()))
}

/// A route through a device, to a neighbour or, with a gateway, beyond it.
pub(super) async fn add_route(
    namespace: &Namespace,
    to: IpNet,
    device: Option<u32>,
    gateway: Option<IpAddr>,
) -> Result<()> {
    let context = || format!("cannot add the route to {to} to {}", namespace.name());
    let mut route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(to.network(), to.prefix_len())
        .with_context(context)?;
    if let Some(device) = device {
        route = route.output_interface(device);
    }
    route = match gateway {
        Some(gateway) => route.gateway(gateway).with_context(context)?,
        None => route.scope(RouteScope::Link),
    };
    let request = namespace.netlink().route().add(route.build()).replace();
    request.execute().await.with_context(context)
}
