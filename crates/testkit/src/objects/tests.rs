use serde_json::json;

use super::*;

#[test]
fn services_read_as_the_api_writes_them() {
    let service = service("web")
        .namespace("shop")
        .label("app", "web")
        .cluster_ip("10.96.0.10")
        .cluster_ip("fd00:10:96::10")
        .tcp("http", 80)
        .node_port(30080)
        .udp("dns", 53)
        .client_ip_affinity(60)
        .build();
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "NodePort",
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080},
                {"name": "dns", "protocol": "UDP", "port": 53},
            ],
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        },
    });
    assert_eq!(service, expected);
}

#[test]
fn a_load_balancer_keeps_its_type() {
    let address = "203.0.113.1".parse().unwrap();
    let service = service("web")
        .load_balancer_ip(address)
        .tcp("", 80)
        .node_port(30080)
        .build();
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    let status = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}});
    assert_eq!(service["status"], status);
}

#[test]
fn conditions_belong_to_the_endpoint_added_last() {
    let ip = "10.244.1.2".parse().unwrap();
    let slice = endpoint_slice("web", Family::V4)
        .tcp("http", 8080)
        .endpoint(ip, Some("node-1"))
        .terminating(true)
        .endpoint(ip, None)
        .build();
    assert_eq!(slice["metadata"]["name"], "web-ipv4");
    let endpoints = json!([
        {
            "addresses": ["10.244.1.2"],
            "conditions": {"ready": false, "serving": true, "terminating": true},
            "nodeName": "node-1",
        },
        {
            "addresses": ["10.244.1.2"],
            "conditions": {"ready": true, "serving": true, "terminating": false},
        },
    ]);
    assert_eq!(slice["endpoints"], endpoints);
}

#[test]
fn paths_of_one_host_form_one_rule() {
    let ingress = ingress("shop")
        .class("fairway")
        .prefix("shop.example", "/", "web", 80)
        .exact("shop.example", "/health", "web", "admin")
        .prefix("", "/", "other", 80)
        .build();
    let path = |kind: &str, path: &str, service: &str, port: Value| {
        let backend = json!({"service": {"name": service, "port": port}});
        json!({"path": path, "pathType": kind, "backend": backend})
    };
    let rules = json!([
        {
            "host": "shop.example",
            "http": {"paths": [
                path("Prefix", "/", "web", json!({"number": 80})),
                path("Exact", "/health", "web", json!({"name": "admin"})),
            ]},
        },
        {"http": {"paths": [path("Prefix", "/", "other", json!({"number": 80}))]}},
    ]);
    assert_eq!(ingress["spec"]["rules"], rules);
}
