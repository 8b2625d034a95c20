//! Whatever the way to a state, the state is the same.

use std::collections::BTreeMap;

use fairway_model::{HostPattern, HostRoutes};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;
use super::lists;
use crate::Object;
use crate::convert::object_name;
use crate::manifests::objects;

/// What a test may do to the index.
#[derive(Clone, Debug)]
enum Step {
    Apply(usize),
    Delete(usize),
    /// A relist of a kind.
    Relist(Kind),
    Publish,
}

/// Objects that share names, addresses, hosts, paths and Services, in several versions.
fn pool() -> Vec<Object> {
    let mut yaml = String::new();
    for (name, spec) in [
        ("a", "{clusterIP: 10.96.0.1, ports: [{name: x, port: 80}]}"),
        (
            "a",
            "{clusterIP: 10.96.0.1, ports: [{name: y, port: 81}, {name: x, port: 80}]}",
        ),
        ("a", "{clusterIP: None, ports: [{name: x, port: 80}]}"),
        (
            "b",
            "{type: LoadBalancer, clusterIP: 10.96.0.2, ports: [{name: x, port: 70000}]}",
        ),
        ("b", "{type: ExternalName, externalName: example.com}"),
    ] {
        yaml += &format!(
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {spec}}}\n"
        );
    }
    for (name, service, headless, address) in [
        ("s", "a", "", "10.1.0.1"),
        ("s", "b", "", "10.1.0.1"),
        ("s", "a", ", service.kubernetes.io/headless: ''", "10.1.0.3"),
        ("t", "a", "", "10.1.0.1"),
        ("t", "a", "", "127.0.0.1"),
        ("t", "b", "", "10.1.0.2"),
    ] {
        yaml += &format!(
            "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
             metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {service}{headless}}}}}, \
             ports: [{{name: x, port: 8080}}], endpoints: [{{addresses: [{address}]}}]}}\n"
        );
    }
    let web = "http: {paths: [{path: /, pathType: Prefix, \
               backend: {service: {name: a, port: {name: x}}}}]}";
    let api = "http: {paths: [{path: /, pathType: Prefix, \
               backend: {service: {name: b, port: {number: 80}}}}]}";
    let default = "defaultBackend: {service: {name: a, port: {number: 80}}}";
    for (name, age, class, spec) in [
        (
            "i",
            1,
            "fairway",
            format!("rules: [{{host: a.com, {web}}}, {{host: b.com, {api}}}]"),
        ),
        ("i", 1, "other", format!("rules: [{{host: a.com, {web}}}]")),
        (
            "i",
            5,
            "fairway",
            format!("rules: [{{host: b.com, {web}}}], tls: [{{hosts: [b.com]}}]"),
        ),
        (
            "j",
            2,
            "fairway",
            format!("rules: [{{host: a.com, {api}}}], {default}"),
        ),
        ("j", 2, "fairway", default.to_owned()),
        (
            "k",
            2,
            "other",
            format!("rules: [{{host: A.com, {api}}}, {{{web}}}]"),
        ),
        (
            "k",
            3,
            "fairway",
            format!("rules: [{{host: b.com, {api}}}, {{{web}}}], {default}"),
        ),
    ] {
        yaml += &format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, \
             creationTimestamp: '2026-01-01T00:00:0{age}Z'}}, \
             spec: {{ingressClassName: {class}, {spec}}}}}\n"
        );
    }
    for (name, controller) in [
        ("fairway", "fairway.dev/ingress"),
        ("fairway", "other"),
        ("other", "fairway.dev/ingress"),
        ("other", "other"),
    ] {
        yaml += &format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: IngressClass, \
             metadata: {{name: {name}}}, spec: {{controller: {controller}}}}}\n"
        );
    }
    for (name, zone) in [("node-1", "a"), ("node-1", "b"), ("node-2", "c")] {
        yaml += &format!(
            "---\n{{apiVersion: v1, kind: Node, \
             metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: {zone}}}}}}}\n"
        );
    }
    for cidr in ["10.96.0.0/16", "nonsense"] {
        yaml += &format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, \
             metadata: {{name: c}}, spec: {{cidrs: [{cidr}]}}}}\n"
        );
    }
    // One document at a time: they would be duplicates in one file.
    yaml.split("---\n").flat_map(objects).collect()
}

fn name(object: &Object) -> ObjectName {
    let metadata = object.metadata();
    object_name(metadata, &mut Interner::default()).expect("has a name")
}

fn options() -> Options {
    Options {
        node_name: "node-1".into(),
        ..Options::default()
    }
}

type Hosts = BTreeMap<HostPattern, HostRoutes>;
type Services = BTreeMap<ObjectName, fairway_model::Service>;

fn content(snapshot: &Snapshot) -> (Node, Services, Hosts) {
    let services = snapshot.services.iter();
    let services = services.map(|(name, service)| (name.clone(), service.as_ref().clone()));
    let hosts = snapshot.routes.hosts.iter();
    let hosts = hosts.map(|(host, routes)| (host.clone(), routes.as_ref().clone()));
    (
        snapshot.node.as_ref().clone(),
        services.collect(),
        hosts.collect(),
    )
}

fn all_problems(index: &Index) -> Vec<Problem> {
    index.problems().cloned().collect()
}

/// Checks that nothing changed but what the update says, and that what it says did change.
fn check_changes(before: &Snapshot, after: &Snapshot, changes: &Changes) {
    let (old, new) = (content(before), content(after));
    let differ = |name: &ObjectName| old.1.get(name) != new.1.get(name);
    let names = old.1.keys().chain(new.1.keys()).filter(|name| differ(name));
    assert_eq!(names.cloned().collect::<BTreeSet<_>>(), changes.services);
    let differ = |host: &HostPattern| old.2.get(host) != new.2.get(host);
    let hosts = old.2.keys().chain(new.2.keys()).filter(|host| differ(host));
    assert_eq!(hosts.cloned().collect::<BTreeSet<_>>(), changes.hosts);
    assert_eq!(old.0 != new.0, changes.node);
}

fn step(objects: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..objects).prop_map(Step::Apply),
        3 => (0..objects).prop_map(Step::Delete),
        1 => select(&Kind::LISTED[..]).prop_map(Step::Relist),
        3 => Just(Step::Publish),
    ]
}

#[test]
fn any_history_ends_like_a_fresh_start() {
    let pool = pool();
    let steps = prop::collection::vec(step(pool.len()), 1..60);
    proptest!(ProptestConfig::with_cases(400), |(steps in steps)| {
        let mut state: BTreeMap<(Kind, ObjectName), &Object> = BTreeMap::new();
        let mut index = Index::new(options());
        lists(Vec::new()).for_each(|event| index.apply(event));
        let mut published = index.update().expect("complete").snapshot;
        for step in steps {
            match step {
                Step::Apply(number) => {
                    let object = &pool[number];
                    state.insert((object.kind(), name(object)), object);
                    index.apply(Event::Apply(object.clone()));
                }
                Step::Delete(number) => {
                    let key = (pool[number].kind(), name(&pool[number]));
                    state.remove(&key);
                    index.apply(Event::Delete(key.0, key.1));
                }
                Step::Relist(kind) => {
                    // As after a time without a connection: some objects went unseen.
                    let mut keep = false;
                    state.retain(|key, _| {
                        keep = !keep;
                        key.0 != kind || keep
                    });
                    let list = state.values().filter(|object| object.kind() == kind);
                    index.apply(Event::Replace(kind, list.copied().cloned().collect()));
                }
                Step::Publish => {
                    if let Some(update) = index.update() {
                        check_changes(&published, &update.snapshot, &update.changes);
                        published = update.snapshot;
                    }
                }
            }
        }
        if let Some(update) = index.update() {
            check_changes(&published, &update.snapshot, &update.changes);
            published = update.snapshot;
        }
        let mut fresh = Index::new(options());
        lists(state.into_values().cloned().collect()).for_each(|event| fresh.apply(event));
        let expected = fresh.update().expect("complete").snapshot;
        prop_assert_eq!(content(&published), content(&expected));
        prop_assert_eq!(all_problems(&index), all_problems(&fresh));
    });
}
