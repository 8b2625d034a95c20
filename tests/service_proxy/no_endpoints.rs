//! A Service without endpoints says so at once instead of keeping its clients waiting.

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab};

use crate::support::{Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways, who};

fed_both_ways!(refused_until_the_first_and_after_the_last_endpoint);

fn refused_until_the_first_and_after_the_last_endpoint(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080);
    cluster.apply("service", [service]);
    cluster.route_cluster_ips("node-1");
    cluster.start();

    // Refused is a reset or an ICMP message; a packet that is dropped would time out.
    let refused = Err(Failure::Refused);
    let pod = lab.pod("pod-1-1");
    let clients = [pod.ns(), lab.node("node-1").ns(), lab.client().ns()];
    let all_refuse = || {
        for family in Family::BOTH {
            for ask in TCP_AND_UDP {
                for client in clients {
                    let asked = ask(client, cluster.cluster_ip(family, 10, 80));
                    assert_eq!(who(asked), refused);
                    for node in lab.nodes() {
                        let asked = ask(client, (node.ip(family), 30080).into());
                        assert_eq!(who(asked), refused, "by {}", node.name());
                    }
                }
            }
        }
    };
    // From both nodes, until the change has arrived everywhere.
    let becomes_refused = |wanted: bool| {
        for family in Family::BOTH {
            for node in lab.nodes() {
                becomes(wanted, "refused", || {
                    let asked = ask::tcp(lab.client().ns(), (node.ip(family), 30080).into());
                    who(asked) == refused
                });
            }
        }
    };
    all_refuse();

    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    cluster.apply("slices", endpoint_slices("web", &ports, &[]));
    all_refuse();
    for _ in 0..2 {
        let pods = [lab.pod("pod-2-1")];
        cluster.apply("slices", endpoint_slices("web", &ports, &pods));
        becomes_refused(false);
        for family in Family::BOTH {
            for ask in TCP_AND_UDP {
                for client in clients {
                    ask(client, cluster.cluster_ip(family, 10, 80)).unwrap();
                    for node in lab.nodes() {
                        ask(client, (node.ip(family), 30080).into()).unwrap();
                    }
                }
            }
        }
        // Once an empty slice is left, once none.
        cluster.apply("slices", endpoint_slices("web", &ports, &[]));
        becomes_refused(true);
        all_refuse();
        cluster.delete("slices");
        all_refuse();
    }
}
