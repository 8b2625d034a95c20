use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{Conditions, ObjectName, Protocol, ServicePort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Health, Moment, NodeState};

const NODE: &str = "node-1";

fn endpoint(address: &str, port: u16, node: Option<&str>, conditions: Conditions) -> Endpoint {
    Endpoint {
        node: node.map(Arc::from),
        conditions,
        ..Endpoint::ready(address.parse().unwrap(), Port::new(port).unwrap())
    }
}

fn local(address: &str, port: u16) -> Endpoint {
    endpoint(address, port, Some(NODE), Conditions::READY)
}

fn service(ports: Vec<Vec<Endpoint>>) -> Service {
    let port = |(number, endpoints): (u16, Vec<Endpoint>)| ServicePort {
        endpoints: endpoints.into(),
        ..ServicePort::new(Protocol::Tcp, Port::new(number).unwrap())
    };
    Service {
        kind: ServiceKind::LoadBalancer,
        external_policy: TrafficPolicy::Local,
        health_check_node_port: Port::new(32000),
        cluster_ips: vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ports: (80..).zip(ports).map(port).collect(),
        ..Service::new(ObjectName::new("shop", "web"))
    }
}

fn counts(service: &Service) -> [Option<usize>; 2] {
    IpFamily::ALL
        .map(|family| HealthCheck::of(service, family, NODE).map(|check| check.local_endpoints))
}

#[test]
fn only_ready_addresses_of_this_node_count_and_each_once_in_its_family() {
    let draining = Conditions {
        ready: false,
        serving: true,
        terminating: true,
    };
    let unready = Conditions {
        ready: false,
        serving: false,
        terminating: false,
    };
    // Of a Service that publishes pods which are not ready.
    let published = Conditions {
        ready: true,
        serving: true,
        terminating: true,
    };
    let http = vec![
        local("10.244.0.1", 8080),
        local("10.244.0.2", 8080),
        endpoint("10.244.0.3", 8080, Some(NODE), draining),
        endpoint("10.244.0.4", 8080, Some(NODE), unready),
        endpoint("10.244.1.1", 8080, Some("node-2"), Conditions::READY),
        endpoint("10.244.2.1", 8080, None, Conditions::READY),
        endpoint("fd00:244::1", 8080, Some(NODE), published),
    ];
    let https = vec![local("10.244.0.1", 8443), local("10.244.0.5", 8443)];
    assert_eq!(counts(&service(vec![http, https])), [Some(3), Some(1)]);
    assert_eq!(counts(&service(vec![vec![]])), [Some(0), Some(0)]);
}

#[test]
fn only_a_load_balancer_with_policy_local_and_a_port_has_a_health_check() {
    let pods = || vec![vec![local("10.244.0.1", 8080)]];
    let changed = |change: fn(&mut Service)| {
        let mut service = service(pods());
        change(&mut service);
        counts(&service)
    };
    assert_eq!(changed(|_| {}), [Some(1), Some(0)]);
    let ipv4_alone = changed(|service| service.cluster_ips.truncate(1));
    assert_eq!(ipv4_alone, [Some(1), None]);
    for change in [
        (|service| service.kind = ServiceKind::NodePort) as fn(&mut Service),
        |service| service.external_policy = TrafficPolicy::Cluster,
        |service| service.health_check_node_port = None,
        |service| service.proxied_elsewhere = true,
        |service| service.cluster_ips.clear(),
        |service| service.ports.clear(),
    ] {
        assert_eq!(changed(change), [None, None]);
    }
}

fn wanted(service: &str, address: SocketAddr, local_endpoints: usize) -> HealthServer {
    HealthServer {
        service: ObjectName::new("shop", service),
        address,
        local_endpoints,
    }
}

/// An address with a port that was free a moment ago.
async fn free_address(ip: &str) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}Host: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    // The date is the only thing that changes by itself.
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}

#[tokio::test]
async fn the_answer_is_kube_proxys_to_the_byte_whatever_is_asked() {
    let health = Health::default();
    let mut servers = ServiceHealthServers::new(health.clone());
    let addresses = [free_address("127.0.0.1").await, free_address("::1").await];
    let serve = |count| {
        addresses
            .map(|address| wanted("web", address, count))
            .into()
    };
    assert!(servers.serve(serve(2)).await.is_empty());
    let answer = |status: &str, count: usize, healthy: bool| {
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"shop\",\n\t\t\"name\": \"web\"\n\t}},\n\
             \t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
        );
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\
             X-Content-Type-Options: nosniff\r\nX-Load-Balancing-Endpoint-Weight: {count}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let requests = [
        "GET / HTTP/1.1\r\n",
        "GET /healthz?x=1 HTTP/1.1\r\n",
        "POST /%ff HTTP/1.1\r\nContent-Length: 0\r\n",
        "DELETE /web HTTP/1.1\r\n",
    ];
    let expect = async |expected: String| {
        for address in addresses {
            for request in requests {
                let answer = ask(address, request).await;
                assert_eq!(sorted(&answer), sorted(&expected), "{request}");
            }
        }
    };
    expect(answer("200 OK", 2, true)).await;

    assert!(servers.serve(serve(0)).await.is_empty());
    expect(answer("503 Service Unavailable", 0, true)).await;

    assert!(servers.serve(serve(1)).await.is_empty());
    health.set_node(NodeState::Leaving);
    health.set_draining();
    expect(answer("200 OK", 1, true)).await;

    let stale = Duration::from_secs(61);
    let now = Moment::now();
    let long_ago = Moment {
        monotonic: now.monotonic.checked_sub(stale).unwrap(),
        ..now
    };
    health.queued(IpFamily::Ipv6, long_ago);
    expect(answer("503 Service Unavailable", 1, false)).await;
    health.applied(IpFamily::Ipv6, now);
    expect(answer("200 OK", 1, true)).await;
}

/// The order of headers means nothing.
fn sorted(answer: &str) -> Vec<&str> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    lines.push(body);
    lines
}

#[tokio::test]
async fn a_port_in_use_is_told_once_and_tried_again() {
    let mut servers = ServiceHealthServers::new(Health::default());
    let occupant = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = occupant.local_addr().unwrap();
    let other = free_address("127.0.0.1").await;
    let both = || vec![wanted("api", other, 1), wanted("web", address, 1)];
    let news = servers.serve(both()).await;
    let [failure] = &news[..] else {
        panic!("{news:?}");
    };
    assert_eq!(failure.service, ObjectName::new("shop", "web"));
    let message = failure.error.to_string();
    assert!(message.contains("spec.healthCheckNodePort"), "{message}");
    // Another change is no other failure, and the neighbour answers.
    assert!(servers.serve(both()).await.is_empty());
    assert!(ask(other, "GET / HTTP/1.1\r\n").await.contains("200 OK"));
    assert!(servers.wants_retry());

    drop(occupant);
    assert!(servers.serve(both()).await.is_empty());
    assert!(!servers.wants_retry());
    assert!(ask(address, "GET / HTTP/1.1\r\n").await.contains("200 OK"));
}

#[tokio::test]
async fn a_port_passes_from_one_service_to_another_at_once() {
    let mut servers = ServiceHealthServers::new(Health::default());
    let address = free_address("127.0.0.1").await;
    for service in ["web", "api", "web"] {
        let news = servers.serve(vec![wanted(service, address, 1)]).await;
        assert!(news.is_empty(), "{news:?}");
        let answer = ask(address, "GET / HTTP/1.1\r\n").await;
        assert!(
            answer.contains(&format!("\"name\": \"{service}\"")),
            "{answer}"
        );
    }
    servers.serve(Vec::new()).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
