//! What can happen to a small cluster whose Services want each other's addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use fairway_model::{
    Affinity, Balance, Changes, Conditions, Endpoint, Hints, Node, ObjectName, Port, Protocol,
    Service, ServiceKind, ServicePort, Snapshot, TrafficPolicy, Weight, Weighted, Weights,
};
use fairway_plan::{LocalPods, Options};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// What happens between two looks at the tables.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Objects change, all in one update.
    Change(Vec<Object>),
    /// The agent ends, and the next one starts.
    Restart,
    /// Somebody flushes the ruleset.
    Flush,
}

/// The new state of one object.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Service(u8, Box<Wanted>),
    /// The endpoints of a Service's first port, all else being as it was.
    Endpoints(u8, Vec<Wish>),
    Deleted(u8),
    Node(Box<Node>),
}

/// What is asked for by a Service.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    created: i64,
    kind: Kind,
    dual_stack: bool,
    cluster_ip: u8,
    load_balancer: Option<u8>,
    external: Option<u8>,
    internal_policy: TrafficPolicy,
    external_policy: TrafficPolicy,
    source_ranges: Vec<&'static str>,
    affinity: Affinity,
    balance: Balance,
    /// Of some hosts, in IPv4.
    weight: Option<u8>,
    ports: Vec<WantedPort>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Proxied,
    ProxiedElsewhere,
    Headless,
    ExternalName,
}

#[derive(Clone, Debug)]
struct WantedPort {
    protocol: Protocol,
    number: u16,
    node_port: Option<u16>,
    endpoints: Vec<Wish>,
}

/// An endpoint: its number says where it runs and how it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    host: u8,
    port: u16,
    conditions: Conditions,
    hint: Option<&'static str>,
}

/// Services there are; fewer than the addresses they want would be boring, more would be slow.
const SERVICES: u8 = 12;
const RANGES: [&str; 6] = [
    "203.0.113.0/24",
    "203.0.113.0/25",
    "192.0.2.0/24",
    "0.0.0.0/0",
    "fd00::/8",
    "fd00:1::/32",
];

pub(crate) fn options() -> Options {
    let networks = ["10.244.0.0/16", "fd00:10:244::/48"];
    Options {
        local_pods: LocalPods::ClusterCidr(parsed(&networks)),
        count_connections: true,
        ..Options::default()
    }
}

/// A history of some thirty steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => vec(object(), 1..8).prop_map(Step::Change),
        1 => Just(Step::Restart),
        1 => Just(Step::Flush),
    ];
    vec(step, 1..64)
}

impl Step {
    /// How many objects it changes.
    pub(crate) fn objects(&self) -> usize {
        match self {
            Self::Change(objects) => objects.len(),
            Self::Restart | Self::Flush => 0,
        }
    }
}

impl Object {
    pub(crate) fn apply(self, snapshot: &mut Snapshot, changes: &mut Changes) {
        let (number, service) = match self {
            Self::Node(node) => {
                snapshot.node = Arc::new(*node);
                changes.node = true;
                return;
            }
            Self::Deleted(number) => (number, None),
            Self::Service(number, wanted) => (number, Some(wanted.service(number))),
            Self::Endpoints(number, wishes) => {
                let service = snapshot.services.get(&name(number));
                let service = service.map(|service| {
                    let mut service = Service::clone(service);
                    if let Some(port) = service.ports.first_mut() {
                        port.endpoints = endpoints(&wishes);
                    }
                    service
                });
                (number, service)
            }
        };
        let name = name(number);
        match service {
            Some(service) => snapshot
                .services
                .insert_mut(name.clone(), Arc::new(service)),
            None => {
                snapshot.services.remove_mut(&name);
            }
        }
        changes.services.insert(name);
    }
}

impl Wanted {
    fn service(&self, number: u8) -> Service {
        let both = |v4: [u8; 4]| {
            let [_, _, _, last] = v4;
            let v6 = IpAddr::from([0xfd00, v4[0].into(), v4[1].into(), 0, 0, 0, 0, last.into()]);
            let mut addresses = vec![IpAddr::from(v4), v6];
            addresses.truncate(1 + usize::from(self.dual_stack));
            addresses
        };
        let some = |v4: Option<[u8; 4]>| v4.map(both).unwrap_or_default();
        Service {
            created: self.created,
            kind: match self.kind {
                Kind::ExternalName => ServiceKind::ExternalName("example.com".into()),
                _ => ServiceKind::LoadBalancer,
            },
            proxied_elsewhere: matches!(self.kind, Kind::ProxiedElsewhere),
            cluster_ips: match self.kind {
                Kind::Headless => Vec::new(),
                _ => both([10, 96, 0, self.cluster_ip]),
            },
            load_balancer_ips: some(self.load_balancer.map(|last| [198, 51, 100, last])),
            external_ips: some(self.external.map(|last| [198, 51, 100, last])),
            source_ranges: parsed(&self.source_ranges),
            internal_policy: self.internal_policy,
            external_policy: self.external_policy,
            affinity: self.affinity,
            balance: self.balance,
            weights: Weights(self.weight.map(weight).into_iter().collect()),
            ports: self.ports.iter().map(WantedPort::port).collect(),
            ..Service::new(name(number))
        }
    }
}

impl WantedPort {
    fn port(&self) -> ServicePort {
        ServicePort {
            name: format!("{}-{}", self.protocol, self.number).into(),
            node_port: self.node_port.map(port),
            endpoints: endpoints(&self.endpoints),
            ..ServicePort::new(self.protocol, port(self.number))
        }
    }
}

/// As they come from slices: of both families, sorted, each once.
fn endpoints(wishes: &[Wish]) -> Arc<[Endpoint]> {
    let mut endpoints: Vec<Endpoint> = wishes.iter().flat_map(Wish::endpoints).collect();
    endpoints.sort_by_key(Endpoint::socket_address);
    endpoints.dedup_by_key(|endpoint| endpoint.socket_address());
    endpoints.into()
}

impl Wish {
    fn endpoints(&self) -> [Endpoint; 2] {
        let addresses = [
            IpAddr::from([10, 244, 1, self.host]),
            IpAddr::from([0xfd00, 0x10, 0x244, 1, 0, 0, 0, self.host.into()]),
        ];
        addresses.map(|address| Endpoint {
            conditions: self.conditions,
            // A third is on the node, and of some nobody knows.
            node: match self.host % 4 {
                0 => None,
                1 => Some("node-1".into()),
                _ => Some("node-2".into()),
            },
            hints: self.hint.map(|hint| {
                let (zones, nodes) = match hint.strip_prefix("node-") {
                    None => (vec![hint.into()], Vec::new()),
                    Some(_) => (vec!["a".into()], vec![hint.into()]),
                };
                Box::new(Hints { zones, nodes })
            }),
            ..Endpoint::ready(address, port(self.port))
        })
    }
}

fn object() -> impl Strategy<Value = Object> {
    let number = || 0..SERVICES;
    prop_oneof![
        6 => (number(), wanted()).prop_map(|(number, wanted)| Object::Service(number, Box::new(wanted))),
        10 => (number(), wishes()).prop_map(|(number, wishes)| Object::Endpoints(number, wishes)),
        3 => number().prop_map(Object::Deleted),
        1 => node().prop_map(|node| Object::Node(Box::new(node))),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let kind = prop_oneof![
        12 => Just(Kind::Proxied),
        1 => Just(Kind::ProxiedElsewhere),
        1 => Just(Kind::Headless),
        1 => Just(Kind::ExternalName),
    ];
    let policy = || prop_oneof![Just(TrafficPolicy::Cluster), Just(TrafficPolicy::Local)];
    let address = || 1..SERVICES;
    let addresses = (address(), option::of(address()), option::of(address()));
    let ranges = prop_oneof![
        2 => Just(vec![]),
        1 => subsequence(RANGES.to_vec(), 1..=RANGES.len()),
    ];
    let affinity = prop_oneof![
        3 => Just(Affinity::None),
        1 => select(vec![10, 10_800])
            .prop_map(|timeout_seconds| Affinity::ClientIp { timeout_seconds }),
    ];
    // Seldom, for hundreds of slots take their time.
    let balance = prop_oneof![
        100 => Just(Balance::Random),
        1 => Just(Balance::Maglev),
        1 => Just(Balance::MaglevConnection),
    ];
    let weight = prop_oneof![6 => Just(None), 1 => select(vec![0, 2, 3]).prop_map(Some)];
    let choice = (affinity, balance, weight);
    let shape = (0_i64..4, kind, any::<bool>(), choice);
    (shape, addresses, policy(), policy(), ranges, ports()).prop_map(
        |(shape, addresses, internal_policy, external_policy, source_ranges, ports)| Wanted {
            created: shape.0,
            kind: shape.1,
            dual_stack: shape.2,
            affinity: shape.3.0,
            balance: shape.3.1,
            weight: shape.3.2,
            cluster_ip: addresses.0,
            load_balancer: addresses.1,
            external: addresses.2,
            internal_policy,
            external_policy,
            source_ranges,
            ports,
        },
    )
}

/// No two with the same protocol and number: the index leaves the second one out.
fn ports() -> impl Strategy<Value = Vec<WantedPort>> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let kinds = btree_set((protocol, select(vec![53_u16, 80])), 1..4);
    let rest = vec((option::of(30_000_u16..30_012), wishes()), 3);
    (kinds, rest).prop_map(|(kinds, rest)| {
        let mut node_ports = BTreeSet::new();
        let ports = kinds.into_iter().zip(rest);
        ports
            .map(|((protocol, number), (node_port, endpoints))| WantedPort {
                protocol,
                number,
                node_port: node_port.filter(|number| node_ports.insert((protocol, *number))),
                endpoints,
            })
            .collect()
    })
}

/// From nobody to more than the largest class of a map of its own.
fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let conditions = prop_oneof![
        8 => Just(Conditions::READY),
        1 => Just(Conditions { ready: false, serving: true, terminating: true }),
        1 => Just(Conditions { ready: false, serving: false, terminating: false }),
    ];
    let hint = prop_oneof![
        6 => Just(None),
        3 => select(vec!["a", "b", "node-1", "node-2"]).prop_map(Some),
    ];
    let port = prop_oneof![9 => Just(8080), 1 => Just(8081)];
    let wish = (1_u8..40, port, conditions, hint);
    let wish = wish.prop_map(|(host, port, conditions, hint)| Wish {
        host,
        port,
        conditions,
        hint,
    });
    prop_oneof![6 => vec(wish.clone(), 0..5), 1 => vec(wish, 5..40)]
}

fn node() -> impl Strategy<Value = Node> {
    let zone = option::of(select(vec!["a", "b"]));
    let cidrs = subsequence(
        vec!["10.96.0.0/16", "10.97.0.0/16", "fd00:a60::/112"],
        0..=3,
    );
    (zone, cidrs, 0_usize..3).prop_map(|(zone, cidrs, addresses)| Node {
        name: "node-1".into(),
        zone: zone.map(Into::into),
        addresses: parsed(&["192.0.2.2", "fd00:172::2"][..addresses]),
        service_cidrs: parsed(&cidrs),
        ..Node::default()
    })
}

fn parsed<T: std::str::FromStr>(texts: &[&str]) -> Vec<T>
where
    T::Err: std::fmt::Debug,
{
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Of sixteen hosts; the others have 1.
fn weight(weight: u8) -> Weight {
    Weight {
        of: Weighted::Network("10.244.1.16/28".parse().unwrap()),
        weight,
    }
}

fn name(number: u8) -> ObjectName {
    ObjectName::new("default", format!("service-{number}"))
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}
