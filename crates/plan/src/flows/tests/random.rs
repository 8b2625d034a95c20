//! Random histories of Services, and of flows that begin meanwhile, against a naive reading of both.

use super::*;

/// Neither a frontend nor the node's.
const ELSEWHERE: [u8; 4] = [198, 51, 100, 1];

#[derive(Clone, Debug)]
enum Step {
    /// A Service is written, or deleted.
    Service(u8, Option<Spec>),
    /// A flow begins.
    Flow { to: usize, draw: usize },
    /// Somebody else's flow, which looks like one to a node port.
    Stranger { translated: bool },
    /// All flows are looked at.
    Look,
}

#[derive(Clone, Debug)]
struct Spec {
    created: i64,
    ip: u8,
    /// The node's own address among others.
    externals: Vec<u8>,
    port: Port,
    node_port: bool,
    endpoints: Vec<(u8, u8)>,
}

fn spec() -> impl Strategy<Value = Spec> {
    let endpoints = prop::collection::btree_map(1..4_u8, 0..4_u8, 0..3);
    let externals = prop::collection::btree_set(0..2_u8, 0..2);
    let port = prop_oneof![Just(DNS), Just(NODE_PORT)];
    let rest = (prop::bool::ANY, endpoints);
    (0..3_i64, 0..3_u8, externals, port, rest).prop_map(
        |(created, ip, externals, port, (node_port, endpoints))| Spec {
            created,
            ip,
            externals: externals.into_iter().collect(),
            port,
            node_port,
            endpoints: endpoints.into_iter().collect(),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8, prop::option::weighted(0.8, spec()))
            .prop_map(|(name, spec)| Step::Service(name, spec)),
        5 => (any::<usize>(), any::<usize>()).prop_map(|(to, draw)| Step::Flow { to, draw }),
        1 => prop::bool::ANY.prop_map(|translated| Step::Stranger { translated }),
        2 => Just(Step::Look),
    ]
}

impl Spec {
    fn service(&self, name: &ObjectName) -> Service {
        let external = |which: &u8| match which {
            0 => NODE.into(),
            _ => [203, 0, 113, 1].into(),
        };
        let endpoint = |(host, condition): &(u8, u8)| match condition {
            0 => unready(*host),
            1 => draining(*host),
            _ => endpoint(*host),
        };
        Service {
            created: self.created,
            cluster_ips: vec![[10, 96, 0, self.ip].into()],
            external_ips: self.externals.iter().map(external).collect(),
            ports: vec![ServicePort {
                node_port: self.node_port.then_some(NODE_PORT),
                endpoints: self.endpoints.iter().map(endpoint).collect(),
                ..ServicePort::new(Protocol::Udp, self.port)
            }],
            ..Service::new(name.clone())
        }
    }

    fn serving(&self) -> Vec<SocketAddr> {
        let serving = self
            .endpoints
            .iter()
            .filter(|(_, condition)| *condition > 0);
        serving
            .map(|(host, _)| endpoint(*host).socket_address())
            .collect()
    }
}

/// Who serves at a destination, read off the Services one by one; None for nobody's.
fn serving(services: &BTreeMap<ObjectName, Spec>, to: SocketAddr) -> Option<Vec<SocketAddr>> {
    let oldest = |claims: &dyn Fn(&Service) -> bool| {
        let claiming = services
            .iter()
            .filter(|(name, spec)| claims(&spec.service(name)));
        let owner = claiming.min_by_key(|(name, spec)| (spec.created, (*name).clone()));
        owner.map(|(_, spec)| spec.serving())
    };
    let at_address = oldest(&|service| {
        let addresses = service.cluster_ips.iter().chain(&service.external_ips);
        let port = service.ports[0].port.get();
        addresses
            .into_iter()
            .any(|address| SocketAddr::new(*address, port) == to)
    });
    let at_node_port = || {
        let is_node_port = to == SocketAddr::new(NODE.into(), NODE_PORT.get());
        oldest(&|service| is_node_port && service.ports[0].node_port.is_some())
    };
    at_address.or_else(at_node_port)
}

fn is_stale(services: &BTreeMap<ObjectName, Spec>, flow: &Flow) -> bool {
    // What others do at addresses that nobody here ever had is none of our business.
    if flow.destination.ip() == IpAddr::from(ELSEWHERE) {
        return false;
    }
    match serving(services, flow.destination) {
        Some(serving) if !serving.is_empty() => !serving.contains(&flow.answered_from),
        _ => flow.translated,
    }
}

fn destinations() -> Vec<SocketAddr> {
    let addresses = [
        [10, 96, 0, 0],
        [10, 96, 0, 1],
        [10, 96, 0, 2],
        [203, 0, 113, 1],
        NODE,
    ];
    let ports = [DNS, NODE_PORT];
    let each = addresses
        .into_iter()
        .flat_map(|address| ports.map(|port| (address, port)));
    each.map(|(address, port)| SocketAddr::new(address.into(), port.get()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn just_the_stale_flows_go(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::running(&[]);
        let mut services = BTreeMap::new();
        let mut flows: Vec<Flow> = Vec::new();
        for step in steps.into_iter().chain([Step::Look]) {
            match step {
                Step::Service(number, spec) => {
                    let name = ObjectName::new("default", format!("service-{number}"));
                    bench.update(&name, spec.as_ref().map(|spec| spec.service(&name)));
                    match spec {
                        Some(spec) => services.insert(name, spec),
                        None => services.remove(&name),
                    };
                }
                Step::Flow { to, draw } => {
                    let destinations = destinations();
                    let destination = destinations[to % destinations.len()];
                    let answered_from = match serving(&services, destination) {
                        None => destination,
                        // Refused: no flow comes to be.
                        Some(serving) if serving.is_empty() => continue,
                        Some(serving) => serving[draw % serving.len()],
                    };
                    flows.push(Flow {
                        protocol: Protocol::Udp,
                        destination,
                        answered_from,
                        translated: answered_from != destination,
                    });
                }
                Step::Stranger { translated } => {
                    flows.push(udp(ELSEWHERE, NODE_PORT, translated.then_some(7)));
                }
                Step::Look => {
                    let scope = bench.checks.scope();
                    let condemned = |flow: &Flow| match bench.verdict(flow) {
                        Verdict::Keep => false,
                        Verdict::Stale => true,
                        Verdict::StaleOnNodePort => {
                            scope.covers(flow.destination.ip(), |address| address == IpAddr::from(NODE))
                        }
                    };
                    for flow in &flows {
                        prop_assert_eq!(condemned(flow), is_stale(&services, flow), "{:?}", flow);
                    }
                    flows.retain(|flow| !condemned(flow));
                    for _ in 0..2 {
                        bench.look();
                    }
                    prop_assert!(!bench.checks.is_due());
                }
            }
        }
    }
}
