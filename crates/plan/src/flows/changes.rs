use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fairway_model::{Changes, Endpoint, Node, ObjectName, Protocol, Service, Snapshot};

use super::NodePortDestination;
use crate::frontend::{Claims, Frontend};
use crate::{Family, Observed, SetName};

/// Who may answer at the frontends that changed.
#[derive(Clone, Debug, Default)]
pub struct FlowChanges {
    pub(super) frontends: HashMap<Frontend, FrontendChange>,
    pub(super) scope: Arc<NodePortDestination>,
}

#[derive(Clone, Debug)]
pub(super) struct FrontendChange {
    pub(super) answerers: Answerers,
    /// Flows may have become stale by it. Otherwise it is news only to who is looking already.
    pub(super) leaves_stale: bool,
    /// Who answered until now.
    pub(super) gone: Vec<SocketAddr>,
}

/// Endpoints whose flows are healthy, sorted.
pub(super) type Answerers = Arc<[SocketAddr]>;

type Exposure = BTreeMap<Frontend, Answerers>;

/// What decides about flows beside the Services.
pub(crate) struct Context<'a> {
    pub(crate) family: Family,
    pub(crate) node: &'a Node,
    pub(crate) claims: &'a Claims,
    pub(crate) scope: NodePortDestination,
    /// UDP always; TCP if connections to removed endpoints are reset.
    pub(crate) protocols: &'a [Protocol],
}

impl FlowChanges {
    /// Whether nothing changed that concerns flows.
    pub fn is_empty(&self) -> bool {
        self.frontends.is_empty()
    }

    /// What the Services that changed mean for flows.
    pub(crate) fn between(
        context: Context<'_>,
        old: &Snapshot,
        new: &Snapshot,
        changes: &Changes,
    ) -> Self {
        let mut frontends = HashMap::new();
        for name in &changes.services {
            let [before, after] = [old, new].map(|snapshot| match snapshot.services.get(name) {
                Some(service) => context.exposure(service),
                None => Exposure::new(),
            });
            let all: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
            for frontend in all {
                let nobody = Answerers::from([]);
                let before = before.get(&frontend);
                let contested = context.claims.is_contested(&frontend);
                if before == after.get(&frontend) && !contested {
                    continue;
                }
                let hidden = context.hidden_node_port(&frontend);
                let owner = |frontend| context.claims.owner(frontend);
                let (at, owner) = match (owner(&frontend), &hidden) {
                    (None, Some(node_port)) => (*node_port, owner(node_port)),
                    (owner, _) => (frontend, owner),
                };
                let answerers = match owner {
                    // Its endpoints are not gone with it.
                    None if frontend.protocol() == Protocol::Tcp => continue,
                    None => nobody.clone(),
                    Some(owner) if owner == name => {
                        after.get(&at).cloned().unwrap_or(nobody.clone())
                    }
                    Some(owner) => context.answerers(new, owner, &at),
                };
                // Somebody else may have had it before.
                let leaves_stale = hidden.is_some()
                    || contested
                    || leaves_stale(before.unwrap_or(&nobody), &answerers, &frontend);
                let before = before.map_or(&[][..], |before| before);
                let gone = before
                    .iter()
                    .filter(|it| answerers.binary_search(it).is_err());
                let gone = gone.copied().collect();
                context.add(&mut frontends, new, frontend, answerers, leaves_stale, gone);
            }
        }
        Self {
            frontends,
            scope: Arc::new(context.scope),
        }
    }

    /// Every flow is to be looked at: when not all is known of the past. What was `observed` in the
    /// kernel tells of frontends that nobody has any more.
    pub(crate) fn everything(
        context: Context<'_>,
        snapshot: &Snapshot,
        observed: &Observed,
    ) -> Self {
        let mut frontends = HashMap::new();
        for service in snapshot.services.values() {
            for (frontend, answerers) in context.exposure(service) {
                if context.claims.owner(&frontend) == Some(&service.name) {
                    context.add(
                        &mut frontends,
                        snapshot,
                        frontend,
                        answerers,
                        true,
                        Vec::new(),
                    );
                }
            }
        }
        let sets = observed.sets.iter();
        let maps = sets.filter(|set| set.ours.and_then(SetName::slots).is_some());
        for element in maps.flat_map(|set| &set.elements) {
            let known = Frontend::of_key(context.family, element);
            let Some(frontend) = known.filter(|it| it.protocol() == Protocol::Udp) else {
                continue;
            };
            frontends.entry(frontend).or_insert(FrontendChange {
                answerers: Arc::from([]),
                leaves_stale: true,
                gone: Vec::new(),
            });
        }
        Self {
            frontends,
            scope: Arc::new(context.scope),
        }
    }
}

impl Context<'_> {
    /// What a Service asks for, and who answers there.
    fn exposure(&self, service: &Service) -> Exposure {
        let mut ports = service.ports.iter();
        if !ports.any(|port| self.protocols.contains(&port.protocol)) {
            return Exposure::new();
        }
        let mut by_port = HashMap::new();
        let exposed = Frontend::of(service, self.family).into_iter();
        let exposed = exposed.filter(|it| self.protocols.contains(&it.port.protocol));
        exposed
            .map(|it| {
                let answerers = by_port
                    .entry((it.port.protocol, it.port.port))
                    .or_insert_with(|| {
                        answerers(&it.port.endpoints, self.family, it.port.protocol)
                    });
                (it.frontend, answerers.clone())
            })
            .collect()
    }

    fn answerers(
        &self,
        snapshot: &Snapshot,
        service: &ObjectName,
        frontend: &Frontend,
    ) -> Answerers {
        let service = snapshot.services.get(service);
        let exposure = service.map(|service| self.exposure(service));
        let answerers = exposure.and_then(|mut exposure| exposure.remove(frontend));
        answerers.unwrap_or_default()
    }

    /// An external address that is also the node's goes before its node port, and leaves to it what
    /// it had when it goes.
    fn hidden_node_port(&self, frontend: &Frontend) -> Option<Frontend> {
        let Frontend::Address(address, protocol, port) = *frontend else {
            return None;
        };
        let node_port = Frontend::NodePort(protocol, port);
        let is_hidden = self.has_node_ports(&address) && self.claims.owner(&node_port).is_some();
        is_hidden.then_some(node_port)
    }

    fn has_node_ports(&self, address: &IpAddr) -> bool {
        let ours = Family::of(*address) == self.family && self.node.addresses.contains(address);
        ours && self.scope.covers(*address, |_| true)
    }

    fn add(
        &self,
        frontends: &mut HashMap<Frontend, FrontendChange>,
        snapshot: &Snapshot,
        frontend: Frontend,
        answerers: Answerers,
        leaves_stale: bool,
        gone: Vec<SocketAddr>,
    ) {
        let mut insert = |frontend, answerers| {
            let change = frontends.entry(frontend).or_insert(FrontendChange {
                answerers,
                leaves_stale,
                gone: Vec::new(),
            });
            change.leaves_stale |= leaves_stale;
            change.gone.extend(&gone);
        };
        insert(frontend, answerers.clone());
        let Frontend::NodePort(protocol, port) = frontend else {
            return;
        };
        let addresses = self.node.addresses.iter();
        for address in addresses.filter(|address| self.has_node_ports(address)) {
            let external = Frontend::Address(*address, protocol, port);
            match self.claims.owner(&external) {
                Some(owner) => insert(external, self.answerers(snapshot, owner, &external)),
                None => insert(external, answerers.clone()),
            }
        }
    }
}

/// A UDP flow is healthy while its endpoint serves, whatever policies say of new ones. A TCP connection
/// is left alone until its endpoint is gone altogether: it knows itself when the other end dies.
fn answerers(endpoints: &[Endpoint], family: Family, protocol: Protocol) -> Answerers {
    let of_family = endpoints
        .iter()
        .filter(|endpoint| Family::of(endpoint.address) == family);
    let mut answerers: Vec<_> = of_family
        .filter(|endpoint| {
            let conditions = endpoint.conditions;
            protocol == Protocol::Tcp || conditions.serving || conditions.ready
        })
        .map(Endpoint::socket_address)
        .collect();
    answerers.sort_unstable();
    answerers.into()
}

/// Whether a flow from before may be stale now: to an endpoint that is gone or, with the first endpoint,
/// to none. Only UDP can be sent without being answered.
fn leaves_stale(before: &[SocketAddr], now: &[SocketAddr], frontend: &Frontend) -> bool {
    let gone = before.iter().any(|it| now.binary_search(it).is_err());
    let first = before.is_empty() && !now.is_empty() && frontend.protocol() != Protocol::Tcp;
    gone || first
}
