//! Ingresses that want the same: the oldest has it, and when it goes the next.

use fairway_testkit::Lab;
use fairway_testkit::objects::{self, Object, ingress};

use super::site::Site;
use crate::support::{Feed, fed_both_ways};

fed_both_ways!(paths_go_to_the_oldest, hosts_without_rules_go_to_the_oldest);

fn site(feed: Feed) -> Site {
    let lab = Lab::builder().nodes(1);
    let lab = lab
        .pod("old", "node-1")
        .pod("middle", "node-1")
        .pod("young", "node-1");
    let site = Site::start(feed, lab);
    site.apply_apps(&["old", "middle", "young"]);
    site
}

fn created(name: &str, day: u8) -> Object<objects::Ingress> {
    ingress(name)
        .class("fairway")
        .created(&format!("2026-02-{day:02}T00:00:00Z"))
}

fn paths_go_to_the_oldest(feed: Feed) {
    let site = site(feed);
    // Names are in another order than ages.
    let old = || created("c", 1).prefix("host", "/same", "old", 80);
    let middle = created("a", 2).prefix("host", "/same", "middle", 80);
    let young = created("b", 3)
        .prefix("host", "/same", "young", 80)
        .prefix("host", "/own", "young", 80);
    site.apply("young", [young]);
    site.becomes("host", "/same", "young");
    site.apply("old", [old()]);
    site.becomes("host", "/same", "old");
    site.apply("middle", [middle]);
    let lost = |name: &str, winner: &str| {
        let line = format!(
            "Ingress default/{name} spec.rules[0].http.paths[0]: host \"/same\" is already served by \
             Ingress default/{winner} (spec.rules[0].http.paths[0]); the oldest keeps it"
        );
        let within = std::time::Duration::from_secs(10);
        site.agent("node-1").wait_for_log(&line, within).unwrap();
    };
    lost("b", "c");
    lost("a", "c");
    assert_eq!(site.answers("host", "/same"), "old");
    assert_eq!(site.answers("host", "/own"), "young");

    site.delete("old");
    site.becomes("host", "/same", "middle");
    lost("b", "a");
    // Created again it is the youngest.
    site.apply("old", [old().created("2026-03-01T00:00:00Z")]);
    site.delete("middle");
    site.becomes("host", "/same", "young");
    site.delete("young");
    site.becomes("host", "/same", "old");
    assert_eq!(site.answers("host", "/own"), "404");
}

fn hosts_without_rules_go_to_the_oldest(feed: Feed) {
    let site = site(feed);
    site.apply("young", [created("a", 3).default_backend("young", 80)]);
    site.becomes("any", "/", "young");
    site.apply("old", [created("b", 1).default_backend("old", 80)]);
    site.becomes("any", "/", "old");
    // Only what exists can answer for others.
    site.apply(
        "oldest",
        [ingress("c").class("fairway").default_backend("nowhere", 80)],
    );
    site.apply("host", [created("d", 3).prefix("host", "/", "middle", 80)]);
    site.becomes("host", "/", "middle");
    assert_eq!(site.answers("any", "/"), "old");
    site.delete("old");
    site.becomes("any", "/", "young");
    site.delete("young");
    site.becomes("any", "/", "503");
    site.delete("oldest");
    site.becomes("any", "/", "404");
}
