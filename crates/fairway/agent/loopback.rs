//! Node ports on 127.0.0.1 and ::1 (`--loopback-node-ports`), by way of a small relay.
//!
//! The kernel cannot translate loopback's packets without `route_localnet`, which opens loopback to
//! the network, and over IPv6 not at all. So whoever asks `localhost:30080` is answered by a socket
//! of ours, which asks the ClusterIP as any process of the node would.
//!
//! ```text
//! Services -> Relays::wanted -> thread `loopback`: a listener per node port -> ClusterIP
//! ```
//!
//! What that cannot do: the endpoint sees the node instead of loopback (as with every masqueraded
//! node port); without endpoints, a TCP connection is accepted and then reset; the ClusterIP's policy
//! counts, so that `internalTrafficPolicy: Local` means endpoints of this node.

mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{ObjectName, Protocol, Service, Snapshot, Update};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::{info, warn};

/// Before a port that another process has is tried again. To try costs two system calls.
const RETRY: Duration = Duration::from_secs(1);

/// The relays' thread, which ends when nobody has one of these any more. It outlives a configuration, and so
/// do connections.
#[derive(Clone)]
pub(crate) struct Relays(Arc<watch::Sender<Wanted>>);

/// Keeps the relays at what Services ask for.
pub(crate) struct Loopback {
    services: BTreeMap<ObjectName, (i64, Vec<Relay>)>,
    relays: Relays,
    /// Until then they are those of the configuration before.
    told: bool,
}

/// Where each relay leads. The oldest Service has a node port that several want.
type Wanted = BTreeMap<Listening, SocketAddr>;

/// What clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listening {
    transport: Transport,
    address: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Tcp,
    Udp,
}

type Relay = (Listening, SocketAddr);

impl Relays {
    /// Starts their thread: what they carry must not slow the control thread.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start() -> io::Result<Self> {
        let (wanted, changes) = watch::channel(Wanted::new());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("loopback".to_owned());
        thread.spawn(move || runtime.block_on(serve(changes)))?;
        Ok(Self(Arc::new(wanted)))
    }
}

impl Loopback {
    /// The relays stay as they are until the first [`apply`](Self::apply).
    pub(crate) fn new(relays: Relays) -> Self {
        Self {
            services: BTreeMap::new(),
            relays,
            told: false,
        }
    }

    /// Follows a change of Services; the first is to name all of them.
    pub(crate) fn apply(&mut self, update: &Update) {
        let mut changed = !std::mem::replace(&mut self.told, true);
        for name in &update.changes.services {
            changed |= self.look_at(&update.snapshot, name);
        }
        if changed {
            let wanted = wanted(&self.services);
            self.relays.0.send_if_modified(|current| {
                let differs = *current != wanted;
                *current = wanted;
                differs
            });
        }
    }

    /// Whether the relays of a Service changed.
    fn look_at(&mut self, snapshot: &Snapshot, name: &ObjectName) -> bool {
        let service = snapshot.services.get(name);
        let new = service.map(|service| (service.created, relays(service)));
        match new.filter(|(_, relays)| !relays.is_empty()) {
            Some(new) => self.services.insert(name.clone(), new.clone()) != Some(new),
            None => self.services.remove(name).is_some(),
        }
    }
}

/// The relays of one Service: for each node port and ClusterIP.
fn relays(service: &Service) -> Vec<Relay> {
    if service.proxied_elsewhere {
        return Vec::new();
    }
    let mut relays = Vec::new();
    for port in &service.ports {
        let transport = match port.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => continue,
        };
        let Some(node_port) = port.node_port else {
            continue;
        };
        for cluster_ip in &service.cluster_ips {
            let loopback: IpAddr = match cluster_ip {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            let listening = Listening {
                transport,
                address: SocketAddr::new(loopback, node_port.get()),
            };
            relays.push((listening, SocketAddr::new(*cluster_ip, port.port.get())));
        }
    }
    relays
}

fn wanted(services: &BTreeMap<ObjectName, (i64, Vec<Relay>)>) -> Wanted {
    let mut oldest_first: Vec<_> = services.values().collect();
    oldest_first.sort_by_key(|(created, _)| *created);
    let mut wanted = Wanted::new();
    for (listening, upstream) in oldest_first.into_iter().flat_map(|(_, relays)| relays) {
        wanted.entry(*listening).or_insert(*upstream);
    }
    wanted
}

/// Runs the relays until nobody says any more which there should be.
async fn serve(mut changes: watch::Receiver<Wanted>) {
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<Listening, (SocketAddr, AbortHandle)> = BTreeMap::new();
    loop {
        let wanted = changes.borrow_and_update().clone();
        running.retain(|listening, (upstream, task)| {
            let stays = wanted.get(listening) == Some(upstream);
            if !stays {
                task.abort();
            }
            stays
        });
        // An aborted relay has left its port when it is joined.
        while tasks.len() > running.len() {
            tasks.join_next().await;
        }
        for (listening, upstream) in wanted {
            running.entry(listening).or_insert_with(|| {
                let task = tasks.spawn(relay(listening, upstream));
                (upstream, task)
            });
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// One relay, for ever.
async fn relay(listening: Listening, upstream: SocketAddr) {
    let mut told = false;
    loop {
        let ended = match listening.transport {
            Transport::Tcp => tcp::relay(listening.address, upstream).await,
            Transport::Udp => udp::relay(listening.address, upstream).await,
        };
        let Err(error) = ended;
        if !std::mem::replace(&mut told, true) {
            warn!(
                %error,
                "cannot serve a node port on loopback: {listening}; does another process have it? \
                 trying again",
            );
        }
        sleep(RETRY).await;
    }
}

fn started(listening: SocketAddr, upstream: SocketAddr) {
    info!(%listening, %upstream, "a node port is served on loopback");
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        write!(f, "{transport} {}", self.address)
    }
}
