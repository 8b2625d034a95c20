//! Many Ingresses.

use std::time::{Duration, Instant};

use fairway_testkit::Lab;
use fairway_testkit::objects::{self, Object, ingress};

use super::conversation::Conversation;
use super::site::Site;
use crate::support::{Feed, becomes, fed_both_ways};

fed_both_ways!(a_thousand_ingresses);

const INGRESSES: usize = 1000;
const PATHS: usize = 5;

/// Ingress number `number`, with a host of its own.
fn numbered(number: usize, service: &str) -> Object<objects::Ingress> {
    let host = format!("host-{number}.example.com");
    let object = ingress(&format!("ingress-{number}")).class("fairway");
    (0..PATHS).fold(object, |object, path| {
        object.prefix(&host, &format!("/path-{path}"), service, 80)
    })
}

fn a_thousand_ingresses(feed: Feed) {
    let lab = Lab::builder()
        .nodes(1)
        .pod("old", "node-1")
        .pod("new", "node-1");
    let site = Site::start(feed, lab);
    site.apply_apps(&["old", "new"]);
    let first = "host-0.example.com";
    site.apply("0", [numbered(0, "old")]);
    site.becomes(first, "/path-0", "old");
    let mut kept = Conversation::open(site.lab().client().ns(), site.router("node-1"));
    assert_eq!(kept.get(first, "/path-0"), "old");

    // In the order of their files, so that the last one tells that all are there.
    for number in 1..INGRESSES {
        site.apply(&format!("{number}"), [numbered(number, "old")]);
    }
    site.apply(
        "last",
        [ingress("last")
            .class("fairway")
            .prefix("last", "/", "old", 80)],
    );
    site.becomes("last", "/", "old");
    for number in 0..INGRESSES {
        let host = format!("host-{number}.example.com");
        let path = format!("/path-{}/x", number % PATHS);
        becomes("old".to_owned(), &host, || kept.get(&host, &path));
        if number % 50 == 0 {
            assert_eq!(kept.get(&host, "/path"), "404");
        }
    }

    // A change is to be visible within a second. What a busy machine adds does not count: the best
    // of three.
    let took = ["new", "old", "new"].map(|service| {
        let changed = Instant::now();
        site.apply("500", [numbered(500, service)]);
        site.becomes("host-500.example.com", "/path-3", service);
        changed.elapsed()
    });
    assert!(
        took.iter().min() < Some(&Duration::from_secs(1)),
        "{took:?}"
    );
    assert_eq!(kept.get("host-500.example.com", "/path-3"), "new");
    assert_eq!(kept.get(first, "/path-0"), "old");
}
