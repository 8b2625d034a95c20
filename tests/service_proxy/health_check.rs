//! `healthCheckNodePort`: where load balancers learn which nodes have endpoints.

use std::net::{IpAddr, SocketAddr, TcpListener};

use fairway_testkit::ask::{self, Failure};
use fairway_testkit::lab::Pod;
use fairway_testkit::objects::{self, EndpointSlice, Object, Service, endpoint_slice};
use fairway_testkit::{Agent, Echo, Family, Lab};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(
    health_checks_answer_as_kube_proxys_do,
    health_checks_drain_a_node_that_still_serves,
    health_checks_follow_their_service,
    health_checks_wait_for_a_port_in_use,
    health_checks_are_served_where_node_ports_are,
);

const CHECK: u16 = 32080;
const NODE_PORT: u16 = 30080;

fn web(cluster: &Cluster, check: u16) -> Object<Service> {
    cluster
        .service("web", 10)
        .tcp("http", 80)
        .node_port(NODE_PORT)
        .tcp("admin", 81)
        .kind("LoadBalancer")
        .external_traffic_local()
        .set("/spec", "healthCheckNodePort", json!(check))
}

/// Slices of `web` for both of its ports, changed endpoint by endpoint.
fn endpoints(
    cluster: &Cluster,
    pods: &[&str],
    change: impl Fn(Object<EndpointSlice>, &Pod) -> Object<EndpointSlice>,
) {
    let slice = |family| {
        let ports = endpoint_slice("web", family)
            .tcp("http", Echo::LINES)
            .tcp("admin", Echo::HTTP);
        let add = |slice: Object<EndpointSlice>, name: &&str| {
            let pod = cluster.lab().pod(name);
            change(slice.pod(&pod), &pod)
        };
        pods.iter().fold(ports, add).build()
    };
    cluster.apply("endpoints", Family::BOTH.map(slice));
}

/// What a load balancer is told: the status, and the endpoints in the header and in the body.
fn told(cluster: &Cluster, at: SocketAddr) -> Result<(u16, usize), Failure> {
    let balancer = cluster.lab().balancer().ns();
    let response = ask::http_get(balancer, at, "node", "/").map_err(|error| error.failure())?;
    let weight = &response.headers["x-load-balancing-endpoint-weight"];
    let weight = weight.to_str().unwrap().parse().unwrap();
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["localEndpoints"], weight);
    assert_eq!(body["serviceProxyHealthy"], true);
    Ok((response.status.as_u16(), weight))
}

fn at(cluster: &Cluster, node: &str, family: Family, port: u16) -> SocketAddr {
    (cluster.lab().node(node).ip(family), port).into()
}

fn becomes_told(cluster: &Cluster, port: u16, expected: Result<(u16, usize), Failure>) {
    for family in Family::BOTH {
        let at = at(cluster, "node-1", family, port);
        becomes(expected, "the health check", || told(cluster, at));
    }
}

fn health_checks_answer_as_kube_proxys_do(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(2));
    cluster.apply("web", [web(&cluster, CHECK)]);
    endpoints(&cluster, &["pod-1-1", "pod-1-2"], |slice, _| slice);
    cluster.start();
    let balancer = cluster.lab().balancer().ns();
    for (node, status, count) in [("node-1", 200, 2), ("node-2", 503, 0)] {
        for family in Family::BOTH {
            let at = at(&cluster, node, family, CHECK);
            for (method, path) in [
                (Method::GET, "/"),
                (Method::GET, "/healthz?verbose"),
                (Method::POST, "/any/path"),
                (Method::DELETE, "/web"),
            ] {
                let request = http::Request::builder().method(method).uri(path);
                let request = request.header("host", "node").body(bytes::Bytes::new());
                let response = ask::http(balancer, at, request.unwrap()).unwrap();
                assert_eq!(response.status, status);
                for (header, value) in [
                    ("content-type", "application/json"),
                    ("x-content-type-options", "nosniff"),
                    ("x-load-balancing-endpoint-weight", &count.to_string()),
                ] {
                    assert_eq!(response.headers[header], value);
                }
                let body = format!(
                    "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\
                     \t}},\n\t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": true\n}}"
                );
                assert_eq!(response.text(), body);
            }
        }
    }

    // The node is about to go: that is for /healthz to say.
    let mut nodes: Vec<Value> = cluster.lab().nodes().iter().map(objects::node).collect();
    let taint = json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    nodes[0]["spec"]["taints"] = taint;
    cluster.apply("nodes", nodes);
    let health = |path| {
        let node = cluster.lab().node("node-1").ns();
        let response = ask::http_get(node, Agent::HEALTH, "node", path).unwrap();
        response.status.as_u16()
    };
    becomes(503, "the node's health", || health("/healthz"));
    assert_eq!(health("/livez"), 200);
    becomes_told(&cluster, CHECK, Ok((200, 2)));
}

fn health_checks_drain_a_node_that_still_serves(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    cluster.apply("web", [web(&cluster, CHECK)]);
    let pods = ["pod-1-1", "pod-1-2"];
    endpoints(&cluster, &pods, |slice, _| slice);
    cluster.start();
    becomes_told(&cluster, CHECK, Ok((200, 2)));
    let answers = |expected: &str| {
        for family in Family::BOTH {
            let at = at(&cluster, "node-1", family, NODE_PORT);
            becomes(Ok(expected.to_owned()), "the answer", || {
                who(ask::tcp(cluster.lab().client().ns(), at))
            });
        }
    };

    endpoints(&cluster, &pods, |slice, pod| match pod.name() {
        "pod-1-1" => slice.not_ready(),
        _ => slice,
    });
    becomes_told(&cluster, CHECK, Ok((200, 1)));
    answers("pod-1-2");
    endpoints(&cluster, &pods, |slice, pod| match pod.name() {
        "pod-1-1" => slice.not_ready(),
        _ => slice.terminating(true),
    });
    becomes_told(&cluster, CHECK, Ok((503, 0)));
    answers("pod-1-2");
    endpoints(&cluster, &pods, |slice, _| slice);
    becomes_told(&cluster, CHECK, Ok((200, 2)));
}

fn health_checks_follow_their_service(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    cluster.apply("web", [web(&cluster, CHECK)]);
    endpoints(&cluster, &["pod-1-1"], |slice, _| slice);
    cluster.start();
    becomes_told(&cluster, CHECK, Ok((200, 1)));

    cluster.apply("web", [web(&cluster, CHECK + 1)]);
    becomes_told(&cluster, CHECK + 1, Ok((200, 1)));
    becomes_told(&cluster, CHECK, Err(Failure::Refused));

    let anywhere = web(&cluster, CHECK + 1).set("/spec", "externalTrafficPolicy", json!("Cluster"));
    cluster.apply("web", [anywhere]);
    becomes_told(&cluster, CHECK + 1, Err(Failure::Refused));
    cluster.apply("web", [web(&cluster, CHECK)]);
    becomes_told(&cluster, CHECK, Ok((200, 1)));
    cluster.delete("web");
    becomes_told(&cluster, CHECK, Err(Failure::Refused));
}

fn health_checks_wait_for_a_port_in_use(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    cluster.apply("web", [web(&cluster, CHECK)]);
    endpoints(&cluster, &["pod-1-1"], |slice, _| slice);
    let node = cluster.lab().node("node-1");
    let occupants = Family::BOTH.map(|family| {
        let address = SocketAddr::new(node.ip(family), CHECK);
        node.ns().run(move || TcpListener::bind(address).unwrap())
    });
    cluster.start();
    let agent = cluster.agent("node-1");
    becomes(true, "the Event", || match feed {
        Feed::Manifests => agent.stderr().contains("FailedToStartServiceHealthcheck"),
        Feed::Api => {
            let events = cluster
                .api_server()
                .events("FailedToStartServiceHealthcheck");
            let service = cluster
                .api_server()
                .get("Service", "default", "web")
                .unwrap();
            events.len() == 2
                && events.iter().all(|event| {
                    event["type"] == "Warning"
                        && event["regarding"]["uid"] == service["metadata"]["uid"]
                })
        }
    });
    drop(occupants);
    becomes_told(&cluster, CHECK, Ok((200, 1)));
}

fn health_checks_are_served_where_node_ports_are(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let cidrs = Family::BOTH.map(|family| cluster.lab().cluster_cidr(family).to_string());
    // Every address of IPv6, as none is given.
    let cluster = cluster.with_flags(&[
        "--cluster-cidr",
        &cidrs.join(","),
        "--nodeport-addresses",
        "192.0.2.0/25",
    ]);
    cluster.apply("web", [web(&cluster, CHECK)]);
    endpoints(&cluster, &["pod-1-1"], |slice, _| slice);
    cluster.start();
    let lab = cluster.lab();
    let (node, client) = (lab.node("node-1"), lab.balancer());
    let told = |address: IpAddr| told(&cluster, (address, CHECK).into());
    becomes(Ok((200, 1)), "the health check", || {
        told(node.ip(Family::V6))
    });
    assert_eq!(told(node.ip(Family::V4)), Err(Failure::Refused));

    let added: IpAddr = [192, 0, 2, 7].into();
    client.add_route(added.into(), node.ip(Family::V4)).unwrap();
    node.host().add_address(added).unwrap();
    becomes(Ok((200, 1)), "the health check of a new address", || {
        told(added)
    });
}
