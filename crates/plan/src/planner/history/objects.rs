//! Random Services, with everything that decides about packets.

use std::collections::BTreeSet;

use fairway_model::{Affinity, Balance, Endpoint, Protocol, Service, ServicePort, TrafficPolicy};
use proptest::prelude::*;

use crate::planner::tests::{port, service};

/// A third of the endpoints are on the node.
pub(super) fn is_local(host: u8) -> bool {
    host.is_multiple_of(3)
}

/// What is asked of a Service.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    created: i64,
    /// The last numbers of its ClusterIP, load balancer's address and node port.
    addresses: (u8, Option<u8>, Option<u8>),
    internal_policy: TrafficPolicy,
    external_policy: TrafficPolicy,
    source_ranges: Vec<&'static str>,
    hosts: BTreeSet<u8>,
    affinity: Affinity,
    balance: Balance,
}

/// One covers the client outside, one the pod, two the node, and one overlaps with another.
const RANGES: [&str; 5] = [
    "203.0.113.0/24",
    "10.244.0.0/16",
    "192.0.2.0/24",
    "192.0.2.0/25",
    "fd00::/8",
];

impl Wanted {
    pub(super) fn service(&self, name: &str) -> Service {
        let (cluster_ip, external, node_port) = self.addresses;
        let endpoint = |host: &u8| Endpoint {
            node: Some(if is_local(*host) { "node-2" } else { "node-1" }.into()),
            ..Endpoint::ready([10, 244, 1, *host].into(), port(8080))
        };
        let ranges = self.source_ranges.iter();
        let external = external.map(|number| [198, 51, 100, number].into());
        Service {
            source_ranges: ranges.map(|range| range.parse().unwrap()).collect(),
            load_balancer_ips: external.into_iter().collect(),
            internal_policy: self.internal_policy,
            external_policy: self.external_policy,
            affinity: self.affinity,
            balance: self.balance,
            ports: vec![ServicePort {
                node_port: node_port.map(|number| port(30_000 + u16::from(number))),
                endpoints: self.hosts.iter().map(endpoint).collect(),
                ..ServicePort::new(Protocol::Tcp, port(80))
            }],
            ..service(name, self.created, cluster_ip, &[])
        }
    }
}

/// One update: for some of four Services either removal or what they are to be.
pub(super) type Step = Vec<(usize, Option<Wanted>)>;

fn wanted() -> impl Strategy<Value = Wanted> {
    use proptest::option::of;
    let policy = || prop_oneof![Just(TrafficPolicy::Cluster), Just(TrafficPolicy::Local)];
    let addresses = (1u8..4, of(1u8..4), of(1u8..4));
    let hosts = proptest::collection::btree_set(1u8..40, 0..24);
    let ranges = prop_oneof![
        Just(vec![]),
        proptest::sample::subsequence(RANGES.to_vec(), 1..=RANGES.len()),
    ];
    let affinity = prop_oneof![
        Just(Affinity::None),
        prop_oneof![Just(10), Just(10_800)]
            .prop_map(|timeout_seconds| Affinity::ClientIp { timeout_seconds }),
    ];
    // Seldom, for hundreds of slots take their time.
    let balance = prop_oneof![
        30 => Just(Balance::Random),
        1 => Just(Balance::Maglev),
        1 => Just(Balance::MaglevConnection),
    ];
    let policies = (policy(), policy());
    let choice = (affinity, balance);
    (0i64..3, addresses, policies, ranges, hosts, choice).prop_map(
        |(created, addresses, policies, source_ranges, hosts, (affinity, balance))| Wanted {
            created,
            addresses,
            internal_policy: policies.0,
            external_policy: policies.1,
            source_ranges,
            hosts,
            affinity,
            balance,
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    proptest::collection::vec((0usize..4, proptest::option::of(wanted())), 1..4)
}
