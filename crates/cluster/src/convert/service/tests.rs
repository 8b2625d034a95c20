use fairway_model::{ObjectName, Protocol};

use super::*;
use crate::Object;
use crate::manifests::objects;

/// Converts the Service `default/web` with this spec (JSON) and returns what was reported too.
fn convert(spec: &str, status: &str) -> (Service, Vec<String>) {
    let yaml = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {spec}, status: {status}}}"
    );
    let objects = objects(&yaml);
    let [Object::Service(object)] = objects.as_slice() else {
        panic!("one Service, not {objects:?}");
    };
    let name = ObjectName::new("default", "web");
    let mut report = Report::new("Service", name.clone());
    let service = service(object, name, &mut Interner::default(), &mut report);
    let problems = report.finish();
    let lines = problems.iter().map(ToString::to_string);
    (service, lines.collect())
}

fn spec(spec: &str) -> Service {
    let (service, problems) = convert(spec, "{}");
    assert_eq!(problems, Vec::<String>::new());
    service
}

/// What is left of an absurd spec, and the one line about it.
fn absurd(spec: &str) -> (Service, String) {
    let (service, problems) = convert(spec, "{}");
    assert_eq!(problems.len(), 1, "{problems:?}");
    let line = problems.concat();
    let line = line
        .strip_prefix("Service default/web ")
        .expect("names the object");
    (service, line.to_owned())
}

fn text<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults() {
    let service = spec("{clusterIP: 10.96.0.1, ports: [{port: 80}]}");
    assert_eq!(service.kind, ServiceKind::ClusterIp);
    assert_eq!(text(&service.cluster_ips), ["10.96.0.1"]);
    assert_eq!(service.internal_policy, TrafficPolicy::Cluster);
    assert_eq!(service.external_policy, TrafficPolicy::Cluster);
    assert_eq!(service.affinity, Affinity::None);
    assert_eq!(service.health_check_node_port, None);
    assert!(!service.proxied_elsewhere);
    let [port] = service.ports.as_slice() else {
        panic!("{service:?}")
    };
    assert_eq!(
        (&*port.name, port.protocol, port.port.get()),
        ("", Protocol::Tcp, 80)
    );
    assert_eq!(port.node_port, None);
}

#[test]
fn sloppy_addresses_are_normalised() {
    let service = spec(
        "{type: LoadBalancer, clusterIPs: ['172.30.0.041', '2001:DB8::0001'], \
          externalIPs: ['010.0.0.1', '10.0.0.1'], ports: [{port: 80}], \
          loadBalancerSourceRanges: [' 203.0.113.000/025', '2001:db8::1/32 ']}",
    );
    assert_eq!(text(&service.cluster_ips), ["172.30.0.41", "2001:db8::1"]);
    assert_eq!(text(&service.external_ips), ["10.0.0.1"]);
    assert_eq!(
        text(&service.source_ranges),
        ["203.0.113.0/25", "2001:db8::/32"]
    );
}

#[test]
fn headless_and_external_name_have_no_cluster_ip() {
    assert!(
        spec("{clusterIP: None, ports: [{port: 80}]}")
            .cluster_ips
            .is_empty()
    );
    assert!(spec("{clusterIPs: [None]}").cluster_ips.is_empty());
    let external = spec("{type: ExternalName, externalName: db.example.com, clusterIP: 10.0.0.1}");
    assert_eq!(
        external.kind,
        ServiceKind::ExternalName("db.example.com".into())
    );
    assert!(external.cluster_ips.is_empty());
}

#[test]
fn load_balancer_addresses_are_captured_only_in_mode_vip() {
    let status = "{loadBalancer: {ingress: [{ip: 192.0.2.1}, {ip: 192.0.2.2, ipMode: VIP}, \
                   {ip: 192.0.2.3, ipMode: Proxy}, {hostname: lb.example.com}]}}";
    let (service, problems) = convert("{type: LoadBalancer, ports: [{port: 80}]}", status);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(text(&service.load_balancer_ips), ["192.0.2.1", "192.0.2.2"]);
    let (service, _) = convert("{type: NodePort, ports: [{port: 80}]}", status);
    assert!(service.load_balancer_ips.is_empty());
}

#[test]
fn health_check_port_needs_a_load_balancer_with_local_policy() {
    for (spec_text, expected) in [
        (
            "{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30000}",
            Some(30000),
        ),
        ("{type: LoadBalancer, externalTrafficPolicy: Local}", None),
        ("{type: LoadBalancer, healthCheckNodePort: 30000}", None),
        (
            "{type: NodePort, externalTrafficPolicy: Local, healthCheckNodePort: 30000}",
            None,
        ),
    ] {
        let port = spec(spec_text).health_check_node_port;
        assert_eq!(port.map(|port| port.get()), expected, "{spec_text}");
    }
}

#[test]
fn affinity_lasts_three_hours_unless_told_otherwise() {
    let seconds = |spec_text| match spec(spec_text).affinity {
        Affinity::ClientIp { timeout_seconds } => timeout_seconds,
        Affinity::None => 0,
    };
    assert_eq!(seconds("{sessionAffinity: None}"), 0);
    assert_eq!(seconds("{sessionAffinity: ClientIP}"), 10_800);
    let config = "sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}";
    assert_eq!(
        seconds(&format!("{{sessionAffinity: ClientIP, {config}}}")),
        60
    );
}

#[test]
fn node_ports_may_be_zero() {
    let service = spec(
        "{type: LoadBalancer, allocateLoadBalancerNodePorts: false, \
          ports: [{name: a, port: 80, nodePort: 0}, {name: b, port: 81, nodePort: 30081}]}",
    );
    let node_ports: Vec<_> = service.ports.iter().map(|port| port.node_port).collect();
    assert_eq!(node_ports, [None, port(30081)]);
}

#[test]
fn another_service_proxy_may_look_after_it() {
    let yaml = "{apiVersion: v1, kind: Service, metadata: \
                {name: web, labels: {service.kubernetes.io/service-proxy-name: ''}}}";
    let objects = objects(yaml);
    let [Object::Service(object)] = objects.as_slice() else {
        panic!("{objects:?}")
    };
    let name = ObjectName::new("default", "web");
    let mut report = Report::new("Service", name.clone());
    assert!(service(object, name, &mut Interner::default(), &mut report).proxied_elsewhere);
}

#[test]
fn absurd_fields_are_named_and_left_out() {
    let two = |field: &str| format!("{{ports: [{{name: a, port: 80}}, {{name: b, {field}}}]}}");
    for (field, said) in [
        ("port: 0", "spec.ports[1].port: 0 is not a port"),
        ("port: 70000", "spec.ports[1].port: 70000 is not a port"),
        ("port: -1", "spec.ports[1].port: -1 is not a port"),
        (
            "port: 81, protocol: ICMP",
            "spec.ports[1].protocol: \"ICMP\" is none of",
        ),
        (
            "port: 80",
            "spec.ports[1]: has the name or the number of an earlier port",
        ),
    ] {
        let (service, line) = absurd(&two(field));
        assert!(line.starts_with(said), "{field}: {line}");
        assert_eq!(service.ports.len(), 1, "{field}");
    }

    let (service, line) = absurd("{type: NodePort, ports: [{port: 80, nodePort: 70000}]}");
    assert!(
        line.starts_with("spec.ports[0].nodePort: 70000 is not a port"),
        "{line}"
    );
    assert_eq!(service.ports[0].node_port, None);

    let (service, line) = absurd("{ports: [{port: 80, nodePort: 30080}]}");
    assert!(
        line.starts_with("spec.ports[0].nodePort: needs type NodePort"),
        "{line}"
    );
    assert_eq!(service.ports[0].node_port, None);
}

#[test]
fn absurd_addresses_are_named_and_left_out() {
    for (spec_text, said) in [
        (
            "{clusterIP: 10.0.0}",
            "spec.clusterIP: \"10.0.0\" is not an IP address",
        ),
        (
            "{clusterIP: 127.0.0.1}",
            "spec.clusterIP: 127.0.0.1 is a loopback address",
        ),
        (
            "{clusterIPs: [10.0.0.1, 10.0.0.2]}",
            "spec.clusterIPs[1]: 10.0.0.2 is a second address",
        ),
        (
            "{externalIPs: ['', 1.2.3.4]}",
            "spec.externalIPs[0]: \"\" is not an IP address",
        ),
        (
            "{externalIPs: [224.0.0.1]}",
            "spec.externalIPs[0]: 224.0.0.1 is a multicast address",
        ),
        (
            "{type: Public}",
            "spec.type: \"Public\" is no type of Service",
        ),
        (
            "{internalTrafficPolicy: Node}",
            "spec.internalTrafficPolicy: \"Node\" is neither",
        ),
        (
            "{externalTrafficPolicy: local}",
            "spec.externalTrafficPolicy: \"local\" is neither",
        ),
        (
            "{sessionAffinity: Cookie}",
            "spec.sessionAffinity: \"Cookie\" is neither",
        ),
        (
            "{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}}",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not between",
        ),
    ] {
        let (_, line) = absurd(spec_text);
        assert!(line.starts_with(said), "{spec_text}: {line}");
    }
}

#[test]
fn source_ranges_that_mean_nothing_admit_nobody() {
    let status = "{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}";
    let ranges = "{type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33, nonsense]}";
    let (service, problems) = convert(ranges, status);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(
        (service.load_balancer_ips, service.source_ranges),
        (vec![], vec![])
    );

    let ranges = "{type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33, 10.0.0.0/8]}";
    let (service, problems) = convert(ranges, status);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(text(&service.load_balancer_ips), ["192.0.2.1"]);
    assert_eq!(text(&service.source_ranges), ["10.0.0.0/8"]);
}

/// The weights that the annotation gives, and what is said of it.
fn weigh(annotation: &str) -> (fairway_model::Weights, Vec<String>) {
    let (service, problems) = annotated("fairway.dev/endpoint-weights", annotation);
    (service.weights, problems)
}

fn annotated(name: &str, annotation: &str) -> (fairway_model::Service, Vec<String>) {
    let yaml = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web, annotations: \
         {{{name}: {annotation:?}}}}}, spec: {{clusterIP: 10.96.0.1}}}}"
    );
    let objects = objects(&yaml);
    let [Object::Service(object)] = objects.as_slice() else {
        panic!("one Service, not {objects:?}");
    };
    let name = ObjectName::new("default", "web");
    let mut report = Report::new("Service", name.clone());
    let service = service(object, name, &mut Interner::default(), &mut report);
    let lines = report.finish();
    (service, lines.iter().map(ToString::to_string).collect())
}

#[test]
fn endpoints_are_drawn_unless_maglev_is_asked_for() {
    use fairway_model::Balance;
    let of = |text| {
        let (service, problems) = annotated("fairway.dev/balance", text);
        (service.balance, problems)
    };
    assert_eq!(of("random"), (Balance::Random, vec![]));
    assert_eq!(of(" maglev"), (Balance::Maglev, vec![]));
    let connection = (Balance::MaglevConnection, vec![]);
    assert_eq!(of("maglev-connection"), connection);
    let (balance, problems) = of("Maglev\nx");
    assert_eq!(balance, Balance::Random);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("fairway.dev/balance"), "{problems:?}");
}

#[test]
fn endpoints_have_weights_by_zone_node_and_network() {
    use fairway_model::{Endpoint, Port};
    let (weights, problems) =
        weigh("10.1.0.1=7, zone/eu-1=3 ,node/worker-7=0, 10.1.0.0/16 = 5, fd00::/64=2,");
    assert_eq!(problems, Vec::<String>::new());
    let of = |address: &str, node: Option<&str>, zone: Option<&str>| {
        weights.of(&Endpoint {
            node: node.map(Into::into),
            zone: zone.map(Into::into),
            ..Endpoint::ready(address.parse().unwrap(), Port::new(80).unwrap())
        })
    };
    assert_eq!(of("10.1.0.1", None, Some("eu-1")), 7);
    assert_eq!(of("10.1.0.2", Some("worker-7"), Some("eu-1")), 3);
    assert_eq!(of("10.1.0.2", Some("worker-7"), Some("eu-2")), 0);
    assert_eq!(of("10.1.0.2", None, None), 5);
    assert_eq!(of("fd00::9", None, None), 2);
    assert_eq!(of("10.2.0.1", Some("worker-8"), None), 1);
}

#[test]
fn weights_that_cannot_be_read_are_none() {
    let many = "10.0.0.1=1,".repeat(65);
    let texts = [
        "zone/=1",
        "zone/a",
        "a=1",
        "10.0.0.0/33=1",
        "10.0.0.1=101",
        "pod/web-0=1",
        "=",
        &many,
    ];
    for text in texts {
        let (weights, problems) = weigh(text);
        assert_eq!(weights, fairway_model::Weights::default(), "{text}");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("fairway.dev/endpoint-weights"),
            "{problems:?}"
        );
    }
}
