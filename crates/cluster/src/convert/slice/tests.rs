use fairway_model::ObjectName;

use super::*;
use crate::Object;
use crate::manifests::objects;

fn convert(labels: &str, fields: &str) -> (Option<Slice>, Vec<String>) {
    let yaml = format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, \
          metadata: {{name: web-1, labels: {labels}}}, {fields}}}"
    );
    let objects = objects(&yaml);
    let [Object::EndpointSlice(object)] = objects.as_slice() else {
        panic!("one slice, not {objects:?}");
    };
    let name = ObjectName::new("default", "web-1");
    let mut report = Report::new("EndpointSlice", name.clone());
    let slice = slice(object, &name, &mut Interner::default(), &mut report);
    let slice = slice.map(|(service, slice)| {
        assert_eq!(service, ObjectName::new("default", "web"));
        slice
    });
    let problems = report.finish();
    (slice, problems.iter().map(ToString::to_string).collect())
}

const WEB: &str = "{kubernetes.io/service-name: web}";

fn endpoints(fields: &str) -> (Vec<Endpoint>, Vec<String>) {
    let (slice, problems) = convert(WEB, fields);
    let slice = slice.expect("has a Service");
    (slice.endpoints("", Protocol::Tcp).collect(), problems)
}

#[test]
fn conditions_have_defaults() {
    let (found, problems) = endpoints(
        "addressType: IPv4, ports: [{port: 80}], endpoints: [\
         {addresses: [10.0.0.1]}, \
         {addresses: [10.0.0.2], conditions: {}}, \
         {addresses: [10.0.0.3], conditions: {ready: false}}, \
         {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}}]",
    );
    assert_eq!(problems, Vec::<String>::new());
    let conditions = |ready, serving, terminating| Conditions {
        ready,
        serving,
        terminating,
    };
    let found: Vec<_> = found.iter().map(|endpoint| endpoint.conditions).collect();
    assert_eq!(
        found,
        [
            Conditions::READY,
            Conditions::READY,
            conditions(false, true, false),
            conditions(false, true, true),
        ]
    );
}

#[test]
fn only_the_first_address_counts() {
    let (found, _) = endpoints(
        "addressType: IPv6, ports: [{port: 80}], endpoints: [\
         {addresses: ['2001:db8::1', '2001:db8::2'], nodeName: node-1, zone: a, \
          hints: {forZones: [{name: a}, {name: b}], forNodes: [{name: node-1}]}}, {addresses: []}]",
    );
    let [endpoint] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(endpoint.socket_address().to_string(), "[2001:db8::1]:80");
    assert_eq!(
        (endpoint.node.as_deref(), endpoint.zone.as_deref()),
        (Some("node-1"), Some("a"))
    );
    let hints = endpoint.hints.as_deref().expect("hints");
    assert_eq!((hints.zones.len(), hints.nodes.len()), (2, 1));
}

#[test]
fn slices_of_nobody_and_of_names_are_passed_over() {
    let fields = "addressType: IPv4, ports: [{port: 80}], endpoints: []";
    assert_eq!(convert("{}", fields), (None, vec![]));
    assert_eq!(
        convert("{kubernetes.io/service-name: ''}", fields),
        (None, vec![])
    );
    let fields = "addressType: FQDN, endpoints: [{addresses: [example.com]}]";
    assert_eq!(convert(WEB, fields), (None, vec![]));
    let (slice, problems) = convert(WEB, "addressType: IPX, endpoints: []");
    assert_eq!(slice, None);
    assert!(problems[0].contains("addressType: \"IPX\""), "{problems:?}");
}

#[test]
fn ports_match_by_name_and_protocol() {
    let fields = "addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}], ports: [\
                  {name: dns, port: 53, protocol: UDP}, {name: dns, port: 5353}, {name: web}]";
    let (slice, problems) = convert(WEB, fields);
    let slice = slice.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let ports = |name, protocol| -> Vec<u16> {
        slice
            .endpoints(name, protocol)
            .map(|endpoint| endpoint.port.get())
            .collect()
    };
    assert_eq!(ports("dns", Protocol::Udp), [53]);
    assert_eq!(ports("dns", Protocol::Tcp), [5353]);
    assert_eq!(ports("web", Protocol::Tcp), [0u16; 0]);
    assert_eq!(ports("", Protocol::Tcp), [0u16; 0]);
}

#[test]
fn absurd_fields_are_named_and_left_out() {
    for (endpoint, said) in [
        (
            "10.0.0.300",
            "endpoints[1].addresses[0]: \"10.0.0.300\" is not an IP address",
        ),
        (
            "'2001:db8::1'",
            "endpoints[1].addresses[0]: 2001:db8::1 is no IPv4 address",
        ),
        (
            "127.0.0.1",
            "endpoints[1].addresses[0]: 127.0.0.1 is a loopback address",
        ),
        (
            "169.254.169.254",
            "endpoints[1].addresses[0]: 169.254.169.254 is a link-local address",
        ),
        (
            "0.0.0.0",
            "endpoints[1].addresses[0]: 0.0.0.0 is the unspecified address",
        ),
        (
            "239.1.1.1",
            "endpoints[1].addresses[0]: 239.1.1.1 is a multicast address",
        ),
    ] {
        let (found, problems) = endpoints(&format!(
            "addressType: IPv4, ports: [{{port: 80}}], \
             endpoints: [{{addresses: [010.0.0.1]}}, {{addresses: [{endpoint}]}}]"
        ));
        let found: Vec<_> = found
            .iter()
            .map(|endpoint| endpoint.address.to_string())
            .collect();
        assert_eq!(found, ["10.0.0.1"], "{endpoint}");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(said), "{problems:?}");
    }
    let (found, problems) = endpoints(
        "addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}], \
         ports: [{port: 80}, {name: a, port: 70000}, {name: b, port: 1, protocol: ICMP}, \
                 {name: c, port: 0}]",
    );
    assert_eq!(found.len(), 1);
    for (problem, said) in problems.iter().zip([
        "ports[1].port: 70000 is not a port",
        "ports[2].protocol: \"ICMP\"",
        "ports[3].port: 0 is not a port",
    ]) {
        assert!(problem.contains(said), "{problems:?}");
    }
    assert_eq!(problems.len(), 3);
}

#[test]
fn an_endpoint_twice_in_a_slice_is_told() {
    let (_, problems) = endpoints(
        "addressType: IPv4, ports: [{port: 80}], \
         endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}]",
    );
    let said = "EndpointSlice default/web-1 endpoints[2].addresses[0]: 10.0.0.1 is listed before; \
                it is one endpoint";
    assert_eq!(problems, [said]);
}
