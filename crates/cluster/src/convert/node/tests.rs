use fairway_model::ObjectName;

use super::*;
use crate::Object;
use crate::manifests::objects;

fn convert(fields: &str) -> (Node, Vec<String>) {
    let objects = objects(&format!("{{apiVersion: v1, kind: Node, {fields}}}"));
    let [Object::Node(object)] = objects.as_slice() else {
        panic!("one Node, not {objects:?}");
    };
    let mut report = Report::new("Node", ObjectName::new("", "node-1"));
    let node = node(object, &"node-1".into(), &mut report);
    let problems = report.finish();
    (node, problems.iter().map(ToString::to_string).collect())
}

fn text<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn facts() {
    let (node, problems) = convert(
        "metadata: {name: node-1, labels: {topology.kubernetes.io/zone: fra1}}, \
         spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24, 'fd00:1::/64']}, \
         status: {addresses: [{type: Hostname, address: node-1}, \
         {type: ExternalIP, address: 203.0.113.1}, {type: InternalIP, address: 010.0.0.1}, \
         {type: InternalIP, address: 'fd00::1'}, {type: InternalIP, address: nonsense}]}",
    );
    assert_eq!(node.zone.as_deref(), Some("fra1"));
    assert_eq!(
        text(&node.addresses),
        ["10.0.0.1", "fd00::1", "203.0.113.1"]
    );
    assert_eq!(text(&node.pod_cidrs), ["10.244.1.0/24", "fd00:1::/64"]);
    assert!(!node.leaving);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("status.addresses[4].address: \"nonsense\""),
        "{problems:?}"
    );
}

#[test]
fn a_single_pod_range_is_enough() {
    let (node, _) = convert("metadata: {name: node-1}, spec: {podCIDR: 10.244.1.0/24}");
    assert_eq!(text(&node.pod_cidrs), ["10.244.1.0/24"]);
}

#[test]
fn leaving() {
    let taint = |key: &str| {
        format!(
            "metadata: {{name: node-1}}, spec: {{taints: [{{key: {key}, effect: NoSchedule}}]}}"
        )
    };
    assert!(convert(&taint("ToBeDeletedByClusterAutoscaler")).0.leaving);
    // Cordoned or not ready is not leaving.
    assert!(
        !convert(&taint("node.kubernetes.io/unschedulable"))
            .0
            .leaving
    );
    let deleted = "metadata: {name: node-1, deletionTimestamp: '2026-01-01T00:00:00Z'}";
    assert!(convert(deleted).0.leaving);
}
