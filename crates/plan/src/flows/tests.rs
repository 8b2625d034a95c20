use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::*;
use proptest::prelude::*;

use super::*;
use crate::{
    Bytes, Element, Family, HashedBy, MaglevTable, Observed, ObservedSet, Options, Planner,
    SetName, SlotClass, TableSize,
};

mod random;

const NODE: [u8; 4] = [172, 18, 0, 11];
const DNS: Port = Port::new(53).unwrap();
const NODE_PORT: Port = Port::new(30053).unwrap();

fn endpoint(host: u8) -> Endpoint {
    Endpoint::ready([10, 244, 1, host].into(), Port::new(5353).unwrap())
}

fn draining(host: u8) -> Endpoint {
    let mut endpoint = endpoint(host);
    endpoint.conditions = Conditions {
        ready: false,
        serving: true,
        terminating: true,
    };
    endpoint
}

fn unready(host: u8) -> Endpoint {
    let mut endpoint = endpoint(host);
    endpoint.conditions.ready = false;
    endpoint.conditions.serving = false;
    endpoint
}

fn dns(protocol: Protocol, endpoints: &[Endpoint]) -> Service {
    Service {
        cluster_ips: vec![[10, 96, 0, 10].into()],
        ports: vec![ServicePort {
            node_port: Some(NODE_PORT),
            endpoints: endpoints.into(),
            ..ServicePort::new(protocol, DNS)
        }],
        ..Service::new(ObjectName::new("kube-system", "dns"))
    }
}

/// A planner, what it planned, and what is being looked for.
struct Bench {
    planner: Planner,
    snapshot: Snapshot,
    checks: FlowChecks,
}

impl Bench {
    fn new(observed: &Observed, services: &[Service]) -> Self {
        Self::with(Options::default(), observed, services)
    }

    fn with(options: Options, observed: &Observed, services: &[Service]) -> Self {
        let mut snapshot = Snapshot {
            node: Arc::new(Node {
                name: "node-1".into(),
                addresses: vec![NODE.into()],
                ..Node::default()
            }),
            ..Snapshot::default()
        };
        for service in services {
            let service = Arc::new(service.clone());
            snapshot.services.insert_mut(service.name.clone(), service);
        }
        let nothing = Observed::default();
        let (planner, _) = Planner::start(options, &snapshot, [observed, &nothing]);
        Self {
            planner,
            snapshot,
            checks: FlowChecks::default(),
        }
    }

    fn running(services: &[Service]) -> Self {
        Self::new(&Observed::default(), services)
    }

    /// The changes of one update, which takes effect.
    fn change(&mut self, name: &ObjectName, service: Option<Service>) -> FlowChanges {
        let old = self.snapshot.clone();
        match service {
            Some(service) => self
                .snapshot
                .services
                .insert_mut(name.clone(), Arc::new(service)),
            None => {
                self.snapshot.services.remove_mut(name);
            }
        }
        let changes = Changes {
            services: [name.clone()].into(),
            ..Changes::default()
        };
        self.planner.update(&self.snapshot, &changes);
        self.planner
            .flow_changes(Family::Ip4, &old, &self.snapshot, &changes)
    }

    fn update(&mut self, name: &ObjectName, service: Option<Service>) -> bool {
        let changes = self.change(name, service);
        self.checks.hold(&changes);
        self.checks.check(changes, Instant::now())
    }

    /// When everything has been answered that could be.
    fn verdict(&self, flow: &Flow) -> Verdict {
        let late = Instant::now() + Duration::from_secs(60);
        self.checks.verdict(flow, late)
    }

    fn set(&mut self, service: Service) -> bool {
        self.update(&service.name.clone(), Some(service))
    }

    fn look(&mut self) {
        let round = self.checks.round();
        self.checks.finish(&round);
    }
}

fn udp(destination: impl Into<IpAddr>, port: Port, endpoint: Option<u8>) -> Flow {
    let destination = SocketAddr::new(destination.into(), port.get());
    let answered_from = endpoint.map(|host| self::endpoint(host).socket_address());
    Flow {
        protocol: Protocol::Udp,
        destination,
        answered_from: answered_from.unwrap_or(destination),
        translated: endpoint.is_some(),
    }
}

fn to_cluster_ip(endpoint: Option<u8>) -> Flow {
    udp([10, 96, 0, 10], DNS, endpoint)
}

#[test]
fn flows_to_an_endpoint_that_is_gone_are_stale() {
    let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1), endpoint(2)])]);
    assert!(bench.set(dns(Protocol::Udp, &[endpoint(2), endpoint(3)])));
    let verdict = |host| bench.verdict(&to_cluster_ip(host));
    assert_eq!(verdict(Some(1)), Verdict::Stale);
    assert_eq!(verdict(Some(2)), Verdict::Keep);
    assert_eq!(verdict(Some(3)), Verdict::Keep);
    assert_eq!(verdict(None), Verdict::Stale);
    let at = |address: [u8; 4]| bench.verdict(&udp(address, NODE_PORT, Some(1)));
    assert_eq!(at(NODE), Verdict::Stale);
    assert_eq!(at([172, 18, 0, 99]), Verdict::StaleOnNodePort);
    let tcp = Flow {
        protocol: Protocol::Tcp,
        ..to_cluster_ip(Some(1))
    };
    assert_eq!(bench.verdict(&tcp), Verdict::Keep);
}

#[test]
fn what_an_endpoint_has_answered_already_finds_back() {
    let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1), endpoint(2)])]);
    let start = Instant::now();
    let after = |milliseconds| start + Duration::from_millis(milliseconds);
    for (endpoints, at) in [
        (&[endpoint(2), endpoint(3)], 0),
        (&[endpoint(3), endpoint(4)], 800),
    ] {
        let service = dns(Protocol::Udp, endpoints);
        let changes = bench.change(&service.name.clone(), Some(service));
        bench.checks.check(changes, after(at));
    }
    let verdict = |host, at| bench.checks.verdict(&to_cluster_ip(Some(host)), after(at));
    assert_eq!(verdict(1, 990), Verdict::Keep);
    assert_eq!(verdict(1, 1010), Verdict::Stale);
    assert_eq!(verdict(2, 1790), Verdict::Keep, "it went later");
    assert_eq!(verdict(2, 1810), Verdict::Stale);
    assert_eq!(verdict(9, 0), Verdict::Stale, "it never answered");
}

#[test]
fn who_serves_while_terminating_keeps_its_flows_and_who_is_not_ready_does_not() {
    let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1), endpoint(2)])]);
    assert!(!bench.set(dns(Protocol::Udp, &[draining(1), endpoint(2)])));
    assert!(bench.set(dns(Protocol::Udp, &[draining(1), unready(2), endpoint(3)])));
    let verdict = |host| bench.verdict(&to_cluster_ip(host));
    assert_eq!(verdict(Some(1)), Verdict::Keep);
    assert_eq!(verdict(Some(2)), Verdict::Stale);
}

#[test]
fn tcp_connections_are_looked_for_on_request_once_their_endpoint_is_gone() {
    let running = |services: &[Service]| {
        let options = Options {
            reset_removed_endpoints: true,
            ..Options::default()
        };
        Bench::with(options, &Observed::default(), services)
    };
    let service = |endpoints: &[Endpoint]| dns(Protocol::Tcp, endpoints);
    let before = [service(&[endpoint(1), endpoint(2)])];
    let mut bench = running(&before);
    let tcp = |flow| Flow {
        protocol: Protocol::Tcp,
        ..flow
    };
    // Its conditions are the connection's own business, and the first endpoint is nobody's loss.
    assert!(!bench.set(service(&[draining(1), unready(2), endpoint(3)])));
    assert!(bench.set(service(&[unready(2), endpoint(3)])));
    let verdict = |bench: &Bench, host| bench.verdict(&tcp(to_cluster_ip(host)));
    assert_eq!(verdict(&bench, Some(1)), Verdict::Stale);
    assert_eq!(verdict(&bench, Some(2)), Verdict::Keep);
    assert_eq!(verdict(&bench, None), Verdict::Keep);
    let node_port = tcp(udp(NODE, NODE_PORT, Some(1)));
    assert_eq!(bench.verdict(&node_port), Verdict::Stale);
    assert!(bench.set(service(&[])));
    assert_eq!(verdict(&bench, Some(3)), Verdict::Stale);
    // With the Service its endpoints need not be gone.
    let mut bench = running(&before);
    assert!(!bench.update(&ObjectName::new("kube-system", "dns"), None));
    assert_eq!(verdict(&bench, Some(1)), Verdict::Keep);
}

#[test]
fn what_leaves_nothing_behind_is_not_looked_for() {
    let mut bench = Bench::running(&[
        dns(Protocol::Udp, &[endpoint(1)]),
        Service {
            cluster_ips: vec![[10, 96, 0, 11].into()],
            ..Service::new(ObjectName::new("default", "other"))
        },
    ]);
    // One more, the same again, TCP, SCTP, a Service without endpoints.
    assert!(!bench.set(dns(Protocol::Udp, &[endpoint(1), endpoint(2)])));
    assert!(!bench.set(dns(Protocol::Udp, &[endpoint(1), endpoint(2)])));
    let other = |protocol, endpoints: &[Endpoint]| {
        let mut service = Service {
            name: ObjectName::new("default", "other"),
            cluster_ips: vec![[10, 96, 0, 11].into()],
            ..dns(protocol, endpoints)
        };
        service.ports[0].node_port = None;
        service
    };
    for protocol in [Protocol::Tcp, Protocol::Sctp] {
        for endpoints in [&[endpoint(1)][..], &[endpoint(2)], &[]] {
            assert!(!bench.set(other(protocol, endpoints)));
        }
    }
    assert!(!bench.set(other(Protocol::Udp, &[])));
    assert!(!bench.checks.is_due());
    assert!(bench.set(other(Protocol::Udp, &[endpoint(1)])));
}

#[test]
fn without_endpoints_only_translated_flows_are_stale() {
    for gone in [Some(dns(Protocol::Udp, &[])), None] {
        let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1)])]);
        let name = ObjectName::new("kube-system", "dns");
        assert!(bench.update(&name, gone));
        let verdict = |host| bench.verdict(&to_cluster_ip(host));
        assert_eq!(verdict(Some(1)), Verdict::Stale);
        assert_eq!(verdict(None), Verdict::Keep);
    }
}

#[test]
fn an_external_address_of_the_node_goes_before_its_node_port() {
    let external = Service {
        name: ObjectName::new("default", "external"),
        cluster_ips: vec![[10, 96, 0, 11].into()],
        external_ips: vec![NODE.into()],
        ports: vec![ServicePort {
            endpoints: [endpoint(9)].into(),
            ..ServicePort::new(Protocol::Udp, NODE_PORT)
        }],
        ..Service::new(ObjectName::new("default", "external"))
    };
    let mut bench = Bench::running(&[external, dns(Protocol::Udp, &[endpoint(1)])]);
    assert!(bench.set(dns(Protocol::Udp, &[endpoint(2)])));
    let verdict = |host| bench.verdict(&udp(NODE, NODE_PORT, Some(host)));
    assert_eq!(verdict(9), Verdict::Keep);
    assert_eq!(verdict(2), Verdict::Stale);
}

#[test]
fn a_change_is_held_until_it_is_in_the_kernel() {
    let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1)])]);
    bench.set(dns(Protocol::Udp, &[endpoint(2)]));
    // While that is looked for, the first comes back: in the kernel it may be there already.
    let name = ObjectName::new("kube-system", "dns");
    let both = dns(Protocol::Udp, &[endpoint(1), endpoint(2)]);
    let changes = bench.change(&name, Some(both));
    bench.checks.hold(&changes);
    let verdict = |bench: &Bench, host| bench.verdict(&to_cluster_ip(host));
    assert_eq!(verdict(&bench, Some(1)), Verdict::Keep);
    assert_eq!(verdict(&bench, None), Verdict::Keep);
    assert!(!bench.checks.is_due());
    // It adds only, but what was looked for before it is looked for still.
    assert!(bench.checks.check(changes, Instant::now()));
    assert_eq!(verdict(&bench, Some(1)), Verdict::Keep);
    assert_eq!(verdict(&bench, None), Verdict::Stale);

    let changes = bench.change(&name, None);
    bench.checks.hold(&changes);
    bench.checks.forget(&changes);
    assert_eq!(verdict(&bench, None), Verdict::Keep);
    assert!(!bench.checks.is_due());
}

#[test]
fn flows_are_looked_at_twice_after_the_last_change() {
    let mut bench = Bench::running(&[dns(Protocol::Udp, &[endpoint(1)])]);
    bench.set(dns(Protocol::Udp, &[endpoint(2)]));
    bench.look();
    assert!(bench.checks.is_due());
    let under_way = bench.checks.round();
    bench.set(dns(Protocol::Udp, &[endpoint(3)]));
    // It began before the change.
    bench.checks.finish(&under_way);
    bench.look();
    assert!(bench.checks.is_due());
    bench.look();
    assert!(!bench.checks.is_due());
    assert_eq!(bench.verdict(&to_cluster_ip(None)), Verdict::Keep);
}

#[test]
fn the_kernel_is_asked_for_single_ports_while_they_are_few() {
    let mut bench = Bench::running(&[]);
    let with_ports = |ports: std::ops::Range<u16>| Service {
        ports: ports
            .map(|port| ServicePort {
                endpoints: [endpoint(1)].into(),
                ..ServicePort::new(Protocol::Udp, Port::new(port).unwrap())
            })
            .collect(),
        ..dns(Protocol::Udp, &[])
    };
    bench.set(with_ports(53..55));
    let filter = |port| FlowFilter {
        protocol: Protocol::Udp,
        port,
    };
    let single = [53, 54].map(|port| filter(Port::new(port)));
    assert_eq!(bench.checks.round().filters(), single);
    bench.set(with_ports(53..60));
    assert_eq!(bench.checks.round().filters(), [filter(None)]);
}

#[test]
fn at_the_start_everything_is_looked_at() {
    let key = |ip: u8, protocol| {
        Bytes::new()
            .address([10, 96, 0, ip].into())
            .protocol(protocol)
            .port(DNS)
    };
    let element = |set: SetName, key| Element {
        set,
        key,
        value: Bytes::new()
            .address([10, 244, 1, 1].into())
            .port(Port::new(5353).unwrap()),
    };
    let set = |set: SetName, keys: Vec<Bytes>| ObservedSet {
        name: set.to_string(),
        ours: Some(set),
        elements: keys.into_iter().map(|key| element(set, key)).collect(),
    };
    let class = |count| SlotClass::of(count).unwrap();
    let node_port = Bytes::new().protocol(Protocol::Udp).port(NODE_PORT);
    let other_port = Port::new(30_099).unwrap();
    let hashed_node_port = Bytes::new().protocol(Protocol::Udp).port(other_port);
    let (by, size) = (HashedBy::Client, TableSize::of(2));
    let hashed = MaglevTable { by, size };
    let observed = Observed {
        table: true,
        sets: vec![
            set(
                SetName::Endpoints(class(2)),
                vec![
                    key(66, Protocol::Udp).slot(0),
                    key(66, Protocol::Udp).slot(1),
                ],
            ),
            set(SetName::Endpoints(class(1)), vec![key(67, Protocol::Tcp)]),
            set(SetName::NodePortEndpoints(class(1)), vec![node_port]),
            set(
                SetName::MaglevEndpoints(hashed),
                vec![key(68, Protocol::Udp).slot(7)],
            ),
            set(
                SetName::MaglevNodePortEndpoints(hashed),
                vec![hashed_node_port.slot(7)],
            ),
        ],
        ..Observed::default()
    };
    let healthy = dns(Protocol::Udp, &[endpoint(1)]);
    let mut bench = Bench::new(&observed, &[healthy]);
    let everything = bench
        .planner
        .all_flows(Family::Ip4, &bench.snapshot, &observed);
    assert!(bench.checks.check(everything, Instant::now()));
    let verdict = |flow| bench.verdict(&flow);
    assert_eq!(verdict(to_cluster_ip(Some(1))), Verdict::Keep);
    assert_eq!(verdict(to_cluster_ip(Some(2))), Verdict::Stale);
    assert_eq!(verdict(to_cluster_ip(None)), Verdict::Stale);
    // The Service that these were for was deleted while nobody looked.
    assert_eq!(verdict(udp([10, 96, 0, 66], DNS, Some(1))), Verdict::Stale);
    assert_eq!(verdict(udp([10, 96, 0, 66], DNS, None)), Verdict::Keep);
    assert_eq!(verdict(udp([10, 96, 0, 68], DNS, Some(1))), Verdict::Stale);
    let to_other_port = udp(NODE, other_port, Some(1));
    assert_eq!(verdict(to_other_port), Verdict::StaleOnNodePort);
    // The node port has an owner.
    assert_eq!(verdict(udp(NODE, NODE_PORT, Some(1))), Verdict::Keep);
}

#[test]
fn node_ports_are_at_the_addresses_that_the_rules_have() {
    let within = |network: &str, negated| Statement::DestinationIn {
        network: network.parse().unwrap(),
        negated,
    };
    let scope = NodePortDestination(vec![
        vec![within("192.0.2.1/32", false)],
        vec![Statement::DestinationIsLocal, within("127.0.0.0/8", true)],
    ]);
    let local = |address: [u8; 4]| scope.covers(address.into(), |_| true);
    let remote = |address: [u8; 4]| scope.covers(address.into(), |_| false);
    assert!(local([192, 0, 2, 1]) && remote([192, 0, 2, 1]));
    assert!(local([192, 0, 2, 2]) && !remote([192, 0, 2, 2]));
    let asked = |_| panic!("the kernel need not be asked");
    assert!(!scope.covers([127, 0, 0, 1].into(), asked));
    assert!(!NodePortDestination::default().covers(NODE.into(), |_| true));
}
