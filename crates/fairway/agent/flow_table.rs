//! Keeps the kernel's flow table at the interfaces that are there (`--flow-table-interfaces`).

use std::io;

use fairway_nft::FlowTable;
use rustix::fd::OwnedFd;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use tokio::sync::watch;
use tracing::{info, warn};

use super::interfaces::{self, Addresses};
use crate::causes::with_causes;

/// Lets established connections skip the chains, where the operator and the kernel allow it. What goes
/// wrong here costs speed, never a Service.
pub(super) struct Acceleration {
    wanted: Vec<String>,
    /// Those that the flow table has now, with the numbers that tell an interface from a later one of
    /// its name.
    present: Vec<(String, u32)>,
    /// None where no interfaces are wanted.
    addresses: Option<watch::Receiver<Addresses>>,
    failing: bool,
}

impl Acceleration {
    /// Replaces what an earlier run left. Must be called within a tokio runtime.
    pub(super) fn start(wanted: &[String]) -> Self {
        let mut acceleration = Self {
            wanted: wanted.to_vec(),
            present: Vec::new(),
            addresses: (!wanted.is_empty()).then(interfaces::follow),
            failing: false,
        };
        acceleration.program();
        acceleration
    }

    /// Waits until interfaces may have come or gone, and follows. An interface of a pod network or of
    /// the node gets an address when it comes, and that is listened to.
    pub(super) async fn wake(&mut self) {
        let changed = match &mut self.addresses {
            Some(addresses) => addresses.changed().await,
            None => std::future::pending().await,
        };
        if changed.is_err() {
            // Nobody follows any more, which only happens when the agent ends.
            std::future::pending::<()>().await;
        }
        if self.failing || present(&self.wanted) != self.present {
            self.program();
        }
    }

    /// Puts the table back: somebody may have flushed all.
    pub(super) fn renew(&mut self) {
        if !self.wanted.is_empty() {
            self.program();
        }
    }

    fn program(&mut self) {
        self.present = present(&self.wanted);
        let names: Vec<_> = self.present.iter().map(|(name, _)| name.clone()).collect();
        let result = FlowTable::open().and_then(|mut flow_table| flow_table.replace(&names));
        let failed_before = self.failing;
        self.failing = result.is_err();
        match result {
            Ok(()) if self.wanted.is_empty() => {}
            Ok(()) => info!(
                interfaces = names.join(","),
                missing = self.missing().join(","),
                "established connections through Services skip the chains"
            ),
            Err(error) if !failed_before => warn!(
                reason = with_causes(&error),
                "no flow table: connections through Services take the way through the chains, which is \
                 slower and does no harm"
            ),
            Err(_) => {}
        }
    }

    fn missing(&self) -> Vec<&str> {
        let is_there = |name: &&String| self.present.iter().any(|(there, _)| there == *name);
        let missing = self.wanted.iter().filter(|name| !is_there(name));
        missing.map(String::as_str).collect()
    }
}

/// The wanted interfaces that are there, with their numbers.
fn present(wanted: &[String]) -> Vec<(String, u32)> {
    let Ok(socket) = any_socket() else {
        return Vec::new();
    };
    let numbered = wanted.iter().filter_map(|name| {
        let number = name_to_index(&socket, name).ok()?;
        Some((name.clone(), number))
    });
    numbered.collect()
}

/// What the kernel is asked about interfaces through.
fn any_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::UNIX, SocketType::DGRAM, None)?)
}
