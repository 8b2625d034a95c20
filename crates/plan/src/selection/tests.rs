use std::sync::Arc;

use fairway_model::{Conditions, Hints, Port};

use super::*;

const DRAINING: Conditions = Conditions {
    ready: false,
    serving: true,
    terminating: true,
};
const GONE: Conditions = Conditions {
    ready: false,
    serving: false,
    terminating: true,
};

fn endpoint(host: u8, node: &str) -> Endpoint {
    Endpoint {
        node: Some(node.into()),
        ..Endpoint::ready([10, 244, 0, host].into(), Port::new(80).unwrap())
    }
}

fn with(conditions: Conditions, endpoint: Endpoint) -> Endpoint {
    Endpoint {
        conditions,
        ..endpoint
    }
}

fn hinted(host: u8, zones: &[&str], nodes: &[&str]) -> Endpoint {
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    Endpoint {
        hints: Some(Box::new(Hints {
            zones: names(zones),
            nodes: names(nodes),
        })),
        ..endpoint(host, "elsewhere")
    }
}

fn here(zone: Option<&str>) -> Node {
    Node {
        name: "here".into(),
        zone: zone.map(Into::into),
        ..Node::default()
    }
}

fn hosts(endpoints: Vec<&Endpoint>) -> Vec<u8> {
    let last = |endpoint: &&Endpoint| match endpoint.address {
        std::net::IpAddr::V4(address) => address.octets()[3],
        std::net::IpAddr::V6(_) => panic!("of the other family"),
    };
    endpoints.iter().map(last).collect()
}

fn cluster_hosts(endpoints: &[Endpoint], node: &Node) -> Vec<u8> {
    hosts(cluster(endpoints, Family::Ip4, node))
}

fn local_hosts(endpoints: &[Endpoint], node: &Node) -> Vec<u8> {
    hosts(local(endpoints, Family::Ip4, node))
}

#[test]
fn the_last_local_pod_serves_while_it_terminates_whatever_is_ready_elsewhere() {
    let endpoints = [
        with(DRAINING, endpoint(1, "here")),
        endpoint(2, "elsewhere"),
        with(GONE, endpoint(3, "here")),
    ];
    assert_eq!(cluster_hosts(&endpoints, &here(None)), [2]);
    assert_eq!(local_hosts(&endpoints, &here(None)), [1]);
}

#[test]
fn a_ready_local_pod_is_preferred_to_one_that_terminates() {
    let endpoints = [
        with(DRAINING, endpoint(1, "here")),
        endpoint(2, "here"),
        endpoint(3, "elsewhere"),
    ];
    assert_eq!(cluster_hosts(&endpoints, &here(None)), [2, 3]);
    assert_eq!(local_hosts(&endpoints, &here(None)), [2]);
}

#[test]
fn an_endpoint_of_an_unknown_node_is_not_local() {
    let unknown = Endpoint {
        node: None,
        ..endpoint(1, "")
    };
    assert_eq!(
        cluster_hosts(std::slice::from_ref(&unknown), &here(None)),
        [1]
    );
    assert_eq!(local_hosts(&[unknown], &here(None)), [0_u8; 0]);
}

#[test]
fn endpoints_hinted_for_the_zone_are_the_only_ones_used() {
    let endpoints = [hinted(1, &["a"], &[]), hinted(2, &["b", "c"], &[])];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [1]);
    assert_eq!(cluster_hosts(&endpoints, &here(Some("c"))), [2]);
    assert_eq!(cluster_hosts(&endpoints, &here(Some("d"))), [1, 2]);
    assert_eq!(cluster_hosts(&endpoints, &here(None)), [1, 2]);
}

#[test]
fn one_endpoint_without_a_hint_makes_all_hints_void() {
    let endpoints = [hinted(1, &["a"], &[]), endpoint(2, "elsewhere")];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [1, 2]);
    let endpoints = [hinted(1, &["a"], &["here"]), hinted(2, &["a"], &[])];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [1, 2]);
}

#[test]
fn hints_for_nodes_beat_hints_for_zones() {
    let endpoints = [
        hinted(1, &["a"], &["elsewhere"]),
        hinted(2, &["b"], &["here"]),
    ];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [2]);
    let endpoints = [
        hinted(1, &["a"], &["elsewhere"]),
        hinted(2, &["b"], &["elsewhere"]),
    ];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [1]);
}

#[test]
fn hints_of_what_is_not_ready_are_not_asked() {
    let unready = with(GONE, endpoint(1, "elsewhere"));
    let endpoints = [unready, hinted(2, &["a"], &[]), hinted(3, &["b"], &[])];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [2]);

    let draining = |host, zone| with(DRAINING, hinted(host, &[zone], &[]));
    let endpoints = [draining(1, "a"), draining(2, "b")];
    assert_eq!(cluster_hosts(&endpoints, &here(Some("a"))), [1, 2]);
}

#[test]
fn local_lists_take_no_notice_of_hints() {
    let endpoints = [
        Endpoint {
            node: Some("here".into()),
            ..hinted(1, &["b"], &["elsewhere"])
        },
        hinted(2, &["a"], &["here"]),
    ];
    assert_eq!(local_hosts(&endpoints, &here(Some("a"))), [1]);
}
