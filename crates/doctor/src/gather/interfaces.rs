//! The interfaces of this network namespace.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage,
};

use crate::facts::Interface;

/// Every interface, or why they cannot be listed.
pub(super) fn list() -> Result<Vec<Interface>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let found = read(&handle).await.map_err(|error| error.to_string());
        connection.abort();
        found
    })
}

async fn read(handle: &rtnetlink::Handle) -> Result<Vec<Interface>, rtnetlink::Error> {
    let mut interfaces = BTreeMap::new();
    let mut lower = BTreeMap::new();
    let mut links = handle.link().get().execute();
    while let Some(link) = links.try_next().await? {
        let index = link.header.index;
        lower.extend(below(&link).map(|below| (index, below)));
        interfaces.insert(index, interface(&link));
    }
    let mut addresses = handle.address().get().execute();
    while let Some(message) = addresses.try_next().await? {
        let address = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
        if let (Some(interface), Some(address)) =
            (interfaces.get_mut(&message.header.index), address)
        {
            interface.addresses.push(address);
        }
    }
    let names: BTreeMap<u32, String> = interfaces
        .iter()
        .map(|(index, interface)| (*index, interface.name.clone()))
        .collect();
    for (index, below) in lower {
        if let Some(interface) = interfaces.get_mut(&index) {
            interface.lower = names.get(&below).cloned();
        }
    }
    Ok(interfaces.into_values().collect())
}

fn interface(link: &LinkMessage) -> Interface {
    let mut interface = Interface::default();
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::LinkInfo(info) => {
                interface.kind = info.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind_name(kind)),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    interface
}

fn kind_name(kind: &InfoKind) -> String {
    match kind {
        InfoKind::Vxlan => "vxlan".to_owned(),
        InfoKind::Bridge => "bridge".to_owned(),
        InfoKind::Dummy => "dummy".to_owned(),
        InfoKind::Veth => "veth".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The number of the interface that a tunnel sends by.
fn below(link: &LinkMessage) -> Option<u32> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => info.iter().find_map(|info| match info {
                LinkInfo::Data(InfoData::Vxlan(data)) => data.iter().find_map(|data| match data {
                    InfoVxlan::Link(link) => Some(*link),
                    _ => None,
                }),
                _ => None,
            }),
            _ => None,
        })
}
