//! `sessionAffinity: ClientIP`: who comes again finds the endpoint he had.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::ask;
use fairway_testkit::lab::{Namespace, Pod};
use fairway_testkit::objects::{Object, Service, endpoint_slice, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab, nft};

use crate::support::{Ask, Cluster, Feed, TCP_AND_UDP, becomes, fed_both_ways};

fed_both_ways!(
    a_client_stays_with_its_endpoint,
    the_key_is_the_clients_own_address,
    each_connection_renews_the_stay_and_idleness_ends_it,
    affinity_is_switched_on_and_off,
    a_removed_endpoint_frees_its_clients,
    a_terminating_endpoint_frees_its_clients,
    each_port_has_its_own_affinity,
    clients_stay_over_restarts_and_changes_of_others,
    the_rules_do_not_grow_with_endpoints,
);

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];
const NODE_PORT: u16 = 30080;
const SECONDS: u32 = 600;
/// Enough that nobody gets the same of three endpoints by chance: once in 3^19.
const TRIES: usize = 20;

fn cluster(feed: Feed) -> Cluster {
    Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(3))
}

fn web(cluster: &Cluster, seconds: u32) -> Object<Service> {
    plain(cluster).client_ip_affinity(seconds)
}

fn plain(cluster: &Cluster) -> Object<Service> {
    cluster.service("web", 10).tcp("tcp", 80).udp("udp", 80)
}

fn endpoints(cluster: &Cluster, names: &[&str]) {
    let pods: Vec<_> = names.iter().map(|name| cluster.lab().pod(name)).collect();
    cluster.apply("endpoints", endpoint_slices("web", &PORTS, &pods));
}

const ON_NODE_1: [&str; 3] = ["pod-1-1", "pod-1-2", "pod-1-3"];
const ALL: [&str; 6] = [
    "pod-1-1", "pod-1-2", "pod-1-3", "pod-2-1", "pod-2-2", "pod-2-3",
];

/// Everybody that answers in many tries.
fn answering(ask: Ask, client: &Namespace, at: SocketAddr) -> BTreeSet<String> {
    let replies = (0..TRIES).map(|_| ask(client, at).unwrap());
    replies.map(|reply| reply.pod).collect()
}

/// The one that answers in many tries.
#[track_caller]
fn only(ask: Ask, client: &Namespace, at: SocketAddr) -> String {
    let answering = answering(ask, client, at);
    assert_eq!(answering.len(), 1, "{client:?} to {at}: {answering:?}");
    answering.into_iter().next().unwrap()
}

fn is_spread(ask: Ask, client: &Namespace, at: SocketAddr) -> bool {
    answering(ask, client, at).len() > 1
}

/// The clients that a node remembers for a timeout, as nft lists them; none if there is no such map.
fn clients(cluster: &Cluster, family: Family, map: &str) -> String {
    let node = cluster.lab().node("node-1");
    let map = format!("{map} {{");
    let table = nft::list_table(node.ns(), family, "fairway").unwrap();
    let map = table.split_once(&map).map(|(_, rest)| rest);
    let map = map.and_then(|rest| rest.split_once('}').map(|_| rest));
    map.map_or_else(String::new, |rest| {
        rest.split("\n\t}").next().unwrap_or_default().to_owned()
    })
}

fn a_client_stays_with_its_endpoint(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster, SECONDS)]);
    endpoints(&cluster, &ALL);
    cluster.start();
    let lab = cluster.lab();
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        for ask in TCP_AND_UDP {
            // Pods on both nodes, and a node itself.
            let pods = lab.pods();
            let clients = pods.iter().map(|pod| pod.ns());
            for client in clients.chain([lab.node("node-1").ns()]) {
                only(ask, client, at);
            }
        }
    }
}

/// By way of node ports and load balancers, whether the node masquerades the client or not.
fn the_key_is_the_clients_own_address(feed: Feed) {
    let cluster = cluster(feed);
    let vip = |family| match family {
        Family::V4 => IpAddr::from([198, 51, 100, 10]),
        Family::V6 => "fd00:198:51:100::10".parse().unwrap(),
    };
    let lab = cluster.lab();
    let node = lab.node("node-1");
    for family in Family::BOTH {
        for host in [lab.client(), lab.balancer()] {
            host.add_route(vip(family).into(), node.ip(family)).unwrap();
        }
    }
    let web = || {
        let service = cluster.service("web", 10).tcp("tcp", 80);
        let service = service.node_port(NODE_PORT).udp("udp", 80);
        Family::BOTH
            .into_iter()
            .fold(service.client_ip_affinity(SECONDS), |service, family| {
                service.load_balancer_ip(vip(family))
            })
    };
    cluster.apply("web", [web()]);
    endpoints(&cluster, &ALL);
    cluster.start();

    for (policy, map) in [("Cluster", "clients-600"), ("Local", "local-clients-600")] {
        let service = web().set("/spec", "externalTrafficPolicy", policy);
        cluster.apply("web", [service]);
        for family in Family::BOTH {
            becomes(true, "the map of clients is there", || {
                !clients(&cluster, family, &format!("map {map}")).is_empty()
            });
            let frontends = [
                SocketAddr::new(vip(family), 80),
                (node.ip(family), NODE_PORT).into(),
            ];
            for at in frontends {
                for client in [lab.client(), lab.balancer()] {
                    let pod = only(ask::tcp, client.ns(), at);
                    let on_node = lab.pod(&pod).node() == "node-1";
                    assert!(policy == "Cluster" || on_node, "{pod} is not local");
                    let remembered = clients(&cluster, family, &format!("map {map}"));
                    let key = format!("{} . {} . tcp . {} ", client.ip(family), at.ip(), at.port());
                    assert!(remembered.contains(&key), "{key} in {remembered}");
                }
            }
            // The detour for pods of this node has a memory of its own.
            let pod = lab.pod("pod-1-1");
            for at in frontends {
                only(ask::tcp, pod.ns(), at);
            }
        }
    }
}

fn each_connection_renews_the_stay_and_idleness_ends_it(feed: Feed) {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster, 2)]);
    endpoints(&cluster, &ALL);
    cluster.start();
    let pod = cluster.lab().pod("pod-1-1");
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        // Stays longer than the timeout alone allows. A pause of the machine's may end a stay.
        let mut start = Instant::now();
        let mut before = (start, ask::tcp(pod.ns(), at).unwrap().pod);
        while start.elapsed() < TIMEOUT * 3 / 2 {
            let now = ask::tcp(pod.ns(), at).unwrap().pod;
            if before.0.elapsed() < TIMEOUT {
                assert_eq!(now, before.1);
            } else {
                start = Instant::now();
            }
            before = (Instant::now(), now);
            std::thread::sleep(TIMEOUT / 20);
        }
        becomes(false, "remembered", || {
            clients(&cluster, family, "map clients-2").contains(&pod.ip(family).to_string())
        });
    }
}

fn affinity_is_switched_on_and_off(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [plain(&cluster)]);
    endpoints(&cluster, &ALL);
    cluster.start();
    let pod = cluster.lab().pod("pod-1-1");
    let each = |wanted: bool, what: &str| {
        for family in Family::BOTH {
            let at = cluster.cluster_ip(family, 10, 80);
            for ask in TCP_AND_UDP {
                becomes(wanted, what, || is_spread(ask, pod.ns(), at));
            }
        }
    };
    each(true, "spread without affinity");
    cluster.apply("web", [web(&cluster, SECONDS)]);
    each(false, "spread with affinity");
    // Another timeout is another memory.
    cluster.apply("web", [web(&cluster, 700)]);
    for family in Family::BOTH {
        becomes(true, "remembered for the new time", || {
            ask::tcp(pod.ns(), cluster.cluster_ip(family, 10, 80)).unwrap();
            clients(&cluster, family, "map clients-700").contains(&pod.ip(family).to_string())
        });
        assert_eq!(clients(&cluster, family, "map clients-600"), "");
    }
    cluster.apply("web", [plain(&cluster)]);
    each(true, "spread without affinity again");
    let tables = cluster.tables("node-1");
    let left = tables.lines().find(|line| line.contains("affinity"));
    assert_eq!(left, None);
}

fn a_removed_endpoint_frees_its_clients(feed: Feed) {
    loses_its_clients(feed, |cluster, gone| {
        let left: Vec<_> = ON_NODE_1.into_iter().filter(|name| *name != gone).collect();
        endpoints(cluster, &left);
    });
}

fn a_terminating_endpoint_frees_its_clients(feed: Feed) {
    loses_its_clients(feed, |cluster, gone| {
        let slices = Family::BOTH.map(|family| {
            let slice = endpoint_slice("web", family)
                .tcp("tcp", Echo::LINES)
                .udp("udp", Echo::LINES);
            let add = |slice, name: &str| -> Object<_> {
                let pod: Arc<Pod> = cluster.lab().pod(name);
                let slice = Object::pod(slice, &pod);
                if name == gone {
                    slice.terminating(true)
                } else {
                    slice
                }
            };
            ON_NODE_1.into_iter().fold(slice, add).build()
        });
        cluster.apply("endpoints", slices);
    });
}

fn loses_its_clients(feed: Feed, lose: impl Fn(&Cluster, &str)) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster, SECONDS)]);
    endpoints(&cluster, &ON_NODE_1);
    cluster.start();
    let pods = ON_NODE_1.map(|name| cluster.lab().pod(name));
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        for ask in TCP_AND_UDP {
            let homes: Vec<_> = pods.iter().map(|pod| only(ask, pod.ns(), at)).collect();
            let gone = homes[0].clone();
            let ip = cluster.lab().pod(&gone).ip(family);
            lose(&cluster, &gone);
            // A stay that begins while the old one is being ended may end with it, once. All are ended before
            // what the endpoint needed on its own node is released.
            becomes(false, "what it needs is there", || {
                cluster.tables("node-1").contains(&format!("{ip} . {ip}"))
            });
            // Who was elsewhere stays there, and who had to go has one new home.
            let new_homes: Vec<_> = pods.iter().map(|pod| only(ask, pod.ns(), at)).collect();
            for (home, new_home) in homes.iter().zip(&new_homes) {
                assert_ne!(*new_home, gone);
                if *home != gone {
                    assert_eq!(new_home, home);
                }
            }
            endpoints(&cluster, &ON_NODE_1);
            becomes(true, "back in use", || {
                let table = cluster.tables("node-1");
                table.contains(&format!(". {ip} . {}", Echo::LINES))
            });
            assert_eq!(only(ask, pods[0].ns(), at), new_homes[0]);
        }
    }
}

/// As in kube-proxy: kubernetes/kubernetes#103000.
fn each_port_has_its_own_affinity(feed: Feed) {
    let cluster = cluster(feed);
    let ports = ["a", "b"].map(|name| (name, Protocol::Tcp, Echo::LINES));
    let service = cluster.service("web", 10).tcp("a", 80).tcp("b", 81);
    cluster.apply("web", [service.client_ip_affinity(SECONDS)]);
    cluster.apply(
        "endpoints",
        endpoint_slices("web", &ports, &cluster.lab().pods()),
    );
    cluster.start();
    let pods = cluster.lab().pods();
    let homes = pods.iter().flat_map(|pod| {
        Family::BOTH.map(|family| {
            [80, 81].map(|port| {
                let at = cluster.cluster_ip(family, 10, port);
                only(ask::tcp, pod.ns(), at)
            })
        })
    });
    // That all agree by chance happens once in 6^12.
    let differ = homes.filter(|[a, b]| a != b).count();
    assert!(differ > 0, "nobody has two homes");
}

fn clients_stay_over_restarts_and_changes_of_others(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster, SECONDS)]);
    endpoints(&cluster, &ALL);
    // Another Service with the same timeout: what it loses is looked for in the same map.
    let other = || {
        let service = cluster.service("other", 20).tcp("tcp", 80).udp("udp", 80);
        service.client_ip_affinity(SECONDS)
    };
    let pods = cluster.lab().pods();
    let others = |count| endpoint_slices("other", &PORTS, &pods[..count]);
    cluster.apply("other", [other()]);
    cluster.apply("other-endpoints", others(3));
    cluster.start();
    let everybody = |number| {
        let homes = pods.iter().flat_map(|pod| {
            Family::BOTH
                .map(|family| only(ask::tcp, pod.ns(), cluster.cluster_ip(family, number, 80)))
        });
        homes.collect::<Vec<_>>()
    };
    let homes = everybody(10);
    everybody(20);
    cluster.apply("other-endpoints", others(1));
    for family in Family::BOTH {
        becomes(true, "one endpoint left", || {
            let at = cluster.cluster_ip(family, 20, 80);
            ask::tcp(pods[1].ns(), at).unwrap().pod == pods[0].name()
        });
    }
    assert_eq!(everybody(10), homes);
    for node in ["node-1", "node-2"] {
        cluster.agent(node).kill().unwrap();
        let agent = cluster.start_agent(node);
        for family in ["ip", "ip6"] {
            let line = format!("family={family} writes=0");
            agent.wait_for_log(&line, Duration::from_secs(30)).unwrap();
        }
    }
    assert_eq!(everybody(10), homes);
    cluster.delete("other");
    becomes(false, "the other Service's affinity", || {
        let address = cluster.lab().cluster_ip(Family::V4, 20).to_string();
        cluster.tables("node-1").contains(&address)
    });
    assert_eq!(everybody(10), homes);
}

/// The chains of a table that affinity consists of, without their elements.
fn the_rules_do_not_grow_with_endpoints(feed: Feed) {
    let cluster = cluster(feed);
    cluster.apply("web", [web(&cluster, SECONDS)]);
    let fill = |count: u8| {
        let slices = Family::BOTH.map(|family| {
            let slice = endpoint_slice("web", family)
                .tcp("tcp", Echo::LINES)
                .udp("udp", Echo::LINES);
            let address = |number| match family {
                Family::V4 => IpAddr::from([203, 0, 113, number]),
                Family::V6 => format!("fd00:203::{number}").parse().unwrap(),
            };
            let add = |slice: Object<_>, number| slice.endpoint(address(number), None);
            (1..=count).fold(slice, add).build()
        });
        cluster.apply("endpoints", slices);
    };
    let chains = || {
        let tables = cluster.tables("node-1");
        let chains = tables.split("chain ").skip(1);
        let ours =
            chains.filter(|chain| chain.starts_with("sticky") || chain.starts_with("remember"));
        let ours: Vec<_> = ours
            .map(|chain| chain.split('}').next().unwrap_or_default().to_owned())
            .collect();
        ours
    };
    fill(2);
    cluster.start();
    let with_two = chains();
    assert_eq!(with_two.len(), 2 * 5, "{with_two:#?}");
    fill(100);
    becomes(true, "a hundred endpoints", || {
        cluster.tables("node-1").contains("203.0.113.100")
    });
    assert_eq!(chains(), with_two);
}
