//! Services and endpoints that want what they cannot have, judged by packets and by what is said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::{EndpointSlice, Object, Service, endpoint_slice, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab};
use serde_json::{Value, json};

use super::{Counted, Told};
use crate::service_proxy::bystanders::host_servers;
use crate::service_proxy::every_address::{SILENCE, VIP_PORT, external_ip, vip};
use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(
    what_two_services_claim_belongs_to_the_older,
    a_node_port_may_be_any_port_even_one_in_use,
    a_thousand_overlapping_ranges_are_one,
    endpoints_that_lead_back_to_the_node,
    a_slice_of_a_thousand_waits_for_its_service,
);

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];

fn cluster(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(3));
    let lab = cluster.lab();
    for family in Family::BOTH {
        for address in [vip(family), external_ip(family)] {
            let gateway = lab.node("node-1").ip(family);
            lab.client().add_route(address.into(), gateway).unwrap();
        }
    }
    cluster
}

fn slices(cluster: &Cluster, service: &str, pod: &str) -> Vec<Value> {
    endpoint_slices(service, &PORTS, &[cluster.lab().pod(pod)])
}

fn what_two_services_claim_belongs_to_the_older(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let claims = |name: &str, created: &str| -> Object<Service> {
        let service = cluster.service(name, 10).created(created);
        let service = service.tcp("tcp", VIP_PORT).node_port(30080);
        Family::BOTH.into_iter().fold(service, |service, family| {
            let service = service.load_balancer_ip(vip(family));
            service.external_ip(external_ip(family))
        })
    };
    // The name does not decide, nor does the order in which they come.
    cluster.apply(
        "slices",
        [
            slices(&cluster, "a", "pod-1-1"),
            slices(&cluster, "b", "pod-1-2"),
        ]
        .concat(),
    );
    cluster.apply("a", [claims("a", "2026-02-02T00:00:00Z")]);
    cluster.start();
    let served_by = |pod: &str| {
        for family in Family::BOTH {
            let outside = [
                (vip(family), VIP_PORT),
                (external_ip(family), VIP_PORT),
                (lab.node("node-1").ip(family), 30080),
            ];
            for at in outside {
                becomes(Ok(pod.to_owned()), "the answer", || {
                    who(ask::tcp(lab.client().ns(), at.into()))
                });
            }
            becomes(Ok(pod.to_owned()), "the answer", || {
                let at = cluster.cluster_ip(family, 10, VIP_PORT);
                who(ask::tcp(lab.pod("pod-1-3").ns(), at))
            });
        }
    };
    served_by("pod-1-1");
    cluster.apply("b", [claims("b", "2026-01-01T00:00:00Z")]);
    served_by("pod-1-2");
    let agent = cluster.agent("node-1");
    let told = Told(&agent);
    let said: Vec<String> = Family::BOTH
        .into_iter()
        .flat_map(|family| {
            let at = |address| format!("{}/tcp", std::net::SocketAddr::new(address, VIP_PORT));
            [
                ("spec.clusterIPs", at(lab.cluster_ip(family, 10))),
                ("status.loadBalancer.ingress", at(vip(family))),
                ("spec.externalIPs", at(external_ip(family))),
            ]
        })
        .chain([("spec.ports", "node port 30080/tcp".to_owned())])
        .map(|(field, what)| {
            format!("Service default/a {field}: {what} belongs to Service default/b; it is not served for this one")
        })
        .collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    told.wait(&said);
    told.once(&said);
    told.nothing_else(&said);
    let counted = Counted(node);
    counted.becomes("Service", "AddressConflict", [7, 7]);
    // Who waited inherits.
    cluster.delete("b");
    served_by("pod-1-1");
    told.once(&said);
    counted.becomes("Service", "AddressConflict", [0, 7]);
}

fn a_node_port_may_be_any_port_even_one_in_use(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    // Far from 30000 to 32767, which only the API server knows and checks.
    let _server = host_servers(node, &[443]);
    for family in Family::BOTH {
        node.host().add_address(vip(family)).unwrap();
    }
    let identity = fairway_testkit::echo::Identity {
        pod: "host".to_owned(),
        node: node.name().to_owned(),
    };
    let elsewhere = Echo::new(node.ns(), identity, &Family::BOTH.map(vip));
    becomes(true, "that the addresses can be had", || {
        elsewhere.serve_lines(443).is_ok()
    });
    cluster.apply("slices", slices(&cluster, "web", "pod-1-1"));
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(443);
    cluster.apply("web", [service.udp("udp", 80).node_port(443)]);
    cluster.start();
    let agent = cluster.agent("node-1");
    let server = node.ip(Family::V4);
    let told = ["TCP", "UDP"].map(|it| format!("a process listens on {it} {server}:443, where"));
    let told = told.each_ref().map(String::as_str);
    Told(&agent).wait(&told);
    let answered = |expected: &str| {
        for family in Family::BOTH {
            for ask in TCP_AND_UDP {
                becomes(Ok(expected.to_owned()), "the answer", || {
                    who(ask(lab.client().ns(), (node.ip(family), 443).into()))
                });
                // Addresses that serve no node ports are the host's as ever.
                let reply = ask(lab.client().ns(), (vip(family), 443).into());
                assert_eq!(reply.unwrap().pod, "host");
            }
        }
    };
    answered("pod-1-1");
    cluster.delete("web");
    answered("host");
    Told(&agent).once(&told);
    Told(&agent).nothing_else(&told);
}

fn a_thousand_overlapping_ranges_are_one(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    cluster.apply("slices", slices(&cluster, "web", "pod-1-1"));
    let service = Family::BOTH.into_iter().fold(
        cluster.service("web", 10).tcp("tcp", VIP_PORT),
        |service, family| service.load_balancer_ip(vip(family)),
    );
    // Networks within networks, neighbours, the same twice, with host bits: none has the pods.
    let mut ranges: Vec<String> = (0..450_u32)
        .flat_map(|number| {
            let v4 = Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 18, 0, 0)) + number);
            let v6 = Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, number as u16);
            [
                format!("{v4}/{}", 16 + number % 17),
                format!("{v6}/{}", 64 + number % 65),
            ]
        })
        .collect();
    ranges.extend((0..100).map(|_| "172.18.0.0/16".to_owned()));
    let service = service.set("/spec", "loadBalancerSourceRanges", json!(ranges));
    cluster.apply("web", [service]);
    cluster.start();
    for family in Family::BOTH {
        let at = (vip(family), VIP_PORT).into();
        assert_eq!(ask::tcp(lab.client().ns(), at).unwrap().pod, "pod-1-1");
        let outsider = ask::tcp_within(lab.pod("pod-1-3").ns(), at, SILENCE);
        assert_eq!(who(outsider), Err(Failure::TimedOut));
    }
    Told(&cluster.agent("node-1")).nothing_else(&[]);
}

fn endpoints_that_lead_back_to_the_node(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let node = lab.node("node-1");
    // A pod of the host network is at the node's own address; nobody is at a loopback address.
    let _server = host_servers(node, &[9100]);
    let loopback = |family| -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    };
    let slices = Family::BOTH.map(|family| {
        let slice: Object<EndpointSlice> = endpoint_slice("web", family);
        let slice = slice.tcp("tcp", 9100).udp("udp", 9100);
        let slice = slice.endpoint(loopback(family), Some(node.name()));
        slice.endpoint(node.ip(family), Some(node.name())).build()
    });
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080).build();
    cluster.apply("web", slices.into_iter().chain([service]));
    cluster.start();
    for family in Family::BOTH {
        let node_port = (node.ip(family), 30080).into();
        let cluster_ip = cluster.cluster_ip(family, 10, 80);
        for ask in TCP_AND_UDP {
            for (client, at) in [
                (lab.client().ns(), node_port),
                (node.ns(), node_port),
                (node.ns(), cluster_ip),
                (lab.pod("pod-1-3").ns(), cluster_ip),
                (lab.pod("pod-1-3").ns(), node_port),
            ] {
                for _ in 0..8 {
                    let reply = ask(client, at).unwrap();
                    assert_eq!(reply.own, (node.ip(family), 9100).into());
                }
            }
        }
    }
    let said = ["127.0.0.1", "::1"].map(|address| {
        format!("endpoints[0].addresses[0]: {address} is a loopback address, which no endpoint can have; it is left out")
    });
    let said = said.each_ref().map(String::as_str);
    let agent = cluster.agent("node-1");
    Told(&agent).wait(&said);
    Told(&agent).once(&said);
    Told(&agent).nothing_else(&said);
    let counted = Counted(node);
    counted.becomes("EndpointSlice", "Invalid", [2, 2]);
    cluster.delete("web");
    counted.becomes("EndpointSlice", "Invalid", [0, 2]);
}

fn a_slice_of_a_thousand_waits_for_its_service(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let slices = Family::BOTH.map(|family| {
        let slice = endpoint_slice("late", family).tcp("tcp", Echo::LINES);
        // The only one that is ready is the pod; the others are nobody.
        let nobody = (0..999_u16).fold(slice.pod(&lab.pod("pod-1-1")), |slice, number| {
            let [high, low] = number.to_be_bytes();
            let address: IpAddr = match family {
                Family::V4 => Ipv4Addr::new(10, 244, 100 + high, low).into(),
                Family::V6 => Ipv6Addr::new(0xfd00, 0x10, 0x244, 0xff, 0, 0, 0, number).into(),
            };
            slice.endpoint(address, Some("node-9")).not_ready()
        });
        nobody.build()
    });
    cluster.apply("slices", slices);
    cluster.start();
    let tables = cluster.tables("node-1");
    assert!(!tables.contains(&lab.pod("pod-1-1").ip(Family::V4).to_string()));
    for _ in 0..2 {
        cluster.apply("late", [cluster.service("late", 10).tcp("tcp", 80)]);
        for family in Family::BOTH {
            becomes(Ok("pod-1-1".to_owned()), "the answer", || {
                let at = cluster.cluster_ip(family, 10, 80);
                who(ask::tcp(lab.pod("pod-1-3").ns(), at))
            });
        }
        cluster.delete("late");
        becomes(tables.clone(), "the tables", || cluster.tables("node-1"));
    }
    Told(&cluster.agent("node-1")).nothing_else(&[]);
}
