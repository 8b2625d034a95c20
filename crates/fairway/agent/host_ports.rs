//! Processes of this node that listen where a Service has its node port. The Service has what is sent
//! to the node's addresses there, as with kube-proxy's nftables mode: nothing else keeps the two apart,
//! so whoever owns them is told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fairway_cluster::{EventRecorder, ObjectEvent, ProblemMetrics, Reason, Severity};
use fairway_model::{
    Node, ObjectName, ObjectRef, Protocol, Service, ServiceKind, Snapshot, Update,
};
use fairway_nft::{Error, ListeningSocket, listening_sockets};
use fairway_plan::{Family, NodePortAddresses, NodePortScope};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::causes::with_causes;
use crate::config::Config;

#[cfg(test)]
mod tests;

/// How soon a process is noticed that starts to listen after the Service has come. A look takes
/// milliseconds, but goes through every UDP socket of the node.
const PERIOD: Duration = Duration::from_secs(180);

/// Between two looks, however fast node ports change.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks after all node ports.
pub(crate) struct HostPorts {
    node_port_addresses: NodePortAddresses,
    services: BTreeMap<ObjectName, (i64, Vec<NodePort>)>,
    served: watch::Sender<Served>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NodePort {
    family: Family,
    protocol: Protocol,
    port: u16,
}

/// The node ports that there are, and where.
#[derive(Clone, Debug, Default)]
struct Served {
    /// The oldest Service has a node port that several want.
    ports: Arc<BTreeMap<NodePort, ObjectName>>,
    /// For IPv4 and IPv6; none before the first update.
    scopes: Option<[NodePortScope; 2]>,
}

/// Who is told.
struct Watcher {
    node_name: String,
    /// Ports of our own servers. They are elsewhere on purpose, or fail to start.
    own: BTreeSet<u16>,
    recorder: EventRecorder,
    problems: ProblemMetrics,
    known: BTreeMap<Collision, SocketAddr>,
    failing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Collision {
    service: ObjectName,
    protocol: Protocol,
    port: u16,
}

impl HostPorts {
    /// Looks at no port yet. Must be called within a tokio runtime; ends when this is dropped.
    pub(crate) fn watch(
        config: &Config,
        recorder: EventRecorder,
        problems: ProblemMetrics,
    ) -> Self {
        let (served, changes) = watch::channel(Served::default());
        let own = match config.ingress {
            true => config.router.addresses().map(|it| it.port()).collect(),
            false => BTreeSet::new(),
        };
        let watcher = Watcher {
            node_name: config.node_name.clone(),
            own,
            recorder,
            problems,
            known: BTreeMap::new(),
            failing: false,
        };
        tokio::spawn(watcher.run(changes));
        Self {
            node_port_addresses: config.rules.plan_options().node_port_addresses,
            services: BTreeMap::new(),
            served,
        }
    }

    /// Follows a change of Services or of the Node.
    pub(crate) fn apply(&mut self, update: &Update) {
        let mut changed = update.changes.node;
        for name in &update.changes.services {
            changed |= self.look_at(&update.snapshot, name);
        }
        if changed {
            let served = self.served(&update.snapshot.node);
            self.served.send_replace(served);
        }
    }

    /// Whether the node ports of a Service changed.
    fn look_at(&mut self, snapshot: &Snapshot, name: &ObjectName) -> bool {
        let service = snapshot.services.get(name);
        let new = service.map(|service| (service.created, node_ports(service)));
        match new.filter(|(_, ports)| !ports.is_empty()) {
            Some(new) => self.services.insert(name.clone(), new.clone()) != Some(new),
            None => self.services.remove(name).is_some(),
        }
    }

    fn served(&self, node: &Node) -> Served {
        let mut oldest_first: Vec<_> = self.services.iter().collect();
        oldest_first.sort_by_key(|(_, (created, _))| *created);
        let mut ports = BTreeMap::new();
        for (name, (_, wanted)) in oldest_first {
            for port in wanted {
                ports.entry(*port).or_insert_with(|| name.clone());
            }
        }
        let addresses = &self.node_port_addresses;
        Served {
            ports: Arc::new(ports),
            scopes: Some(Family::ALL.map(|family| NodePortScope::new(family, addresses, node))),
        }
    }
}

fn node_ports(service: &Service) -> Vec<NodePort> {
    if service.proxied_elsewhere || matches!(service.kind, ServiceKind::ExternalName(_)) {
        return Vec::new();
    }
    let families: BTreeSet<Family> = service
        .cluster_ips
        .iter()
        .copied()
        .map(Family::of)
        .collect();
    let ports = service.ports.iter();
    let ports = ports.filter_map(|port| Some((port.protocol, port.node_port?.get())));
    let ports = ports.flat_map(|(protocol, port)| {
        families.iter().map(move |family| NodePort {
            family: *family,
            protocol,
            port,
        })
    });
    ports.collect()
}

impl Served {
    /// Where a process gets less than it listens for.
    fn taken(
        &self,
        sockets: &[ListeningSocket],
        own: &BTreeSet<u16>,
    ) -> BTreeMap<Collision, SocketAddr> {
        let mut taken = BTreeMap::new();
        let Some(scopes) = &self.scopes else {
            return taken;
        };
        let others = sockets.iter();
        for socket in others.filter(|socket| !own.contains(&socket.address.port())) {
            for (family, scope) in Family::ALL.into_iter().zip(scopes) {
                let node_port = NodePort {
                    family,
                    protocol: socket.protocol,
                    port: socket.address.port(),
                };
                let Some(service) = self.ports.get(&node_port) else {
                    continue;
                };
                if socket.serves(family) && concerns(scope, socket.address.ip()) {
                    let collision = Collision {
                        service: service.clone(),
                        protocol: node_port.protocol,
                        port: node_port.port,
                    };
                    taken.entry(collision).or_insert(socket.address);
                }
            }
        }
        taken
    }
}

/// Whether node ports are served at an address that a process listens on.
fn concerns(scope: &NodePortScope, address: IpAddr) -> bool {
    if address.is_unspecified() {
        return true;
    }
    match scope {
        NodePortScope::Everywhere => !address.is_loopback(),
        NodePortScope::Address(served) => *served == address,
        NodePortScope::Within(networks) => {
            !address.is_loopback() && networks.iter().any(|network| network.contains(&address))
        }
    }
}

impl Watcher {
    async fn run(mut self, mut changes: watch::Receiver<Served>) {
        loop {
            let served = changes.borrow_and_update().clone();
            if !served.ports.is_empty() || !self.known.is_empty() {
                // It reads from a socket that never waits, but may have much to read.
                if let Ok(sockets) = spawn_blocking(listening_sockets).await {
                    self.look(&served, sockets);
                }
                sleep(PAUSE).await;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                () = sleep(PERIOD) => {}
            }
        }
    }

    fn look(&mut self, served: &Served, sockets: Result<Vec<ListeningSocket>, Error>) {
        let sockets = match sockets {
            Ok(sockets) => sockets,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let reason = with_causes(&error);
                    warn!(
                        reason,
                        "cannot tell whether processes of this node listen on node ports; does the kernel have the modules tcp_diag and udp_diag?"
                    );
                }
                return;
            }
        };
        self.failing = false;
        let taken = served.taken(&sockets, &self.own);
        let mut appeared = 0;
        for (collision, socket) in &taken {
            if !self.known.contains_key(collision) {
                appeared += 1;
                self.recorder
                    .record(collision.event(&self.node_name, *socket));
            }
        }
        for Collision { service, port, .. } in self.known.keys() {
            if !taken
                .keys()
                .any(|it| it.service == *service && it.port == *port)
            {
                info!(%service, port, "no process of this node listens on the node port any more");
            }
        }
        let [before, now] = [self.known.len(), taken.len()];
        self.problems
            .changed("Service", Reason::PortInUse, before, now, appeared);
        self.known = taken;
    }
}

impl Collision {
    fn event(&self, node: &str, socket: SocketAddr) -> ObjectEvent {
        let port = self.port;
        let (name, flag) = match self.protocol {
            Protocol::Udp => ("UDP", 'u'),
            _ => ("TCP", 't'),
        };
        ObjectEvent {
            regarding: ObjectRef {
                kind: "Service",
                name: self.service.clone(),
            },
            severity: Severity::Warning,
            reason: Reason::PortInUse.as_str(),
            action: "Listen",
            note: format!(
                "node {node}: a process listens on {name} {socket}, where this Service has its nodePort \
                 {port}: what clients send to the node's addresses there goes to the Service, not to \
                 the process; see which it is with `ss -l{flag}np 'sport = :{port}'`"
            ),
        }
    }
}
