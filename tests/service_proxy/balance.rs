//! `fairway.dev/balance: maglev`: a client's address decides which endpoint it gets, and
//! `fairway.dev/endpoint-weights`: how many get which.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Conversation};
use fairway_testkit::lab::{Host, Namespace};
use fairway_testkit::objects::{Object, Service, endpoint_slices};
use fairway_testkit::{Churn, Echo, Family, Lab, eventually};

use crate::support::{Ask, Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways};

fed_both_ways!(
    a_client_has_one_endpoint_on_every_node,
    most_clients_stay_when_another_endpoint_goes,
    all_ports_lead_a_client_to_one_endpoint,
    a_connection_has_one_endpoint_on_every_node,
    weights_are_the_shares_of_connections,
);

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];
const NODE_PORT: u16 = 30080;

fn cluster(feed: Feed) -> Cluster {
    Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(3))
}

fn web(cluster: &Cluster) -> Object<Service> {
    let service = cluster.service("web", 10).tcp("tcp", 80);
    let service = service.node_port(NODE_PORT).udp("udp", 80);
    service.node_port(NODE_PORT)
}

fn maglev(service: Object<Service>) -> Object<Service> {
    service.annotation("fairway.dev/balance", "maglev")
}

fn endpoints(cluster: &Cluster, without: Option<&str>) {
    let mut pods = cluster.lab().pods();
    pods.retain(|pod| Some(pod.name()) != without);
    cluster.apply("endpoints", endpoint_slices("web", &PORTS, &pods));
}

/// Everybody that answers in some tries: enough that a draw among six is seen, but once in 6^11.
fn answering(ask: Ask, client: &Namespace, at: SocketAddr) -> BTreeSet<String> {
    let replies = (0..12).map(|_| ask(client, at).unwrap());
    replies.map(|reply| reply.pod).collect()
}

fn one(answering: BTreeSet<String>) -> String {
    assert_eq!(answering.len(), 1, "{answering:?}");
    answering.into_iter().next().unwrap()
}

fn hosts(cluster: &Cluster) -> [&Host; 2] {
    [cluster.lab().client(), cluster.lab().balancer()]
}

fn at_node(cluster: &Cluster, node: &str, family: Family) -> SocketAddr {
    (cluster.lab().node(node).ip(family), NODE_PORT).into()
}

/// Also after a restart, which has nothing to write.
fn a_client_has_one_endpoint_on_every_node(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster)]);
    endpoints(&cluster, None);
    cluster.start();
    let client = cluster.lab().client().ns();
    let is_spread = |family| {
        let at = at_node(&cluster, "node-1", family);
        TCP_AND_UDP.map(|ask| answering(ask, client, at).len() > 1)
    };
    for family in Family::BOTH {
        assert_eq!(is_spread(family), [true; 2], "drawn without the annotation");
    }
    cluster.apply("web", [maglev(web(&cluster))]);
    for node in ["node-1", "node-2"] {
        becomes(true, "clients are hashed", || {
            let tables = cluster.tables(node);
            // For addresses and for node ports, in both families.
            tables.matches("jhash").count() == 4
        });
    }
    for family in Family::BOTH {
        becomes(true, "not drawn", || is_spread(family) == [false; 2]);
        for host in hosts(&cluster) {
            let at = ["node-1", "node-2"].map(|node| at_node(&cluster, node, family));
            for ask in TCP_AND_UDP {
                let [here, there] = at.map(|at| one(answering(ask, host.ns(), at)));
                assert_eq!(here, there, "{host:?}");
            }
        }
        for pod in cluster.lab().pods() {
            let at = cluster.cluster_ip(family, 10, 80);
            one(answering(ask::tcp, pod.ns(), at));
        }
    }
    cluster.agent("node-1").kill().unwrap();
    let agent = cluster.start_agent("node-1");
    for family in ["ip", "ip6"] {
        let line = format!("family={family} writes=0");
        agent.wait_for_log(&line, Duration::from_secs(30)).unwrap();
    }
    cluster.apply("web", [web(&cluster)]);
    becomes(false, "clients are hashed", || {
        let tables = cluster.tables("node-1");
        tables.contains("jhash") || tables.contains("maglev")
    });
    for family in Family::BOTH {
        becomes(true, "drawn again", || is_spread(family) == [true; 2]);
    }
}

fn most_clients_stay_when_another_endpoint_goes(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [maglev(web(&cluster))]);
    endpoints(&cluster, None);
    cluster.start();
    let pods = cluster.lab().pods();
    let clients: Vec<&Namespace> = pods.iter().map(|pod| pod.ns()).collect();
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        let homes = || -> Vec<String> {
            let homes = clients.iter().map(|client| ask::tcp(client, at));
            homes.map(|reply| reply.unwrap().pod).collect()
        };
        let before = homes();
        let gone = &before[0];
        endpoints(&cluster, Some(gone));
        // An API server tells the families one after the other.
        let known = |wanted: bool| {
            for node in ["node-1", "node-2"] {
                for ip in Family::BOTH.map(|family| cluster.lab().pod(gone).ip(family)) {
                    becomes(wanted, "an endpoint", || {
                        cluster.tables(node).contains(&format!(": {ip} . "))
                    });
                }
            }
        };
        known(false);
        let after = homes();
        let stayed = before.iter().zip(&after).filter(|(old, new)| old == new);
        let others = before.iter().filter(|home| *home != gone).count();
        // The addresses of the lab are fixed, so this is no matter of luck: a twentieth moves.
        assert!(stayed.count() + 1 >= others, "{before:?}, {after:?}");
        // The endpoint comes back, and with it everything as it was: the past does not count.
        endpoints(&cluster, None);
        known(true);
        becomes(true, "as before", || homes() == before);
    }
}

/// kubernetes/kubernetes#103000.
fn all_ports_lead_a_client_to_one_endpoint(feed: Feed) {
    let cluster = cluster(feed);
    let service = cluster.service("web", 10).tcp("a", 80).tcp("b", 81);
    cluster.apply("web", [maglev(service.udp("c", 82))]);
    let ports = [
        ("a", Protocol::Tcp, Echo::LINES),
        ("b", Protocol::Tcp, Echo::LINES),
        ("c", Protocol::Udp, Echo::LINES),
    ];
    let pods = cluster.lab().pods();
    cluster.apply("endpoints", endpoint_slices("web", &ports, &pods));
    cluster.start();
    let mut homes = BTreeSet::new();
    for family in Family::BOTH {
        for pod in &pods {
            let ports: [(u16, Ask); 3] = [(80, ask::tcp), (81, ask::tcp), (82, ask::udp)];
            let [a, b, c] = ports.map(|(port, ask)| {
                one(answering(
                    ask,
                    pod.ns(),
                    cluster.cluster_ip(family, 10, port),
                ))
            });
            assert_eq!((&a, &a), (&b, &c), "{}", pod.name());
            homes.insert(a);
        }
    }
    assert!(homes.len() > 1, "everybody is at {homes:?}");
}

/// A router that spreads connections over nodes, and changes its mind, breaks none of them.
fn a_connection_has_one_endpoint_on_every_node(feed: Feed) {
    // Not one that the client takes by itself.
    const PORTS: std::ops::Range<u16> = 20_000..20_016;
    let cluster = cluster(feed);
    let service = web(&cluster).annotation("fairway.dev/balance", "maglev-connection");
    cluster.apply("web", [service]);
    endpoints(&cluster, None);
    cluster.start();
    let client = cluster.lab().client().ns();
    for family in Family::BOTH {
        let home = |node, port| {
            let at = at_node(&cluster, node, family);
            // A program that another test is about to start holds the last one's port for a moment,
            // between its fork and its exec.
            let open = || Conversation::udp_from(client, port, at);
            let conversation = eventually("a free port", open);
            conversation.ask().unwrap().pod
        };
        let homes = |node| PORTS.map(|port| home(node, port)).collect::<Vec<_>>();
        let here = homes("node-1");
        assert_eq!(here, homes("node-2"), "{family:?}");
        let pods: BTreeSet<_> = here.into_iter().collect();
        // The ports are fixed, and the addresses of the lab: no matter of luck.
        assert!(pods.len() > 3, "{family:?}: all at {pods:?}");
        assert!(answering(ask::tcp, client, at_node(&cluster, "node-1", family)).len() > 1);
    }
}

fn weights_are_the_shares_of_connections(feed: Feed) {
    const CONVERSATIONS: u64 = 600;
    let cluster = cluster(feed);
    let weights = |family| {
        let ip = |pod| cluster.lab().pod(pod).ip(family);
        let others = ["pod-1-3", "pod-2-1", "pod-2-2"].map(|pod| format!("{}=0", ip(pod)));
        format!("{}=4, {}", ip("pod-1-1"), others.join(", "))
    };
    let weights = Family::BOTH.map(weights).join(", ");
    let service = web(&cluster).annotation("fairway.dev/endpoint-weights", &weights);
    cluster.apply("web", [service]);
    endpoints(&cluster, None);
    cluster.start();
    let lab = cluster.lab();
    let pod = lab.pod("pod-2-1");
    for family in Family::BOTH {
        let from_pod = (pod.ns(), cluster.cluster_ip(family, 10, 80));
        let from_client = (lab.client().ns(), at_node(&cluster, "node-1", family));
        for (client, at) in [from_pod, from_client] {
            let churn = Churn::tcp([at]).conversations(CONVERSATIONS);
            let report = churn.run(client).unwrap();
            assert_eq!(report.failed(), 0, "{report}");
            let of = |pod: &str| report.by_pod.get(pod).copied().unwrap_or_default() as f64;
            let pods: Vec<_> = report.by_pod.keys().map(String::as_str).collect();
            assert_eq!(pods, ["pod-1-1", "pod-1-2", "pod-2-3"], "{report}");
            // 4 of 6 connections, within six standard deviations.
            let expected = CONVERSATIONS as f64 * 4.0 / 6.0;
            let tolerance = 6.0 * (expected * (2.0 / 6.0)).sqrt();
            assert!((of("pod-1-1") - expected).abs() < tolerance, "{report}");
        }
    }
}
