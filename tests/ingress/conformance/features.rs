//! The suite's objects and requests.

use std::collections::BTreeSet;

use fairway_testkit::objects::{self, Object};
use serde_json::Value;

use crate::ingress::site::{Site, app};

pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) objects: fn(&Site) -> Vec<Value>,
    /// The first one is served: it tells that the objects are in use.
    pub(super) rows: &'static [Row],
}

/// A scenario.
#[derive(Debug)]
pub(super) struct Row {
    #[expect(dead_code, reason = "printed when the row fails")]
    pub(super) number: u8,
    pub(super) method: &'static str,
    /// Empty: the load balancer's address.
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// The pod that serves it, or the status.
    pub(super) expected: &'static str,
}

const fn get(number: u8, host: &'static str, path: &'static str, expected: &'static str) -> Row {
    row(number, "GET", host, path, expected)
}

const fn row(
    number: u8,
    method: &'static str,
    host: &'static str,
    path: &'static str,
    expected: &'static str,
) -> Row {
    Row {
        number,
        method,
        host,
        path,
        expected,
    }
}

pub(super) const FEATURES: &[Feature] = &[
    Feature {
        name: "default backend",
        objects: default_backend,
        rows: &[
            row(1, "GET", "my-host", "/", "echo-service-0"),
            row(2, "GET", "my-host", "/sub-path", "echo-service-0"),
            row(3, "POST", "some-host", "/", "echo-service-0"),
            row(4, "PUT", "", "/resource", "echo-service-0"),
            row(5, "DELETE", "some-host", "/resource", "echo-service-0"),
            row(6, "PATCH", "my-host", "/resource", "echo-service-0"),
        ],
    },
    Feature {
        name: "host rules",
        objects: host_rules,
        rows: &[
            get(8, "foo.bar.com", "/", "foo-bar-com"),
            get(9, "subdomain.bar.com", "/", "404"),
            get(10, "bar.foo.com", "/", "wildcard-foo-com"),
            get(11, "baz.bar.foo.com", "/", "404"),
            get(12, "foo.com", "/", "404"),
        ],
    },
    Feature {
        name: "load balancing",
        objects: load_balancing,
        rows: &[get(14, "load-balancing", "/", "all ten")],
    },
    Feature {
        name: "path rules",
        objects: path_rules,
        rows: &[
            get(15, "exact-path-rules", "/foo", "foo-exact"),
            get(16, "exact-path-rules", "/foo/", "404"),
            get(17, "exact-path-rules", "/FOO", "404"),
            get(18, "exact-path-rules", "/bar", "404"),
            get(19, "prefix-path-rules", "/foo", "foo-prefix"),
            get(20, "prefix-path-rules", "/foo/", "foo-prefix"),
            get(21, "prefix-path-rules", "/FOO", "404"),
            get(22, "prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"),
            get(
                23,
                "prefix-path-rules",
                "/aaa/bbb/ccc",
                "aaa-slash-bbb-prefix",
            ),
            get(24, "prefix-path-rules", "/aaa/ccc", "aaa-prefix"),
            get(25, "prefix-path-rules", "/aaaccc", "404"),
            get(26, "prefix-path-rules", "/foo/", "foo-prefix"),
            get(27, "mixed-path-rules", "/foo", "foo-exact"),
            get(
                28,
                "trailing-slash-path-rules",
                "/aaa/bbb",
                "aaa-slash-bbb-slash-prefix",
            ),
            get(
                29,
                "trailing-slash-path-rules",
                "/aaa/bbb/",
                "aaa-slash-bbb-slash-prefix",
            ),
            get(30, "trailing-slash-path-rules", "/foo", "404"),
        ],
    },
];

/// The Services, each a pod of the same name, that paths and hosts go to.
const SERVICES: [&str; 8] = [
    "foo-bar-com",
    "wildcard-foo-com",
    "foo-exact",
    "foo-prefix",
    "aaa-prefix",
    "aaa-slash-bbb-prefix",
    "aaa-slash-bbb-slash-prefix",
    "foo-slash-exact",
];

/// The pods of the `load balancing` feature; the first one alone is `echo-service`.
pub(super) fn ten() -> BTreeSet<String> {
    (0..10)
        .map(|number| format!("echo-service-{number}"))
        .collect()
}

pub(super) fn pods() -> Vec<String> {
    ten()
        .into_iter()
        .chain(SERVICES.map(str::to_owned))
        .collect()
}

fn default_backend(site: &Site) -> Vec<Value> {
    echo_service(site, &["echo-service-0"])
}

fn load_balancing(site: &Site) -> Vec<Value> {
    let ten = ten();
    let pods: Vec<&str> = ten.iter().map(String::as_str).collect();
    echo_service(site, &pods)
}

fn echo_service(site: &Site, pods: &[&str]) -> Vec<Value> {
    let ingress = ingress().default_backend("echo-service", 80);
    with(ingress, app("echo-service", &site.pods(pods)))
}

fn host_rules(site: &Site) -> Vec<Value> {
    let ingress = ingress()
        .tls(&["foo.bar.com"], "conformance-tls")
        .prefix("*.foo.com", "/", "wildcard-foo-com", 80)
        .prefix("foo.bar.com", "/", "foo-bar-com", "http");
    with(ingress, services(site))
}

fn path_rules(site: &Site) -> Vec<Value> {
    let (bbb, bbb_slash) = ("aaa-slash-bbb-prefix", "aaa-slash-bbb-slash-prefix");
    let ingress = ingress()
        .exact("exact-path-rules", "/foo", "foo-exact", 80)
        .prefix("prefix-path-rules", "/foo", "foo-prefix", 80)
        .prefix("prefix-path-rules", "/aaa", "aaa-prefix", 80)
        .prefix("prefix-path-rules", "/aaa/bbb", bbb, 80)
        .prefix("mixed-path-rules", "/foo", "foo-prefix", 80)
        .exact("mixed-path-rules", "/foo", "foo-exact", 80)
        .prefix("trailing-slash-path-rules", "/aaa/bbb/", bbb_slash, 80)
        .exact("trailing-slash-path-rules", "/foo/", "foo-slash-exact", 80);
    with(ingress, services(site))
}

fn ingress() -> Object<objects::Ingress> {
    objects::ingress("conformance").class("fairway")
}

/// One for each of [`SERVICES`].
fn services(site: &Site) -> Vec<Value> {
    let apps = SERVICES.map(|name| app(name, &site.pods(&[name])));
    apps.concat()
}

/// The Ingress is the last to be created and the last to go.
fn with(ingress: Object<objects::Ingress>, mut apps: Vec<Value>) -> Vec<Value> {
    apps.push(ingress.build());
    apps
}
