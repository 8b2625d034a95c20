//! The addresses of this node's interfaces, as they come and go.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

/// Sorted, loopback included; each address once however many interfaces have it.
pub(crate) type Addresses = Arc<[IpAddr]>;

/// Changes of addresses come in batches when an interface goes up or down.
const GATHERED: Duration = Duration::from_millis(10);

/// Before rtnetlink is opened again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The addresses that interfaces have now, and whenever that changes. Must be called within a tokio
/// runtime; following ends when nobody receives any more.
pub(crate) fn follow() -> watch::Receiver<Addresses> {
    let (sender, receiver) = watch::channel(Addresses::default());
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = follow_for_ever(&sender) => {}
        }
    });
    receiver
}

async fn follow_for_ever(sender: &watch::Sender<Addresses>) {
    let mut failing = false;
    loop {
        let Err(error) = follow_until_failure(sender, &mut failing).await;
        if !std::mem::replace(&mut failing, true) {
            warn!(
                %error,
                "cannot follow the addresses of this node's interfaces; those known last stay in use",
            );
        }
        sleep(PAUSE).await;
    }
}

async fn follow_until_failure(
    sender: &watch::Sender<Addresses>,
    failing: &mut bool,
) -> Result<std::convert::Infallible, rtnetlink::Error> {
    let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    // Listening starts before the addresses are read, so that no change in between is missed.
    let opened = rtnetlink::new_multicast_connection(&groups);
    let (connection, handle, mut notifications) = opened.map_err(|error| {
        tracing::debug!(%error, "cannot open rtnetlink");
        rtnetlink::Error::RequestFailed
    })?;
    let mut connection = std::pin::pin!(connection);
    let follow = async {
        loop {
            let addresses = read(&handle).await?;
            *failing = false;
            sender.send_if_modified(|known| {
                let changed = *known != addresses;
                *known = addresses;
                changed
            });
            // What it says does not matter; an overrun comes as a notification, too.
            if notifications.next().await.is_none() {
                return Err(rtnetlink::Error::RequestFailed);
            }
            sleep(GATHERED).await;
            while notifications.try_recv().is_ok() {}
        }
    };
    tokio::select! {
        failed = follow => failed,
        () = &mut connection => Err(rtnetlink::Error::RequestFailed),
    }
}

async fn read(handle: &Handle) -> Result<Addresses, rtnetlink::Error> {
    let mut messages = handle.address().get().execute();
    let mut addresses = BTreeSet::new();
    while let Some(message) = messages.try_next().await? {
        addresses.extend(usable(&message));
    }
    Ok(addresses.into_iter().collect())
}

/// The node's own address in a message, unless the kernel still tries whether a neighbour has it.
fn usable(message: &AddressMessage) -> Option<IpAddr> {
    let tentative = message.header.flags.contains(AddressHeaderFlags::Tentative);
    let attributes = message.attributes.iter();
    let tentative = tentative
        || attributes.clone().any(|attribute| {
            let AddressAttribute::Flags(flags) = attribute else {
                return false;
            };
            flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
        });
    let local = attributes.clone().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // IPv6 says it only where it differs, which is on a point-to-point link.
    let address = attributes.clone().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    local.or(address).filter(|_| !tentative)
}
