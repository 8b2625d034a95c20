mod order;
mod routes;

use std::sync::Arc;

use fairway_model::{Changes, ObjectName, Service, Snapshot};

use super::*;
use crate::Object;
use crate::manifests::objects;

/// An index that has been told these objects and nothing else.
pub(super) fn index(options: Options, yaml: &str) -> Index {
    let mut index = Index::new(options);
    for event in lists(objects(yaml)) {
        index.apply(event);
    }
    index
}

/// Objects as a first list of every kind.
pub(super) fn lists(objects: Vec<Object>) -> impl Iterator<Item = Event> {
    Kind::ALL.into_iter().map(move |kind| {
        let objects = objects.iter().filter(|object| object.kind() == kind);
        Event::Replace(kind, objects.cloned().collect())
    })
}

/// Applies objects and returns what that changed.
pub(super) fn apply(index: &mut Index, yaml: &str) -> Changes {
    for object in objects(yaml) {
        index.apply(Event::Apply(object));
    }
    changes(index)
}

pub(super) fn delete(index: &mut Index, kind: Kind, name: &str) -> Changes {
    index.apply(Event::Delete(kind, named(name)));
    changes(index)
}

pub(super) fn problems(index: &Index) -> Vec<String> {
    index.problems().map(ToString::to_string).collect()
}

fn changes(index: &mut Index) -> Changes {
    let update = index.update();
    update.map(|update| update.changes).unwrap_or_default()
}

fn named(name: &str) -> ObjectName {
    match name.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new("", name),
    }
}

fn get(snapshot: &Snapshot, name: &str) -> Arc<Service> {
    snapshot.services[&named(name)].clone()
}

/// The endpoints of a Service's first port, `address:port` each, `!` before those that are not ready.
fn endpoints(index: &Index, name: &str) -> String {
    let service = get(&index.snapshot, name);
    let texts = service.ports[0].endpoints.iter().map(|endpoint| {
        let mark = if endpoint.conditions.ready { "" } else { "!" };
        format!("{mark}{}", endpoint.socket_address())
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn service(name: &str, spec: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {spec}}}\n")
}

fn slice(name: &str, service: &str, endpoints: &str) -> String {
    labelled_slice(
        name,
        &format!("kubernetes.io/service-name: {service}"),
        endpoints,
    )
}

fn labelled_slice(name: &str, labels: &str, endpoints: &str) -> String {
    let family = if endpoints.contains("::") {
        "IPv6"
    } else {
        "IPv4"
    };
    format!(
        "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: {family}, \
         metadata: {{name: {name}, labels: {{{labels}}}}}, \
         ports: [{{port: 8080}}], endpoints: [{endpoints}]}}\n"
    )
}

fn endpoint(address: &str, conditions: &str) -> String {
    format!("{{addresses: ['{address}'], conditions: {{{conditions}}}}}")
}

const WEB: &str = "{clusterIP: 10.96.0.1, ports: [{port: 80}]}";

#[test]
fn nothing_before_every_first_list_is_complete() {
    let mut index = Index::new(Options::default());
    let mut lists: Vec<Event> = lists(objects(&service("web", WEB))).collect();
    // Nobody waits for Secrets before it is known which are needed.
    assert!(matches!(lists.pop(), Some(Event::Replace(Kind::Secret, _))));
    let last = lists.pop().unwrap();
    for event in lists {
        index.apply(event);
        assert!(index.update().is_none());
    }
    index.apply(last);
    let update = index.update().expect("everything is known");
    assert_eq!(update.changes, Changes::everything(&update.snapshot));
    assert!(index.update().is_none());
}

#[test]
fn an_empty_cluster_is_an_answer_too() {
    let mut index = index(Options::default(), "");
    let update = index.update().expect("everything is known");
    assert_eq!(update.snapshot.services.size(), 0);
}

#[test]
fn without_ingress_nobody_waits_for_ingresses() {
    let mut index = Index::new(Options {
        ingress: false,
        ..Options::default()
    });
    for kind in [
        Kind::Service,
        Kind::EndpointSlice,
        Kind::Node,
        Kind::ServiceCidr,
    ] {
        assert!(index.update().is_none());
        index.apply(Event::Replace(kind, Vec::new()));
    }
    assert!(index.update().is_some());
}

#[test]
fn slices_of_a_service_merge() {
    let a = [
        endpoint("10.1.0.9", ""),
        endpoint("10.1.0.10", "ready: false"),
    ]
    .join(",");
    let b = [
        endpoint("10.1.0.1", ""),
        // Also in the other slice, where it is not terminating.
        endpoint("10.1.0.9", "ready: false, serving: true, terminating: true"),
    ];
    let c = endpoint("2001:db8::1", "");
    let yaml = [
        service("web", WEB),
        slice("web-a", "web", &a),
        slice("web-b", "web", &b.join(",")),
        slice("web-c", "web", &c),
        slice("other", "other", &endpoint("10.1.0.2", "")),
    ];
    let mut index = index(Options::default(), &yaml.concat());
    index.update().unwrap();
    assert_eq!(
        endpoints(&index, "default/web"),
        "10.1.0.1:8080 10.1.0.9:8080 !10.1.0.10:8080 [2001:db8::1]:8080"
    );

    // Whichever slice comes first by name.
    let changes = delete(&mut index, Kind::EndpointSlice, "default/web-a");
    assert_eq!(changes.services, [named("default/web")].into());
    assert_eq!(
        endpoints(&index, "default/web"),
        "10.1.0.1:8080 !10.1.0.9:8080 [2001:db8::1]:8080"
    );
}

#[test]
fn a_slice_can_come_before_its_service_and_move_to_another() {
    let mut index = index(Options::default(), "");
    index.update().unwrap();
    let early = slice("s", "a", &endpoint("10.1.0.1", ""));
    assert!(apply(&mut index, &early).is_empty());
    assert_eq!(apply(&mut index, &service("a", WEB)).services.len(), 1);
    assert_eq!(endpoints(&index, "default/a"), "10.1.0.1:8080");

    let spec = "{clusterIP: 10.96.0.2, ports: [{port: 80}]}";
    apply(&mut index, &service("b", spec));
    let moved = slice("s", "b", &endpoint("10.1.0.1", ""));
    let changes = apply(&mut index, &moved);
    assert_eq!(
        changes.services,
        [named("default/a"), named("default/b")].into()
    );
    assert_eq!(endpoints(&index, "default/a"), "");
    assert_eq!(endpoints(&index, "default/b"), "10.1.0.1:8080");

    // Without the label it is nobody's.
    apply(
        &mut index,
        &labelled_slice("s", "", &endpoint("10.1.0.1", "")),
    );
    assert_eq!(endpoints(&index, "default/b"), "");
}

#[test]
fn headless_slices_count_for_headless_services_only() {
    let labels = |service| {
        format!("kubernetes.io/service-name: {service}, service.kubernetes.io/headless: ''")
    };
    let address = endpoint("10.1.0.1", "");
    let yaml = [
        service("normal", WEB),
        labelled_slice("n", &labels("normal"), &address),
        service("headless", "{clusterIP: None, ports: [{port: 80}]}"),
        labelled_slice("h", &labels("headless"), &address),
    ];
    let mut index = index(Options::default(), &yaml.concat());
    index.update().unwrap();
    assert_eq!(endpoints(&index, "default/normal"), "");
    assert_eq!(endpoints(&index, "default/headless"), "10.1.0.1:8080");

    // The label may go and come.
    apply(&mut index, &slice("n", "normal", &address));
    assert_eq!(endpoints(&index, "default/normal"), "10.1.0.1:8080");
    apply(
        &mut index,
        &labelled_slice("n", &labels("normal"), &address),
    );
    assert_eq!(endpoints(&index, "default/normal"), "");
}

#[test]
fn what_does_not_change_the_model_is_no_update() {
    let first = endpoint("10.1.0.1", "");
    let yaml = [service("web", WEB), slice("web-a", "web", &first)];
    let mut index = index(Options::default(), &yaml.concat());
    index.update().unwrap();
    for yaml in [
        // Metadata.
        "{apiVersion: v1, kind: Service, metadata: {name: web, labels: {a: b}, resourceVersion: '7'}, \
          spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}"
            .to_owned(),
        slice("web-a", "web", &first),
        // A second slice that says the same as the first.
        slice("web-b", "web", &first),
        // Endpoints of no Service, other people's Nodes.
        slice("lost", "nobody", &first),
        "{apiVersion: v1, kind: Node, metadata: {name: other}}".to_owned(),
        "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: other}}".to_owned(),
    ] {
        assert_eq!(apply(&mut index, &yaml), Changes::default(), "{yaml}");
    }
}

#[test]
fn untouched_services_are_shared() {
    let yaml = [
        service(
            "a",
            "{clusterIP: 10.96.0.1, ports: [{name: x, port: 80}, {name: y, port: 81}]}",
        ),
        service("b", "{clusterIP: 10.96.0.2, ports: [{port: 80}]}"),
        slice("b", "b", &endpoint("10.1.0.1", "")),
    ];
    let mut index = index(Options::default(), &yaml.concat());
    let before = index.update().unwrap().snapshot;
    apply(&mut index, &slice("b", "b", &endpoint("10.1.0.2", "")));
    let after = &index.snapshot;
    assert!(Arc::ptr_eq(
        &get(&before, "default/a"),
        &get(after, "default/a")
    ));
    assert!(!Arc::ptr_eq(
        &get(&before, "default/b"),
        &get(after, "default/b")
    ));
    assert_eq!(
        get(&before, "default/b").ports[0].endpoints[0]
            .address
            .to_string(),
        "10.1.0.1"
    );
    assert!(Arc::ptr_eq(&before.node, &after.node));

    // A change of the Service leaves the list of its endpoints where it is.
    let before = after.clone();
    apply(
        &mut index,
        &service("b", "{clusterIP: 10.96.0.3, ports: [{port: 80}]}"),
    );
    let lists = [&before, &index.snapshot]
        .map(|snapshot| get(snapshot, "default/b").ports[0].endpoints.clone());
    assert!(Arc::ptr_eq(&lists[0], &lists[1]));
}

#[test]
fn a_relist_removes_what_is_not_in_it() {
    let yaml = [service("a", WEB), service("b", WEB)].concat();
    let mut index = index(Options::default(), &yaml);
    index.update().unwrap();
    apply(&mut index, &service("c", WEB));
    let kept = objects(&service("a", WEB));
    index.apply(Event::Apply(objects(&service("pending", WEB)).remove(0)));
    index.apply(Event::Replace(Kind::Service, kept));
    let update = index.update().unwrap();
    let names: Vec<_> = update
        .snapshot
        .services
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["default/a"]);
    let gone = [named("default/b"), named("default/c")];
    assert!(
        gone.iter()
            .all(|name| update.changes.services.contains(name))
    );
    assert!(!update.changes.services.contains(&named("default/a")));
}

#[test]
fn a_list_in_parts_counts_once_it_is_complete() {
    let mut index = index(Options::default(), &service("a", WEB));
    index.update().unwrap();
    let part = |name| objects(&service(name, WEB));
    index.apply(Event::Part(Kind::Service, part("void")));
    index.apply(Event::Void(Kind::Service));
    index.apply(Event::Part(Kind::Service, part("b")));
    assert!(index.update().is_none(), "half a list");
    index.apply(Event::Replace(Kind::Service, part("c")));
    let services = index.update().unwrap().snapshot.services.clone();
    let names: Vec<_> = services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["default/b", "default/c"]);
}

#[test]
fn only_our_own_node_matters() {
    let node = |name: &str, zone: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, \
             labels: {{topology.kubernetes.io/zone: {zone}}}}}}}\n"
        )
    };
    let options = Options {
        node_name: " Node-1\n".into(),
        ..Options::default()
    };
    let yaml = [node("node-1", "a"), node("node-2", "b")].concat();
    let mut index = index(options, &yaml);
    let update = index.update().unwrap();
    assert_eq!(&*update.snapshot.node.name, "node-1");
    assert_eq!(update.snapshot.node.zone.as_deref(), Some("a"));

    assert!(apply(&mut index, &node("node-2", "c")).is_empty());
    assert!(apply(&mut index, &node("node-1", "c")).node);
    let cidr = "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: kubernetes}, \
                spec: {cidrs: [10.96.0.7/12, 'fd00::/108']}}";
    assert!(apply(&mut index, cidr).node);
    let texts: Vec<_> = index
        .snapshot
        .node
        .service_cidrs
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(texts, ["10.96.0.0/12", "fd00::/108"]);
    assert!(delete(&mut index, Kind::Node, "node-1").node);
    assert_eq!(index.snapshot.node.zone, None);
    assert!(delete(&mut index, Kind::ServiceCidr, "kubernetes").node);
}

#[test]
fn problems_come_and_go_with_their_object() {
    let broken = service("web", "{clusterIP: 10.96.0.1, ports: [{port: 70000}]}");
    let mut index = index(Options::default(), &broken);
    index.update().unwrap();
    let expected = [
        "Service default/web spec.ports[0].port: 70000 is not a port (1 to 65535); \
                     the port is left out",
    ];
    assert_eq!(problems(&index), expected);
    apply(&mut index, &service("web", WEB));
    assert_eq!(problems(&index), Vec::<String>::new());
    apply(&mut index, &broken);
    assert_eq!(problems(&index), expected);
    delete(&mut index, Kind::Service, "default/web");
    assert_eq!(problems(&index), Vec::<String>::new());
}

#[test]
fn a_batch_shows_as_one() {
    let mut index = index(Options::default(), "");
    index.update().unwrap();
    let both = objects(&[service("a", WEB), service("b", WEB)].concat());
    index.apply(Event::Batch(both.into_iter().map(Event::Apply).collect()));
    assert_eq!(changes(&mut index).services.len(), 2);
}
