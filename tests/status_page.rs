//! The status page, in a browser that people use.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::certificates::Authority;
use fairway_testkit::objects::{endpoint_slice, ingress, tls_secret};
use fairway_testkit::{Echo, Family, Lab, OpenLoop, lab};
use serde_json::json;

use crate::ingress::site::{Site, app};
use crate::support::{Cluster, Feed};

/// A shop with a bit of everything, of which some is wrong.
fn site() -> Site {
    let site = Site::new(Cluster::new(
        Feed::Manifests,
        Lab::builder().nodes(1).pods_per_node(2),
    ));
    let pods = site.lab().pods();
    site.apply("web", app("web", &pods));
    // One of each: in, not ready, on its way out.
    let node = Some("node-1");
    let slice = endpoint_slice("api", Family::V4).tcp("http", Echo::HTTP);
    let slice = slice.pod(&pods[0]).pod(&pods[1]).not_ready();
    let slice = slice.endpoint([10, 244, 0, 99].into(), node);
    let api = site.service("api", 12).tcp("http", 80).build();
    site.apply("api", [api, slice.terminating(true).build()]);
    site.apply("idle", app("idle", &[]));
    let web = ingress("web").class("fairway");
    let backend = |name: &str| json!({"service": {"name": name, "port": {"number": 80}}});
    let web = web.prefix("web.example", "/", "web", 80).path(
        "Prefix",
        "web.example",
        "/<img src=x onerror=alert(1)>",
        backend("web"),
    );
    site.apply("routes", [web]);
    let late = ingress("web-again").class("fairway");
    site.apply("late", [late.prefix("web.example", "/", "api", 80)]);
    let shop = ingress("shop")
        .class("fairway")
        .tls(&["shop.example"], "shop");
    site.apply("shop", [shop.prefix("shop.example", "/", "missing", 80)]);
    let root = Authority::new("root").unwrap();
    let issued = root.server(&["shop.example"]).unwrap();
    site.apply("secret", [tls_secret("shop", &issued)]);
    site.start();
    site
}

/// With requests all the time, so that there is something to see. What is needed is in `.ci/run`; with
/// `STATUS_SCREENSHOT` set it leaves a picture there.
#[test]
fn people_find_their_way_and_nothing_else_does() {
    lab::test(|| {
        let site = site();
        let load = OpenLoop {
            server: site.router("node-1"),
            host: "web.example".to_owned(),
            path: "/".to_owned(),
            rate: 80.0,
            duration: Duration::from_millis(500),
            connections: 2,
        };
        let enough = AtomicBool::new(false);
        let output = std::thread::scope(|scope| {
            let client = site.lab().client().ns();
            let asking = scope.spawn(|| {
                while !enough.load(Ordering::Acquire) {
                    load.run(client).unwrap();
                }
            });
            let home = tempfile::tempdir().unwrap();
            let mut browser = Command::new("/usr/bin/python3");
            browser
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/status_page.py"))
                .arg("http://127.0.0.1:10249/status")
                .args(std::env::var_os("STATUS_SCREENSHOT"))
                // Whatever it keeps goes with it.
                .env("HOME", home.path())
                .env("TMPDIR", home.path());
            let output = site.lab().node("node-1").ns().output(browser).unwrap();
            enough.store(true, Ordering::Release);
            asking.join().unwrap();
            output
        });
        let [said, told] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(output.status.success(), "{said}\n{told}");
        let mut expected = vec![
            "clicked through",
            "used by keyboard",
            "read on a phone",
            "no console error, no outside request",
        ];
        if std::env::var_os("AXE_CORE_WHEEL").is_some() {
            expected.push("axe-core: ");
        }
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{said}");
        let all = lines.iter().zip(&expected);
        assert!(
            all.into_iter().all(|(line, it)| line.starts_with(it)),
            "{said}"
        );
    });
}
