//! Hosts and paths.

use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, lab};
use serde_json::json;

use super::site::Site;
use crate::support::Feed;

/// Host, path, and who answers: a pod, or a status.
type Table<'a> = &'a [(&'a str, &'a str, &'a str)];

fn site(pods: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1);
    let lab = pods.iter().fold(lab, |lab, pod| lab.pod(pod, "node-1"));
    let site = Site::start(Feed::Manifests, lab);
    site.apply_apps(pods);
    site
}

/// Waits for the first row; the others hold at once.
fn check(site: &Site, table: Table<'_>) {
    site.becomes(table[0].0, table[0].1, table[0].2);
    for (host, path, expected) in table {
        let response = site.get(host, path);
        assert_eq!(super::site::outcome(&response), *expected, "{host} {path}");
        if let Some(answer) = response.answer() {
            assert_eq!(answer.header("host"), [*host], "the host as it was sent");
        }
    }
}

#[test]
fn hosts() {
    lab::test(|| {
        let site = site(&["exact", "wildcard", "any"]);
        let hosts = ingress("hosts")
            .class("fairway")
            .prefix("foo.bar.com", "/", "exact", 80)
            .prefix("*.foo.com", "/", "wildcard", 80)
            .prefix("bar.foo.com", "/", "exact", 80)
            .prefix("a.foo.com", "/a", "exact", 80);
        site.apply("hosts", [hosts]);
        check(
            &site,
            &[
                ("foo.bar.com", "/", "exact"),
                ("FOO.Bar.com", "/", "exact"),
                ("foo.bar.com:8443", "/", "exact"),
                ("foo.bar.com.", "/", "exact"),
                ("foo.bar.com:", "/", "exact"),
                ("foo.bar.com..", "/", "400"),
                ("foo.bar.com:99999", "/", "400"),
                ("foo.bar.com:http", "/", "400"),
                ("2001:db8::1", "/", "400"),
                ("[2001:db8::1", "/", "400"),
                ("[2001:db8::1]:80", "/", "404"),
                ("172.18.0.11:8080", "/", "404"),
                ("foo_bar.com", "/", "404"),
                // A wildcard is for one label; an exact host comes before it, with all its paths.
                ("x.foo.com", "/", "wildcard"),
                ("x.y.foo.com", "/", "404"),
                ("foo.com", "/", "404"),
                ("bar.foo.com", "/", "exact"),
                ("a.foo.com", "/a", "exact"),
                ("a.foo.com", "/b", "404"),
            ],
        );
        let any = ingress("any").class("fairway").prefix("", "/", "any", 80);
        site.apply("any", [any]);
        check(
            &site,
            &[
                ("unknown", "/", "any"),
                ("[2001:db8::1]:80", "/", "any"),
                ("172.18.0.11:8080", "/", "any"),
                ("foo.com", "/", "any"),
                ("foo.bar.com", "/", "exact"),
                ("a.foo.com", "/b", "404"),
                ("foo.bar.com..", "/", "400"),
            ],
        );
    });
}

#[test]
fn paths() {
    lab::test(|| {
        let site = site(&["one", "two", "three"]);
        let backend = |name: &str| json!({"service": {"name": name, "port": {"name": "http"}}});
        let ours = |name: &str, day: u8| {
            ingress(name)
                .class("fairway")
                .created(&format!("2026-01-{day:02}T00:00:00Z"))
        };
        site.apply(
            "ingresses",
            [
                ours("escape", 1).prefix("escape", "/foo", "one", 80),
                ours("root", 1)
                    .prefix("root", "/", "two", 80)
                    .exact("root", "/", "one", 80),
                ours("old", 1)
                    .prefix("lengths", "/a", "one", 80)
                    .prefix("types", "/x", "one", 80),
                ours("middle", 2).prefix("lengths", "/a/b/c", "two", 80),
                ours("young", 3)
                    .prefix("lengths", "/a/b", "three", 80)
                    .exact("types", "/x", "two", 80),
                ours("specific", 1)
                    .path("ImplementationSpecific", "specific", "", backend("one"))
                    .path("ImplementationSpecific", "specific", "/two", backend("two")),
                ours("default", 1)
                    .prefix("default", "/x", "one", 80)
                    .default_backend("two", 80),
                ours("bare", 1)
                    .set("/spec", "rules", json!([{"host": "bare"}]))
                    .default_backend("three", 80),
                ours("barest", 1).set("/spec", "rules", json!([{"host": "barest"}])),
            ],
        );
        check(
            &site,
            &[
                ("escape", "/foo/bar", "one"),
                ("escape", "/foo%2Fbar", "404"),
                ("escape", "/foobar", "404"),
                ("escape", "/%66oo", "one"),
                ("root", "/", "one"),
                ("root", "/x", "two"),
                ("root", "/?x", "one"),
                // The longest wins, whatever its age.
                ("lengths", "/a/x", "one"),
                ("lengths", "/a/b/x", "three"),
                ("lengths", "/a/b/c/x", "two"),
                ("types", "/x", "two"),
                ("types", "/x/", "one"),
                ("specific", "/any/thing", "one"),
                ("specific", "/two", "two"),
                ("default", "/x", "one"),
                ("default", "/y", "two"),
                ("bare", "/y", "three"),
                ("barest", "/y", "404"),
                // A default backend of rules is for the hosts of the rules.
                ("unknown", "/", "404"),
            ],
        );

        let query = "/admin=a;b&c=%41&&d=?//../";
        let answer = site
            .get("escape", &format!("/foo?{query}"))
            .answer()
            .unwrap();
        assert_eq!(answer.query.as_deref(), Some(query), "byte for byte");
        assert_eq!(answer.path, "/foo");
    });
}
