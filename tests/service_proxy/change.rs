//! Services that change while they are used.

use std::net::SocketAddr;

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::{Object, Service, endpoint_slices};
use fairway_testkit::{Churn, Echo, Family, Lab};
use serde_json::Value;

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    cluster_ips_move_between_services,
    ports_change_in_place,
    a_service_is_replaced_by_its_namesake,
    external_names_come_and_go,
    labels_hide_services_and_slices,
);

/// The pod that answers, or why none does.
type Answer = Result<String, Failure>;

fn cluster_ips_move_between_services(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let pods = ["pod-1-1", "pod-2-1"];
    for (name, pod) in ["a", "b"].iter().zip(pods) {
        let ports = [("", Protocol::Tcp, Echo::LINES)];
        cluster.apply(name, endpoint_slices(name, &ports, &[lab.pod(pod)]));
    }
    // B is as old as A, so that the name decides who has what both want.
    let swap = |a: u8, b: u8| {
        let services = [("a", a), ("b", b)].map(|(name, number)| {
            let service = cluster.service(name, number);
            service.tcp("", 80).node_port(30000 + u16::from(number))
        });
        cluster.apply("services", services);
    };
    swap(10, 11);
    cluster.start();
    let check = |numbers: [u8; 2]| {
        for family in Family::BOTH {
            for (number, pod) in numbers.into_iter().zip(pods) {
                let expected: Answer = Ok(pod.to_owned());
                let at = cluster.cluster_ip(family, number, 80);
                let client = lab.pod("pod-1-2");
                becomes(expected.clone(), "ClusterIP", || answer(client.ns(), at));
                for node in lab.nodes() {
                    let port = 30000 + u16::from(number);
                    let at = (node.ip(family), port).into();
                    let client = lab.client().ns();
                    becomes(expected.clone(), "node port", || answer(client, at));
                }
            }
        }
    };
    check([10, 11]);
    let both = Family::BOTH.map(|family| [10, 11].map(|n| cluster.cluster_ip(family, n, 80)));
    let churn = Churn::tcp(both.into_iter().flatten()).start(lab.pod("pod-2-2").ns());
    for [a, b] in [[11, 10], [10, 11], [11, 10]] {
        swap(a, b);
        check([a, b]);
    }
    let report = churn.stop().unwrap();
    match feed {
        // A file changes at once, so that somebody has each address all the time.
        Feed::Manifests => assert_eq!(report.failed(), 0, "{report}"),
        // One object after the other: for a moment one address is wanted by both, one by neither.
        Feed::Api => assert!(report.succeeded() > 0, "{report}"),
    }
    for [a, b] in [[12, 10], [10, 12]] {
        swap(a, b);
        check([a, b]);
    }
}

fn ports_change_in_place(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let set = |port: u16, node_port: u16, target: u16| {
        let service = cluster
            .service("web", 10)
            .tcp("", port)
            .node_port(node_port);
        let slices = endpoint_slices("web", &[("", Protocol::Tcp, target)], &[lab.pod("pod-1-1")]);
        cluster.apply("web", slices.into_iter().chain([service.build()]));
    };
    lab.pod("pod-1-1").echo().serve_lines(9001).unwrap();
    set(80, 30080, Echo::LINES);
    cluster.start();
    for (port, node_port, target) in [
        (81, 30081, Echo::LINES),
        (80, 30081, 9001),
        (80, 30080, 9001),
    ] {
        set(port, node_port, target);
        for family in Family::BOTH {
            let client = lab.client().ns();
            let pod = lab.pod("pod-1-2");
            let asked = |client, at| {
                let reply = ask::tcp(client, at).map_err(|error| error.failure());
                reply.map(|reply| reply.own.port())
            };
            let at = |port| cluster.cluster_ip(family, 10, port);
            let closed = |open: u16, [a, b]: [u16; 2]| if open == a { b } else { a };
            becomes(Ok(target), "new port", || asked(pod.ns(), at(port)));
            becomes(Err(Failure::Refused), "old port", || {
                asked(pod.ns(), at(closed(port, [80, 81])))
            });
            for node in lab.nodes() {
                let at = |port| (node.ip(family), port).into();
                becomes(Ok(target), "new node port", || asked(client, at(node_port)));
                becomes(Err(Failure::Refused), "old node port", || {
                    asked(client, at(closed(node_port, [30080, 30081])))
                });
            }
        }
    }
}

fn a_service_is_replaced_by_its_namesake(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let recreate = |pod| {
        let ports = [("", Protocol::Tcp, Echo::LINES)];
        let slices = endpoint_slices("web", &ports, &[lab.pod(pod)]);
        cluster.delete("web");
        cluster.apply("web", slices.into_iter().chain([web(&cluster).build()]));
    };
    recreate("pod-1-1");
    cluster.start();
    for pod in ["pod-1-1", "pod-2-1", "pod-1-1"] {
        recreate(pod);
        all_answer(&cluster, Ok(pod));
    }
}

fn external_names_come_and_go(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    cluster.apply(
        "slices",
        endpoint_slices("web", &ports, &[lab.pod("pod-1-1")]),
    );
    cluster.apply("web", [web(&cluster)]);
    cluster.start();
    all_answer(&cluster, Ok("pod-1-1"));
    // The ClusterIP stays in the object when somebody converts it carelessly.
    cluster.apply("web", [web(&cluster).external_name("elsewhere.example")]);
    nobody_answers(&cluster);
    cluster.apply("web", [web(&cluster)]);
    all_answer(&cluster, Ok("pod-1-1"));
    let plain = fairway_testkit::objects::service("web").external_name("elsewhere.example");
    cluster.apply("web", [plain]);
    nobody_answers(&cluster);
    cluster.apply("web", [web(&cluster)]);
    all_answer(&cluster, Ok("pod-1-1"));
}

fn labels_hide_services_and_slices(feed: Feed) {
    let cluster = cluster(feed);
    let lab = cluster.lab();
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let slices = endpoint_slices("web", &ports, &[lab.pod("pod-1-1")]);
    cluster.apply("slices", slices.clone());
    cluster.apply("web", [web(&cluster)]);
    cluster.start();
    all_answer(&cluster, Ok("pod-1-1"));
    for value in ["other-proxy", ""] {
        let label = "service.kubernetes.io/service-proxy-name";
        cluster.apply("web", [web(&cluster).label(label, value)]);
        nobody_answers(&cluster);
        cluster.apply("web", [web(&cluster)]);
        all_answer(&cluster, Ok("pod-1-1"));
    }
    let headless = slices.iter().cloned().map(|mut slice| {
        slice["metadata"]["labels"]["service.kubernetes.io/headless"] = "".into();
        slice
    });
    cluster.apply("slices", headless.collect::<Vec<Value>>());
    all_answer(&cluster, Err(Failure::Refused));
    cluster.apply("slices", slices);
    all_answer(&cluster, Ok("pod-1-1"));
}

fn cluster(feed: Feed) -> Cluster {
    Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2))
}

fn web(cluster: &Cluster) -> Object<Service> {
    cluster.service("web", 10).tcp("", 80).node_port(30080)
}

fn answer(client: &Namespace, at: SocketAddr) -> Answer {
    who(ask::tcp(client, at))
}

/// Waits until `web` answers so by ClusterIP and by every node's port.
fn all_answer(cluster: &Cluster, expected: Result<&str, Failure>) {
    let lab = cluster.lab();
    let expected = expected.map(str::to_owned);
    for family in Family::BOTH {
        let at = cluster.cluster_ip(family, 10, 80);
        for pod in ["pod-1-2", "pod-2-2"] {
            becomes(expected.clone(), "ClusterIP", || {
                answer(lab.pod(pod).ns(), at)
            });
        }
        for node in lab.nodes() {
            let at = (node.ip(family), 30080).into();
            becomes(expected.clone(), "node port", || {
                answer(lab.client().ns(), at)
            });
        }
    }
}

/// Waits until the addresses of `web` are as if there had never been such a Service.
fn nobody_answers(cluster: &Cluster) {
    let lab = cluster.lab();
    for node in lab.nodes() {
        for family in Family::BOTH {
            let cluster_ip = lab.cluster_ip(family, 10).to_string();
            becomes(false, "whether the table has the ClusterIP", || {
                cluster.tables(node.name()).contains(&cluster_ip)
            });
            // The node itself has no such port.
            let at = (node.ip(family), 30080).into();
            let client = lab.client().ns();
            assert_eq!(answer(client, at), Err(Failure::Refused));
        }
    }
    // Of IPv6's "unreachable" TCP hears only with its second packet, a second later.
    let at = cluster.cluster_ip(Family::V4, 10, 80);
    for pod in ["pod-1-2", "pod-2-2"] {
        assert_eq!(answer(lab.pod(pod).ns(), at), Err(Failure::Unreachable));
    }
}
