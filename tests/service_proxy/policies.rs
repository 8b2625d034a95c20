//! Which endpoints each kind of client reaches, and which source the endpoints see.

use std::net::IpAddr;

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::echo::Identity;
use fairway_testkit::{Echo, Family};
use serde_json::json;

use super::every_address::{
    NODE_PORT, SILENCE, VIP_PORT, answers, assert_silent, cluster, endpoints, outside_addresses,
    slices, web,
};
use crate::support::{Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    external_addresses_lead_anywhere_and_are_masqueraded,
    external_policy_local_keeps_clients_outside_on_the_node,
    external_policy_follows_each_change,
    internal_policy_local_concerns_the_cluster_ip,
    the_last_local_pod_serves_while_it_terminates,
    source_ranges_guard_the_load_balancers_address,
    addresses_of_no_service_are_dropped,
);

fn external_addresses_lead_anywhere_and_are_masqueraded(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    endpoints(&cluster, &["pod-1-1", "pod-2-1"]);
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let pod = lab.pod("pod-1-2");
    for family in Family::BOTH {
        let expected = ["pod-1-1", "pod-2-1"].map(|name| {
            let server = lab.pod(name);
            let peer = cluster.masqueraded(node, &server, family);
            (name.to_owned(), peer)
        });
        for at in outside_addresses(node, family) {
            for client in [lab.client().ns(), pod.ns(), node.ns()] {
                let answers = answers(client, at);
                assert_eq!(answers, expected.clone().into(), "{client:?} to {at}");
            }
        }
    }
}

fn external_policy_local_keeps_clients_outside_on_the_node(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster).external_traffic_local()]);
    endpoints(&cluster, &["pod-1-1", "pod-2-1"]);
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let pod = lab.pod("pod-1-2");
    let servers = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
    for family in Family::BOTH {
        for at in outside_addresses(node, family) {
            let outside = lab.client();
            let expected = [("pod-1-1".to_owned(), outside.ip(family))];
            assert_eq!(answers(outside.ns(), at), expected.into());
            // What is on the node has the whole list.
            let of_pod = servers
                .each_ref()
                .map(|server| (server.name().to_owned(), pod.ip(family)));
            assert_eq!(answers(pod.ns(), at), of_pod.into());
            let of_node = servers.each_ref().map(|server| {
                let peer = cluster.masqueraded(node, server, family);
                (server.name().to_owned(), peer)
            });
            assert_eq!(answers(node.ns(), at), of_node.into());
        }
    }

    endpoints(&cluster, &["pod-2-1"]);
    let remote = Ok("pod-2-1".to_owned());
    for family in Family::BOTH {
        for at in outside_addresses(node, family) {
            becomes(Err(Failure::TimedOut), "the answer to the outside", || {
                who(ask::tcp_within(lab.client().ns(), at, SILENCE))
            });
            for client in [pod.ns(), node.ns()] {
                becomes(remote.clone(), "a pod elsewhere", || {
                    who(ask::tcp(client, at))
                });
            }
        }
        // The other node has the endpoint.
        let at = (lab.node("node-2").ip(family), NODE_PORT).into();
        let outside = lab.client();
        let expected = [("pod-2-1".to_owned(), outside.ip(family))];
        assert_eq!(answers(outside.ns(), at), expected.into());
        // The ClusterIP has nothing to do with it.
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        assert_eq!(who(ask::tcp(pod.ns(), at)), remote);
    }

    endpoints(&cluster, &[]);
    for family in Family::BOTH {
        for at in outside_addresses(node, family) {
            becomes(Err(Failure::Refused), "the answer to the outside", || {
                who(ask::tcp(lab.client().ns(), at))
            });
        }
    }
}

fn external_policy_follows_each_change(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    endpoints(&cluster, &["pod-1-1"]);
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let server = lab.pod("pod-1-1");
    for local in [true, false, true] {
        let service = web(&cluster);
        cluster.apply(
            "web",
            [match local {
                true => service.external_traffic_local(),
                false => service,
            }],
        );
        for family in Family::BOTH {
            let seen = match local {
                true => lab.client().ip(family),
                false => cluster.masqueraded(node, &server, family),
            };
            for at in outside_addresses(node, family) {
                // Nobody is refused on the way.
                becomes(seen, "the source", || {
                    ask::tcp(lab.client().ns(), at).unwrap().peer.ip()
                });
            }
        }
    }
}

fn internal_policy_local_concerns_the_cluster_ip(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster).internal_traffic_local()]);
    endpoints(&cluster, &["pod-1-1", "pod-2-1"]);
    cluster.start();
    let lab = cluster.lab();
    let pod = lab.pod("pod-1-2");
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        let expected = [("pod-1-1".to_owned(), pod.ip(family))];
        assert_eq!(answers(pod.ns(), at), expected.into());
        let node_port = (lab.node("node-1").ip(family), NODE_PORT).into();
        assert_eq!(answers(lab.client().ns(), node_port).len(), 2);
    }

    endpoints(&cluster, &["pod-2-1"]);
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        becomes(Err(Failure::TimedOut), "the answer on node-1", || {
            who(ask::tcp_within(pod.ns(), at, SILENCE))
        });
        assert_silent(lab.node("node-1").ns(), at);
        let neighbour = lab.pod("pod-2-2");
        assert_eq!(ask::tcp(neighbour.ns(), at).unwrap().pod, "pod-2-1");
        let node_port = (lab.node("node-1").ip(family), NODE_PORT).into();
        let reply = ask::tcp(lab.client().ns(), node_port).unwrap();
        assert_eq!(reply.pod, "pod-2-1");
    }
}

fn the_last_local_pod_serves_while_it_terminates(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster).external_traffic_local()]);
    let lab = cluster.lab();
    let pods = ["pod-1-1", "pod-2-1"].map(|name| lab.pod(name));
    let pods = pods.each_ref().map(|pod| &**pod);
    let terminating = |serving| {
        slices(&pods, move |slice, pod| match pod.node() {
            "node-1" => slice.terminating(serving),
            _ => slice,
        })
    };
    cluster.apply("endpoints", terminating(true));
    cluster.start();
    let pod = lab.pod("pod-1-2");
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, VIP_PORT);
        let expected = [("pod-2-1".to_owned(), pod.ip(family))];
        assert_eq!(answers(pod.ns(), at), expected.into());
        for at in outside_addresses(lab.node("node-1"), family) {
            let expected = [("pod-1-1".to_owned(), lab.client().ip(family))];
            assert_eq!(answers(lab.client().ns(), at), expected.into());
        }
    }

    cluster.apply("endpoints", terminating(false));
    for family in Family::BOTH {
        for at in outside_addresses(lab.node("node-1"), family) {
            becomes(Err(Failure::TimedOut), "the answer to the outside", || {
                who(ask::tcp_within(lab.client().ns(), at, SILENCE))
            });
        }
    }
}

fn source_ranges_guard_the_load_balancers_address(feed: Feed) {
    let cluster = cluster(feed);
    let with_ranges = |ranges: &[String]| {
        let service = web(&cluster).set("/spec", "loadBalancerSourceRanges", json!(ranges));
        cluster.apply("web", [service]);
    };
    let lab = cluster.lab();
    let (client, other) = (lab.client(), lab.balancer());
    let node = lab.node("node-1");
    let clients = Family::BOTH.map(|family| ipnet::IpNet::from(client.ip(family)).to_string());
    with_ranges(&clients);
    endpoints(&cluster, &["pod-1-1"]);
    cluster.start();
    for family in Family::BOTH {
        let [vip, elsewhere @ ..] = outside_addresses(node, family);
        assert_eq!(ask::tcp(client.ns(), vip).unwrap().pod, "pod-1-1");
        for denied in [other.ns(), node.ns(), lab.pod("pod-1-2").ns()] {
            assert_silent(denied, vip);
            for at in elsewhere {
                assert_eq!(ask::tcp(denied, at).unwrap().pod, "pod-1-1");
            }
        }
    }

    // Who stays admitted is never cut off, whatever else changes.
    let open = Family::BOTH.map(|family| {
        let [vip, ..] = outside_addresses(node, family);
        (vip, ask::open(client.ns(), vip).unwrap())
    });
    let nodes = Family::BOTH.map(|family| ipnet::IpNet::from(node.ip(family)).to_string());
    with_ranges(&[&clients[..], &nodes].concat());
    for (vip, _) in &open {
        let here = Ok("pod-1-1".to_owned());
        becomes(here.clone(), "the answer to the node", || {
            who(ask::tcp_within(node.ns(), *vip, SILENCE))
        });
        assert_eq!(who(ask::tcp(client.ns(), *vip)), here);
        assert_silent(other.ns(), *vip);
    }

    // Of one family only: the other is closed.
    with_ranges(&clients[..1]);
    becomes(Err(Failure::TimedOut), "the answer over IPv6", || {
        who(ask::tcp_within(client.ns(), open[1].0, SILENCE))
    });
    assert_eq!(ask::tcp(client.ns(), open[0].0).unwrap().pod, "pod-1-1");

    cluster.apply("web", [web(&cluster)]);
    for (vip, _) in &open {
        becomes(Ok("pod-1-1".to_owned()), "the answer to anybody", || {
            who(ask::tcp_within(other.ns(), *vip, SILENCE))
        });
    }
    // Connections of before any of that still stand.
    for (_, stream) in open {
        assert!(stream.take_error().unwrap().is_none());
    }
}

fn addresses_of_no_service_are_dropped(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    endpoints(&cluster, &["pod-1-1"]);
    cluster.start();
    let lab = cluster.lab();
    // The node knows somebody who has such an address.
    let nowhere = Family::BOTH.map(|family| lab.cluster_ip(family, 200));
    let (node, client) = (lab.node("node-1"), lab.client());
    for (family, address) in Family::BOTH.into_iter().zip(nowhere) {
        client.add_address(address).unwrap();
        let to_client = node.host().add_route(address.into(), client.ip(family));
        to_client.unwrap();
        let to_pods = client.add_route(node.pod_cidr(family), node.ip(family));
        to_pods.unwrap();
    }
    let _servers = nowhere.map(|address| {
        let identity = Identity {
            pod: "elsewhere".to_owned(),
            node: String::new(),
        };
        let server = Echo::new(client.ns(), identity, &[address]);
        // The kernel takes a moment to make an IPv6 address its own.
        becomes(true, "that the address can be had", || {
            server.serve_lines(80).is_ok()
        });
        server
    });
    let pod = lab.pod("pod-1-2");
    let asked = |addresses: [IpAddr; 2], port| {
        addresses.map(|address| who(ask::tcp_within(pod.ns(), (address, port).into(), SILENCE)))
    };
    let elsewhere = [(); 2].map(|()| Ok("elsewhere".to_owned()));
    becomes(elsewhere.clone(), "the answer", || asked(nowhere, 80));

    let cidrs = Family::BOTH.map(|family| lab.service_cidr(family).to_string());
    let service_cidr = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": cidrs},
    });
    cluster.apply("cidr", [service_cidr]);
    let silence = [(); 2].map(|()| Err(Failure::TimedOut));
    becomes(silence, "the answer", || asked(nowhere, 80));
    let web = Family::BOTH.map(|family| lab.cluster_ip(family, 10));
    let refused = [(); 2].map(|()| Err(Failure::Refused));
    assert_eq!(asked(web, 81), refused);
    let served = [(); 2].map(|()| Ok("pod-1-1".to_owned()));
    assert_eq!(asked(web, VIP_PORT), served);

    cluster.delete("cidr");
    becomes(elsewhere, "the answer", || asked(nowhere, 80));
}
