//! `fairway explain` says what clients see, from the agent and from objects.

use fairway_model::Protocol;
use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{endpoint_slices, ingress, tls_secret};
use fairway_testkit::{Echo, Family, Lab, nft};
use serde_json::Value;

use crate::ingress::site::{Site, endpoints};
use crate::support::{Feed, becomes, fed_both_ways};

fed_both_ways!(
    what_is_said_is_what_clients_see,
    the_agent_knows_what_the_kernel_holds,
    without_an_agent_the_kernel_is_looked_at,
);

fn site(feed: Feed) -> Site {
    let site = Site::start(feed, Lab::builder().nodes(2).pods_per_node(1));
    let pods = site.pods(&["pod-1-1", "pod-2-1"]);
    let web = site.service("web", 10).tcp("http", 80).node_port(30080);
    let idle = site.service("idle", 11).tcp("http", 80);
    let slices = endpoint_slices("web", &[("http", Protocol::Tcp, Echo::HTTP)], &pods);
    site.apply("services", [web, idle]);
    site.apply("slices", slices);
    let routes = ingress("web")
        .class("fairway")
        .prefix("shop.example.com", "/", "web", 80)
        .prefix("shop.example.com", "/idle", "idle", 80)
        .prefix("shop.example.com", "/gone", "gone", 80)
        .prefix("*.example.com", "/", "web", 80);
    let secure = ingress("secure")
        .class("fairway")
        .prefix(SECURE, "/", "web", 80)
        .tls(&[SECURE], "secure");
    let root = Authority::new("test root").unwrap();
    site.apply(
        "secret",
        [tls_secret("secure", &root.server(&[SECURE]).unwrap())],
    );
    site.apply("routes", [routes, secure]);
    site
}

const SECURE: &str = "secure.example.com";

/// What is said, as JSON.
fn explain(site: &Site, node: &str, arguments: &[&str]) -> Value {
    let arguments = [&["explain", "--output", "json"], arguments].concat();
    let output = site.fairway(node, &arguments);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until the router has everything, and the kernel too: either may be first.
fn answers_and_is_programmed(site: &Site) {
    becomes(true, "an answer", || {
        site.answers("shop.example.com", "/").starts_with("pod")
    });
    for family in Family::BOTH {
        let target = site.cluster_ip(family, 10, 80).to_string();
        becomes(Value::from("agrees"), "the kernel", || {
            explain(site, "node-1", &[&target])["packet"]["kernel"]["state"].take()
        });
    }
}

fn what_is_said_is_what_clients_see(feed: Feed) {
    let site = site(feed);
    becomes(true, "an answer", || {
        site.answers("shop.example.com", "/").starts_with("pod")
    });
    for (host, path) in [
        ("shop.example.com", "/"),
        ("shop.example.com", "/idle"),
        ("shop.example.com", "/gone/x"),
        ("a.example.com", "/x"),
        ("a.b.example.com", "/x"),
        ("nobody.example.org", "/"),
        ("shop.example.com", "/a/..//b"),
    ] {
        let said = explain(&site, "node-1", &[&format!("http://{host}{path}")]);
        let seen = site.get(host, path);
        let answer = &said["answer"];
        match seen.answer() {
            Some(_) => assert_eq!(answer["outcome"], "forwarded", "{host}{path}: {said}"),
            None => assert_eq!(
                answer["status"],
                seen.status.as_u16(),
                "{host}{path}: {said}"
            ),
        }
        assert_eq!(said["node"], "node-1");
    }
    // TLS comes before the route.
    let secure = format!("http://{SECURE}/a");
    becomes("308", &secure, || {
        let status = site.get(SECURE, "/a").status.as_str().to_owned();
        if status == "308" {
            "308"
        } else {
            "another status"
        }
    });
    let said = explain(&site, "node-1", &[&secure]);
    assert_eq!(said["answer"]["status"], 308, "{said}");
    let said = explain(&site, "node-1", &[&secure.replace("http:", "https:")]);
    let certificate = &said["http"]["tls"]["certificate"];
    assert_eq!(certificate["secret"], "default/secure", "{said}");
    assert_eq!(certificate["covers"], true, "{said}");
    // As text, with the reason.
    let text = site.fairway("node-1", &["explain", "http://shop.example.com/gone"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("there is no such Service"), "{text}");
    assert!(text.contains("Ingress default/web spec.rules"), "{text}");
}

fn the_agent_knows_what_the_kernel_holds(feed: Feed) {
    let site = site(feed);
    answers_and_is_programmed(&site);
    let node = site.lab().node("node-1");
    let targets = Family::BOTH.map(|family| {
        [
            site.cluster_ip(family, 10, 80),
            (node.ip(family), 30080).into(),
        ]
    });
    for target in targets.into_iter().flatten() {
        let said = explain(&site, "node-1", &[&target.to_string()]);
        let kernel = &said["packet"]["kernel"];
        assert_eq!(kernel["state"], "agrees", "{said}");
        assert!(!kernel["elements"].as_array().unwrap().is_empty(), "{said}");
        assert_eq!(said["answer"]["outcome"], "forwarded", "{said}");
        let endpoints = said["packet"]["ways"][0]["endpoints"].as_array().unwrap();
        assert_eq!(endpoints.len(), 2, "{said}");
    }
    let idle = site.cluster_ip(Family::V4, 11, 80).to_string();
    let said = explain(&site, "node-1", &[&idle]);
    assert_eq!(said["answer"]["outcome"], "refused", "{said}");
    assert_eq!(said["packet"]["kernel"]["state"], "agrees", "{said}");
    // An endpoint goes, and the answer with it.
    site.apply("slices", endpoints("web", &site.pods(&["pod-2-1"])));
    let target = site.cluster_ip(Family::V4, 10, 80).to_string();
    becomes(1, "endpoints", || {
        let said = explain(&site, "node-1", &[&target]);
        let endpoints = said["packet"]["ways"][0]["endpoints"].as_array();
        endpoints.map_or(0, Vec::len)
    });
}

fn without_an_agent_the_kernel_is_looked_at(feed: Feed) {
    let site = site(feed);
    answers_and_is_programmed(&site);
    site.agent("node-1").kill().unwrap();
    let target = site.cluster_ip(Family::V4, 10, 80).to_string();
    let nobody = site.fairway("node-1", &["explain", &target]);
    assert_eq!(nobody.status.code(), Some(1));
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(told.contains("no agent answers on this node"), "{told}");

    let source = site.source_flags();
    let flags: Vec<&str> = source.iter().map(String::as_str).collect();
    let arguments = [&[target.as_str(), "--node-name", "node-1"], &flags[..]].concat();
    let said = explain(&site, "node-1", &arguments);
    assert_eq!(said["packet"]["kernel"]["state"], "agrees", "{said}");
    // Somebody takes an address away, and no agent puts it back.
    let ns = site.lab().node("node-1").ns();
    let address = site.lab().cluster_ip(Family::V4, 10);
    let script = format!("delete element ip fairway cluster-ips {{ {address} }}");
    nft::apply(ns, &script).unwrap();
    let said = explain(&site, "node-1", &arguments);
    let kernel = &said["packet"]["kernel"];
    assert_eq!(kernel["state"], "differs", "{said}");
    assert_eq!(
        kernel["missing"],
        serde_json::json!([format!("cluster-ips: {address}")])
    );
    nft::apply(ns, "delete table ip fairway").unwrap();
    let said = explain(&site, "node-1", &arguments);
    assert_eq!(said["packet"]["kernel"]["state"], "noTable", "{said}");
}
