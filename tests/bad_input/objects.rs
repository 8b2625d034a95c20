//! Objects with absurd fields, and references to what is not there.

use fairway_testkit::objects::{self, Object, endpoint_slice, ingress, service};
use fairway_testkit::{Family, Lab};
use serde_json::{Value, json};

use super::Told;
use crate::ingress::site::{Site, endpoints};
use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(
    absurd_services,
    absurd_endpoints,
    absurd_ingresses,
    thousands_of_paths
);

/// A running agent that serves the host `good` from the pod `web`.
fn site(feed: Feed) -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(feed, lab));
    site.apply_apps(&["web"]);
    site.apply("good", [ours("good").prefix("good", "/", "web", 80)]);
    site.start();
    site
}

fn ours(name: &str) -> Object<objects::Ingress> {
    ingress(name).class("fairway")
}

/// Objects, and what is said about each after its kind and name: the field, and what follows.
#[derive(Default)]
struct Bad {
    objects: Vec<Value>,
    said: Vec<String>,
}

impl Bad {
    fn add(&mut self, object: impl Into<Value>, said: &[&str]) {
        let object = object.into();
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]];
        let [kind, name] = [kind, name].map(|text| text.as_str().unwrap());
        let said = said
            .iter()
            .map(|said| format!("{kind} default/{name} {said}"));
        self.said.extend(said);
        self.objects.push(object);
    }

    /// Gives the objects to a running agent, to a new one, and to each once more with changes that
    /// do not matter.
    fn check(&self, site: &Site, works: impl Fn()) {
        site.apply("bad", self.objects.clone());
        self.wait(site, &works);
        site.agent("node-1").kill().unwrap();
        site.start_agent("node-1");
        self.wait(site, &works);
    }

    fn wait(&self, site: &Site, works: impl Fn()) {
        let agent = site.agent("node-1");
        let said: Vec<_> = self.said.iter().map(String::as_str).collect();
        Told(&agent).wait(&said);
        site.becomes("good", "/", "web");
        works();
        let mut touched = self.objects.clone();
        for object in &mut touched {
            object["metadata"]["annotations"] = json!({"touched": "yes"});
        }
        site.apply("bad", touched);
        site.apply("marker", [ours("marker").prefix("marker", "/", "web", 80)]);
        site.becomes("marker", "/", "web");
        site.delete("marker");
        site.becomes("marker", "/", "404");
        Told(&agent).once(&said);
        // Kinds are watched one by one: an Ingress may come before its Service.
        let on_its_way = "does not exist; answered with 503 until it does";
        Told(&agent).nothing_else(&[&said[..], &[on_its_way]].concat());
    }
}

fn absurd_services(feed: Feed) {
    let site = site(feed);
    let mut bad = Bad::default();
    let nowhere = service("nowhere").set("/spec", "clusterIP", "10.96.0.300");
    let left_out = "spec.clusterIP: \"10.96.0.300\" is not an IP address; it is left out";
    bad.add(nowhere.tcp("", 80), &[left_out]);
    let node_port = service("node-port").cluster_ip("10.96.0.20");
    let node_port = node_port.tcp("", 80).node_port(1);
    bad.add(
        node_port.set("/spec/ports/0", "nodePort", 99999),
        &["spec.ports[0].nodePort: 99999 is not a port (1 to 65535); it is left out"],
    );
    let ports = json!([
        {"name": "zero", "port": 0},
        {"name": "large", "port": 70000},
        {"name": "negative", "port": -1},
        {"name": "protocol", "port": 1, "protocol": "ICMP"},
        {"name": "http", "port": 80},
        {"name": "http", "port": 81},
    ]);
    bad.add(
        service("ports").headless().set("/spec", "ports", ports),
        &[
            "spec.ports[0].port: 0 is not a port (1 to 65535); the port is left out",
            "spec.ports[1].port: 70000 is not a port (1 to 65535); the port is left out",
            "spec.ports[2].port: -1 is not a port (1 to 65535); the port is left out",
            "spec.ports[3].protocol: \"ICMP\" is none of TCP, UDP and SCTP; the port is left out",
            "spec.ports[5]: has the name or the number of an earlier port; it is left out",
        ],
    );
    bad.add(
        ours("ports").prefix("ports", "/", "ports", 80).prefix("ports", "/81", "ports", 81),
        &["spec.rules[0].http.paths[1].backend.service.port: Service \"default/ports\" has no port \
           \"81\"; answered with 503"],
    );
    for slice in endpoints("ports", &site.pods(&["web"])) {
        bad.add(slice, &[]);
    }
    bad.check(&site, || {
        site.becomes("ports", "/", "web");
        site.becomes("ports", "/81", "503");
    });
}

fn absurd_endpoints(feed: Feed) {
    let site = site(feed);
    let mut bad = Bad::default();
    let web = site.lab().pod("web");
    let ip = web.ip(Family::V4).to_string();
    let slice = |name: &str| {
        endpoint_slice("mixed", Family::V4)
            .named(name)
            .tcp("http", 8080)
    };
    let addresses = [
        &*ip,
        "10.244.1.300",
        "fd00::5",
        "127.0.0.1",
        "169.254.169.254",
        "",
        &*ip,
    ];
    let endpoints = addresses.map(|address| json!({"addresses": [address]}));
    bad.add(
        slice("addresses").set("", "endpoints", endpoints.to_vec()),
        &[
            "endpoints[1].addresses[0]: \"10.244.1.300\" is not an IP address; the endpoint is left out",
            "endpoints[2].addresses[0]: fd00::5 is no IPv4 address; the endpoint is left out",
            "endpoints[3].addresses[0]: 127.0.0.1 is a loopback address, which no endpoint can have",
            "endpoints[4].addresses[0]: 169.254.169.254 is a link-local address, which no endpoint",
            "endpoints[5].addresses[0]: \"\" is not an IP address; the endpoint is left out",
            &format!("endpoints[6].addresses[0]: {ip} is listed before; it is one endpoint"),
        ],
    );
    bad.add(
        slice("type").set("", "addressType", "IPv9"),
        &["addressType: \"IPv9\" is none of IPv4, IPv6 and FQDN; the slice is left out"],
    );
    for (name, number) in [("large", 70000), ("zero", 0)] {
        let said =
            format!("ports[0].port: {number} is not a port (1 to 65535); the port is left out");
        bad.add(
            slice(name).pod(&web).set("/ports/0", "port", number),
            &[&said],
        );
    }
    bad.add(
        endpoint_slice("orphan", Family::V4)
            .tcp("http", 80)
            .pod(&web),
        &[],
    );
    bad.add(service("mixed").headless().tcp("http", 80), &[]);
    bad.add(ours("mixed").prefix("mixed", "/", "mixed", 80), &[]);
    bad.check(&site, || site.becomes("mixed", "/", "web"));
}

fn absurd_ingresses(feed: Feed) {
    let site = site(feed);
    let mut bad = Bad::default();
    let labels = [("a", 63), ("b", 63), ("c", 63), ("d", 61)];
    let longest = labels
        .map(|(letter, length)| letter.repeat(length))
        .join(".");
    bad.add(ours("longest").prefix(&longest, "/", "web", 80), &[]);
    let too_long = format!("{longest}e");
    let start = &too_long[..80];
    let said = format!("spec.rules[0].host: \"{start}...\" is longer than a DNS name can be");
    bad.add(ours("too-long").prefix(&too_long, "/", "web", 80), &[&said]);
    bad.add(
        ours("hosts")
            .prefix("UPPER.example.com", "/", "web", 80)
            .prefix("*.*.example.com", "/", "web", 80)
            .prefix("10.0.0.1", "/", "web", 80)
            .prefix("port.example.com:80", "/", "web", 80)
            .prefix("fine.example.com", "/", "web", 80),
        &[
            "spec.rules[0].host: \"UPPER.example.com\" has upper-case letters",
            "spec.rules[1].host: \"*.*.example.com\" has a * that is not its whole first label",
            "spec.rules[2].host: \"10.0.0.1\" is an IP address, not a DNS name",
            "spec.rules[3].host: \"port.example.com:80\" has a port or a colon",
        ],
    );
    let backend =
        |name: &str, port: i32| json!({"service": {"name": name, "port": {"number": port}}});
    bad.add(
        ours("paths")
            .prefix("paths", "relative", "web", 80)
            .prefix("paths", "/a//b", "web", 80)
            .path("Regex", "paths", "/", backend("web", 80))
            .prefix("paths", "/fine", "web", 80),
        &[
            "spec.rules[0].http.paths[0].path: \"relative\" does not start with /; the path is left out",
            "spec.rules[0].http.paths[1].path: \"/a//b\" contains one of // /./ /../ %2f",
            "spec.rules[0].http.paths[2].pathType: \"Regex\" is none of Exact, Prefix and Implementation",
        ],
    );
    let backends = ours("backends")
        .prefix("backends", "/", "web", 80)
        .prefix("backends", "/missing", "missing", 80)
        .prefix("backends", "/number", "web", 81)
        .prefix("backends", "/name", "web", "nope")
        .path("Prefix", "backends", "/zero", backend("web", 0))
        .path("Prefix", "backends", "/large", backend("web", 70000))
        .path(
            "Prefix",
            "backends",
            "/elsewhere",
            backend("kube-system/web", 80),
        )
        .path("Prefix", "backends", "/nothing", json!({}));
    let said = [
        "service.name: Service \"default/missing\" does not exist; answered with 503 until it does",
        "service.port: Service \"default/web\" has no port \"81\"; answered with 503",
        "service.port: Service \"default/web\" has no port \"nope\"; answered with 503",
        "service.port: 0 is not a port (1 to 65535) and there is no name; answered with 503",
        "service.port: 70000 is not a port (1 to 65535) and there is no name; answered with 503",
        "service.name: \"kube-system/web\" is not the name of a Service in the Ingress's own namespace",
    ];
    let said = (1..).zip(said);
    let said =
        said.map(|(index, said)| format!("spec.rules[0].http.paths[{index}].backend.{said}"));
    let mut said: Vec<String> = said.collect();
    said.push(
        "spec.rules[0].http.paths[7].backend: names no Service; answered with 503".to_owned(),
    );
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    bad.add(backends, &said);
    bad.add(
        ours("twice").prefix("good", "/", "missing", 80).created("2026-05-01T00:00:00Z"),
        &[
            "spec.rules[0].http.paths[0]: good \"/\" is already served by Ingress default/good",
            "spec.rules[0].http.paths[0].backend.service.name: Service \"default/missing\" does not exist",
        ],
    );
    // Perhaps somebody else's.
    bad.add(
        ingress("foreign")
            .class("not-there")
            .prefix("foreign", "here", "missing", 0),
        &[],
    );
    bad.check(&site, || {
        for (host, path, expected) in [
            (longest.as_str(), "/", "web"),
            (&too_long, "/", "404"),
            ("fine.example.com", "/", "web"),
            ("upper.example.com", "/", "404"),
            ("paths", "/fine", "web"),
            ("paths", "/", "404"),
            ("backends", "/", "web"),
            // Never the shorter path's backend.
            ("backends", "/missing", "503"),
            ("backends", "/number", "503"),
            ("backends", "/name", "503"),
            ("backends", "/zero", "503"),
            ("backends", "/large", "503"),
            ("backends", "/elsewhere", "503"),
            ("backends", "/nothing", "503"),
            ("foreign", "/", "404"),
        ] {
            site.becomes(host, path, expected);
        }
    });
}

/// Ten thousand paths are used; of a thousand bad ones twenty are named and the others counted.
fn thousands_of_paths(feed: Feed) {
    let site = site(feed);
    let rules = |host: &str, paths: Vec<Value>| json!([{"host": host, "http": {"paths": paths}}]);
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let good =
        |index| json!({"path": format!("/{index}"), "pathType": "Prefix", "backend": backend});
    let good = rules("thousands", (0..10_000).map(good).collect());
    let bad = vec![json!({"path": "x", "pathType": "Prefix", "backend": {}}); 1000];
    let bad = rules("bad", bad);
    let objects = [("thousands", good), ("bad", bad)];
    site.apply(
        "bad",
        objects.map(|(name, rules)| ours(name).set("/spec", "rules", rules)),
    );
    let said = |index| {
        let field = format!("spec.rules[0].http.paths[{index}].path");
        format!("Ingress default/bad {field}: \"x\" does not start with /; the path is left out")
    };
    let mut said: Vec<String> = (0..20).map(said).collect();
    said.push("Ingress default/bad has 980 more problems".to_owned());
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let agent = site.agent("node-1");
    Told(&agent).wait(&said);
    Told(&agent).once(&said);
    Told(&agent).nothing_else(&said);
    for (host, path, expected) in [
        ("thousands", "/0", "web"),
        ("thousands", "/9999/x", "web"),
        ("thousands", "/10000", "404"),
        ("bad", "/", "404"),
        ("good", "/", "web"),
    ] {
        site.becomes(host, path, expected);
    }
}
