//! What changes nothing for packets is not written.

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab};
use serde_json::{Value, json};

use crate::support::{Cluster, Feed, NftMonitor, becomes, fed_both_ways};

fed_both_ways!(only_what_matters_is_written);

fn only_what_matters_is_written(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let lab = cluster.lab();
    let pods = lab.pods();
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let service = cluster
        .service("web", 10)
        .tcp("", 80)
        .node_port(30080)
        .build();
    let slices = endpoint_slices("web", &ports, &pods);
    cluster.apply("service", [service.clone()]);
    cluster.apply("slices", slices.clone());
    cluster.start();

    let monitor = NftMonitor::start(lab.node("node-1").ns());
    // Metadata, in the object and in its slices, as controllers change it all day.
    cluster.apply("service", [touched(service.clone())]);
    cluster.apply("slices", slices.iter().cloned().map(touched));
    // The same state, told otherwise.
    cluster.apply(
        "service",
        [with(service, "/spec", "sessionAffinity", json!("None"))],
    );
    let reversed = slices.into_iter().map(|mut slice| {
        let endpoints = slice["endpoints"].as_array_mut().unwrap();
        endpoints.reverse();
        // Not ready and not serving: as good as absent.
        endpoints.push(json!({"addresses": ["192.0.2.1"], "conditions": {"ready": false}}));
        if slice["addressType"] == "IPv6" {
            slice["endpoints"][2]["addresses"] = json!(["2001:db8::1"]);
        }
        slice
    });
    cluster.apply("slices", reversed);
    // Something that matters, of both kinds, to see that all has arrived.
    let last = cluster.service("last", 11).tcp("", 80).build();
    cluster.apply("last-slices", endpoint_slices("last", &ports, &pods[..1]));
    cluster.apply("last-service", [last]);
    let [v4, v6] = Family::BOTH.map(|family| lab.cluster_ip(family, 11).to_string());
    let endpoint = |table: &str, address: &str| table.contains(&format!("{address} . tcp . 80 : "));
    becomes(true, "the last Service is served", || {
        let tables = cluster.tables("node-1");
        endpoint(&tables, &v4) && endpoint(&tables, &v6)
    });
    let written = monitor.finish();
    let elements = written.iter().filter(|line| !line.starts_with('#'));
    for line in elements {
        let last = line.contains(&v4) || line.contains(&v6) || line.contains(" hairpin ");
        assert!(last, "{line}\n{written:#?}");
    }
}

fn touched(object: Value) -> Value {
    let object = with(
        object,
        "/metadata",
        "annotations",
        json!({"note": "changed"}),
    );
    let object = with(object, "/metadata/labels", "team", json!("a"));
    with(
        object,
        "/metadata",
        "managedFields",
        json!([{"manager": "kubectl"}]),
    )
}

fn with(mut object: Value, at: &str, field: &str, value: Value) -> Value {
    let steps = at.split('/').skip(1);
    let place = steps.fold(&mut object, |place, step| &mut place[step]);
    place[field] = value;
    object
}
