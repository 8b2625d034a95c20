use super::*;
use crate::set::split_network;
use crate::{LocalPods, NodePortAddresses, Statement};

fn policies(internal: TrafficPolicy, external: TrafficPolicy, nodes: &[&str]) -> Service {
    let hosts: Vec<u8> = (1..).zip(nodes).map(|(host, _)| host).collect();
    let mut service = service("a", 0, 1, &hosts);
    let mut endpoints = service.ports[0].endpoints.to_vec();
    for (endpoint, node) in endpoints.iter_mut().zip(nodes) {
        endpoint.node = Some((*node).into());
    }
    service.ports[0].endpoints = endpoints.into();
    service.ports[0].node_port = Some(port(30080));
    Service {
        internal_policy: internal,
        external_policy: external,
        load_balancer_ips: vec![[198, 51, 100, 1].into()],
        external_ips: vec![[198, 51, 100, 2].into()],
        ..service
    }
}

/// The IPv4 elements of one set, as keys and values.
fn elements(bench: &Bench, set: SetName) -> Vec<(Bytes, Bytes)> {
    let mut ruleset = bench.planner.ruleset(Family::Ip4);
    ruleset
        .sets
        .remove(&set)
        .unwrap_or_default()
        .into_iter()
        .collect()
}

fn external(ip: u8) -> Bytes {
    Bytes::new()
        .address([198, 51, 100, ip].into())
        .protocol(Protocol::Tcp)
        .port(port(80))
}

fn node_port() -> Bytes {
    Bytes::new().protocol(Protocol::Tcp).port(port(30080))
}

fn none(keys: impl IntoIterator<Item = Bytes>) -> Vec<(Bytes, Bytes)> {
    keys.into_iter().map(|key| (key, Bytes::new())).collect()
}

const CLUSTER: TrafficPolicy = TrafficPolicy::Cluster;
const LOCAL: TrafficPolicy = TrafficPolicy::Local;
const ONE: fn(fn(SlotClass) -> SetName) -> SetName = |map| map(SlotClass::of(1).unwrap());

#[test]
fn external_addresses_lead_where_the_cluster_ip_does() {
    let mut bench = Bench::new();
    bench.add(policies(CLUSTER, CLUSTER, &["node-1"]));
    let served = elements(&bench, SetName::ExternalAddresses);
    assert_eq!(served, none([external(1), external(2)]));
    let endpoints = elements(&bench, ONE(SetName::Endpoints));
    let expected = [key(1), external(1), external(2)].map(|key| (key, value(1)));
    assert_eq!(endpoints, expected);
    assert_eq!(elements(&bench, SetName::LocalPolicy), []);
}

#[test]
fn an_address_that_a_service_has_twice_is_planned_once() {
    let mut bench = Bench::new();
    let address = [10, 96, 0, 1].into();
    bench.add(Service {
        load_balancer_ips: vec![address, address],
        external_ips: vec![address],
        external_policy: LOCAL,
        ..service("a", 0, 1, &[1])
    });
    assert_eq!(elements(&bench, SetName::ExternalAddresses), []);
    assert_eq!(elements(&bench, map(1)), [(key(1), value(1))]);
}

#[test]
fn an_external_policy_local_concerns_all_but_the_cluster_ip() {
    let mut bench = Bench::new();
    bench.add(policies(CLUSTER, LOCAL, &["node-1", "node-2"]));
    let outside = [external(1), external(2)];
    assert_eq!(
        elements(&bench, SetName::LocalPolicy),
        none(outside.clone())
    );
    let local = elements(&bench, ONE(SetName::LocalEndpoints));
    assert_eq!(local, outside.map(|key| (key, value(2))));
    let node_ports = elements(&bench, ONE(SetName::LocalNodePortEndpoints));
    assert_eq!(node_ports, [(node_port(), value(2))]);
    assert_eq!(elements(&bench, map(2)).len(), 2 * 3);
    assert_eq!(elements(&bench, SetName::Dropped), []);
}

#[test]
fn without_local_endpoints_clients_outside_are_dropped_and_those_on_the_node_are_not() {
    let mut bench = Bench::new();
    bench.add(policies(CLUSTER, LOCAL, &["node-1"]));
    let dropped = elements(&bench, SetName::Dropped);
    assert_eq!(dropped, none([external(1), external(2)]));
    let dropped = elements(&bench, SetName::DroppedNodePorts);
    assert_eq!(dropped, none([node_port()]));
    assert_eq!(elements(&bench, map(1)).len(), 3);
    assert_eq!(elements(&bench, SetName::Refused), []);
}

#[test]
fn an_internal_policy_local_concerns_the_cluster_ip_alone() {
    let mut bench = Bench::new();
    bench.add(policies(LOCAL, CLUSTER, &["node-1"]));
    assert_eq!(elements(&bench, SetName::Dropped), none([key(1)]));
    assert_eq!(elements(&bench, SetName::DroppedNodePorts), []);
    bench.add(policies(LOCAL, CLUSTER, &["node-1", "node-2"]));
    assert_eq!(elements(&bench, SetName::Dropped), []);
    assert_eq!(elements(&bench, map(1)), [(key(1), value(2))]);
    assert_eq!(elements(&bench, map(2)).len(), 2 * 2);
}

#[test]
fn without_any_endpoint_every_policy_refuses() {
    for policy in [CLUSTER, LOCAL] {
        let mut bench = Bench::new();
        bench.add(policies(policy, policy, &[]));
        let refused = elements(&bench, SetName::Refused);
        assert_eq!(refused, none([key(1), external(1), external(2)]));
        let refused = elements(&bench, SetName::RefusedNodePorts);
        assert_eq!(refused, none([node_port()]));
        assert_eq!(elements(&bench, SetName::Dropped), []);
    }
}

#[test]
fn a_new_zone_selects_other_endpoints() {
    let mut bench = Bench::new();
    let mut hinted = service("a", 0, 1, &[1, 2]);
    let mut endpoints = hinted.ports[0].endpoints.to_vec();
    for (endpoint, zone) in endpoints.iter_mut().zip(["x", "y"]) {
        endpoint.hints = Some(Box::new(Hints {
            zones: vec![zone.into()],
            nodes: vec![],
        }));
    }
    hinted.ports[0].endpoints = endpoints.into();
    bench.add(hinted);
    assert_eq!(elements(&bench, map(2)).len(), 2);
    for (zone, host) in [("x", 1), ("y", 2)] {
        bench.change_node(|node| node.zone = Some(zone.into()));
        assert_eq!(elements(&bench, map(1)), [(key(1), value(host))]);
    }
}

/// The rules of a chain, as they would be fingerprinted.
fn rules(bench: &Bench, chain: &str) -> Vec<Vec<Statement>> {
    let ruleset = bench.planner.ruleset(Family::Ip4);
    let mut chains = ruleset.chains.into_iter();
    let chain = chains.find(|there| there.name == chain).unwrap();
    let rules = chain.rules.into_iter();
    rules.map(|rule| rule.statements).collect()
}

#[test]
fn node_ports_follow_the_primary_address() {
    let mut bench = Bench::new();
    assert!(rules(&bench, "services")[2].contains(&Statement::DestinationIsLocal));
    let transaction = bench
        .change_node(|node| node.addresses = vec![[192, 0, 2, 7].into(), [192, 0, 2, 8].into()]);
    let primary = Statement::DestinationIn {
        network: "192.0.2.7/32".parse().unwrap(),
        negated: false,
    };
    assert!(rules(&bench, "services")[2].contains(&primary));
    let changed = |change: &Change| match change {
        Change::SetRules(chain) => chain.name,
        _ => panic!("only rules change"),
    };
    let changed: Vec<_> = transaction.make.iter().map(changed).collect();
    assert_eq!(changed, ["stray", "services", "refuse"]);
}

#[test]
fn node_ports_are_served_within_the_networks_that_are_given() {
    let options = |networks: &[&str]| Options {
        node_port_addresses: NodePortAddresses::Within(
            networks.iter().map(|it| it.parse().unwrap()).collect(),
        ),
        ..Options::default()
    };
    let count = |networks| rules(&Bench::with(options(networks)), "services").len() - 2;
    assert_eq!(count(&["192.0.2.0/24", "198.51.100.0/24"]), 2);
    assert_eq!(count(&["192.0.2.0/24", "192.0.2.0/25"]), 1);
    assert_eq!(count(&["fd00::/8"]), 1);
    let everywhere = rules(&Bench::new(), "services");
    let bench = Bench::with(options(&["0.0.0.0/0", "192.0.2.0/24"]));
    assert_eq!(rules(&bench, "services"), everywhere);
    let bench = Bench::with(options(&["fd00::/8"]));
    assert_eq!(rules(&bench, "services"), everywhere);
}

#[test]
fn pods_are_told_by_network_or_by_interface() {
    let bench = |local_pods| {
        let mut bench = Bench::with(Options {
            local_pods,
            ..Options::default()
        });
        bench.change_node(|node| node.pod_cidrs = vec!["10.244.2.0/24".parse().unwrap()]);
        bench
    };
    let network = |network: &str, negated| Statement::SourceIn {
        network: network.parse().unwrap(),
        negated,
    };
    let interface = |name: &str, prefix, negated| Statement::InterfaceIs {
        name: name.into(),
        prefix,
        negated,
    };
    let cases = [
        (
            LocalPods::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]),
            [false, true].map(|negated| network("10.244.0.0/16", negated)),
        ),
        (
            LocalPods::NodeCidr,
            [false, true].map(|negated| network("10.244.2.0/24", negated)),
        ),
        (
            LocalPods::BridgeInterface("cni0".into()),
            [false, true].map(|negated| interface("cni0", false, negated)),
        ),
        (
            LocalPods::InterfaceNamePrefix("veth".into()),
            [false, true].map(|negated| interface("veth", true, negated)),
        ),
    ];
    for (local_pods, [pod, not_pod]) in cases {
        let bench = bench(local_pods);
        assert_eq!(rules(&bench, "cluster-ip")[0][0], not_pod);
        assert_eq!(rules(&bench, "external-local")[0][0], pod);
        assert_eq!(rules(&bench, "node-port-local")[0][0], pod);
    }
    let unknown = bench(LocalPods::ClusterCidr(vec![]));
    assert_eq!(rules(&unknown, "cluster-ip").len(), 1);
    assert_eq!(rules(&unknown, "external-local").len(), 2);
}

fn restricted(ranges: &[&str]) -> Service {
    Service {
        source_ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        ..policies(CLUSTER, CLUSTER, &["node-1"])
    }
}

/// The networks that may use the load balancer's address.
fn allowed(ranges: &[&str]) -> Option<Vec<String>> {
    let mut bench = Bench::new();
    bench.change_node(|node| node.addresses = vec![[192, 0, 2, 7].into()]);
    bench.add(restricted(ranges));
    let allowed = elements(&bench, SetName::AllowedSources).into_iter();
    let allowed = allowed.map(|(key, _)| {
        let (frontend, network) = split_network(&key, Family::Ip4).unwrap();
        assert_eq!(frontend, external(1));
        network.to_string()
    });
    let allowed = allowed.collect();
    let restricted = elements(&bench, SetName::Restricted);
    assert!(restricted.is_empty() || restricted == none([external(1)]));
    (!restricted.is_empty()).then_some(allowed)
}

#[test]
fn source_ranges_guard_the_load_balancers_address_alone() {
    let strings = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect());
    assert_eq!(allowed(&[]), None);
    assert_eq!(allowed(&["203.0.113.0/24"]), strings(&["203.0.113.0/24"]));
    // Overlaps are left out, and what lies side by side is one.
    let ranges = ["203.0.113.0/25", "203.0.113.128/25", "203.0.113.7/32"];
    assert_eq!(allowed(&ranges), strings(&["203.0.113.0/24"]));
    // The whole of a family is no restriction, in however many parts.
    assert_eq!(allowed(&["203.0.113.0/24", "0.0.0.0/0"]), None);
    assert_eq!(allowed(&["0.0.0.0/1", "128.0.0.0/1"]), None);
    // Of the other family only: nobody, where kube-proxy would let everybody in.
    assert_eq!(allowed(&["fd00::/8", "::/0"]), strings(&[]));
    // Who admits the node admits the address itself, which may be one of the node's.
    let with_node = allowed(&["192.0.2.0/24"]);
    assert_eq!(with_node, strings(&["192.0.2.0/24", "198.51.100.1/32"]));
}

#[test]
fn there_is_no_check_of_sources_unless_a_service_asks_for_one() {
    let mut bench = Bench::new();
    let has_check = |bench: &Bench| {
        let ruleset = bench.planner.ruleset(Family::Ip4);
        let mut chains = ruleset.chains.iter();
        chains.any(|chain| chain.name == "source-ranges-prerouting")
    };
    bench.add(restricted(&[]));
    assert!(!has_check(&bench));
    let transaction = bench.add(restricted(&["203.0.113.0/24"]));
    assert!(has_check(&bench));
    // The address is served: the check comes when all it needs is there.
    let check = element(SetName::Restricted, external(1), Bytes::new());
    assert_eq!(transaction.release, [Change::Add(check.clone())]);
    let transaction = bench.add(restricted(&[]));
    assert!(!has_check(&bench));
    assert_eq!(transaction.make, [Change::Delete(check)]);
}

#[test]
fn addresses_of_no_service_are_dropped_as_the_service_cidrs_say() {
    let mut bench = Bench::new();
    assert_eq!(rules(&bench, "refuse-cluster-ip").len(), 2);
    let cidrs = ["10.96.0.0/16", "fd00:96::/112"].map(|cidr| cidr.parse().unwrap());
    let transaction = bench.change_node(|node| node.service_cidrs = cidrs.into());
    let rules = rules(&bench, "refuse-cluster-ip");
    let network = Statement::DestinationIn {
        network: cidrs[0],
        negated: false,
    };
    assert_eq!(rules[2..], [vec![network, Statement::Drop]]);
    assert_eq!(transaction.make.len(), 1);
}
