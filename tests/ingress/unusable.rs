//! Configurations that only turn out to be unusable when the agent starts with them.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Family, Lab, ask};

use super::conversation::Conversation;
use super::reload::configuration;
use super::site::{Site, app};
use super::streaming::{echo_a_megabyte, upgrade};
use crate::support::{Cluster, Feed, becomes, fairway, fed_both_ways};

fed_both_ways!(
    a_configuration_that_cannot_be_served_changes_nothing,
    an_address_that_contains_the_one_of_before_is_taken_over,
    a_successor_without_a_router_does_not_replace_one_that_has_one,
);

/// Two pods, and a route that leads to the first.
fn site(feed: Feed, flags: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1).pods_per_node(2);
    let site = Site::new(Cluster::new(feed, lab).with_flags(flags));
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    leads_to(&site, 0);
    site
}

fn leads_to(site: &Site, pod: usize) {
    site.apply("app", app("web", &site.lab().pods()[pod..=pod]));
}

/// Takes a port of the node for as long as the listener is there.
fn take_a_port(site: &Site) -> (TcpListener, u16) {
    let node = site.lab().node("node-1").ns();
    let taken = node.run(|| TcpListener::bind("[::]:0")).unwrap();
    let port = taken.local_addr().unwrap().port();
    (taken, port)
}

fn a_configuration_that_cannot_be_served_changes_nothing(feed: Feed) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fairway.yaml");
    let configure = |further: &str| fs::write(&file, configuration("") + further).unwrap();
    configure("");
    let site = site(feed, &["--config", file.to_str().unwrap()]);
    site.start();
    let pods = site.lab().pods();
    site.becomes("web", "/", pods[0].name());
    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
    let mut websocket = Conversation::open(client, router);
    upgrade(&mut websocket);

    let (_taken, port) = take_a_port(&site);
    let mut unusable = vec![
        (
            "accessLog: /nonexistent/access.log\n".to_owned(),
            "cannot open the access log /nonexistent/access.log",
        ),
        (
            format!("ingressHttpAddress: ['[::]:{port}']\n"),
            "the port is in use",
        ),
        (
            "ingressHttpAddress: ['192.0.2.1:8080']\n".to_owned(),
            "no such address on this node",
        ),
    ];
    if feed == Feed::Api {
        let kube_proxy = "---\n\
             apiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
             kind: KubeProxyConfiguration\n\
             clientConnection: {kubeconfig: /nonexistent/kubeconfig}\n";
        unusable.push((
            kube_proxy.to_owned(),
            "cannot read the kubeconfig /nonexistent/kubeconfig",
        ));
    }
    let agent = site.agent("node-1");
    let count = |text: &str| agent.stderr().matches(text).count();
    let mut starts = 1;
    for (turn, (further, why)) in unusable.into_iter().enumerate() {
        configure(&further);
        // The one of before is in force again.
        starts += 1;
        becomes((turn + 1, starts), "told and started", || {
            let told = count("the configuration of before stays in force");
            (told, count("fairway::agent: ready"))
        });
        assert!(count(why) > 0, "{why}: {}", agent.stderr());
        // All that changes is followed.
        let pod = (turn + 1) % 2;
        leads_to(&site, pod);
        site.becomes("web", "/", pods[pod].name());
        websocket = echo_a_megabyte(websocket);
    }

    configure("ingressHttpAddress: ['[::]:8090']\n");
    let elsewhere = (site.lab().node("node-1").ip(Family::V4), 8090).into();
    becomes(Some(200), "the new address", || {
        let asked = ask::http_get(client, elsewhere, "web", "/");
        asked.ok().map(|answer| answer.status.as_u16())
    });
    echo_a_megabyte(websocket);
    assert_eq!(agent.exit_status(), None);
    assert!(agent.terminate().unwrap().success());
}

/// What the router of before holds is not somebody else's.
fn an_address_that_contains_the_one_of_before_is_taken_over(feed: Feed) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fairway.yaml");
    let configure = |address: &str| {
        let address = format!("ingressHttpAddress: ['{address}:8080']\n");
        fs::write(&file, configuration("") + &address).unwrap();
    };
    configure("[::]");
    let site = site(feed, &["--config", file.to_str().unwrap()]);
    site.start();
    site.becomes("web", "/", site.lab().pods()[0].name());
    let agent = site.agent("node-1");
    let client = site.lab().client().ns().clone();
    let router = site.router("node-1");
    let asked = AtomicUsize::new(0);
    let over = AtomicUsize::new(usize::MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while asked.load(Ordering::Acquire) < over.load(Ordering::Acquire) {
                let response = ask::http_get(&client, router, "web", "/").unwrap();
                assert_eq!(response.status, 200);
                asked.fetch_add(1, Ordering::AcqRel);
            }
        });
        let node = site.router("node-1").ip().to_string();
        for (count, address) in [(2, "0.0.0.0"), (3, &node), (4, "[::]")] {
            configure(address);
            let starts = || agent.stderr().matches("fairway::agent: ready").count();
            becomes(count, "started with so many configurations", starts);
        }
        over.store(asked.load(Ordering::Acquire) + 10, Ordering::Release);
    });
    let told = agent.stderr();
    assert!(!told.contains("stays in force"), "{told}");
    assert!(!told.contains("cannot listen"), "{told}");
}

fn a_successor_without_a_router_does_not_replace_one_that_has_one(feed: Feed) {
    let site = site(feed, &[]);
    site.start();
    let pods = site.lab().pods();
    site.becomes("web", "/", pods[0].name());
    let (_taken, port) = take_a_port(&site);
    let mut arguments = site.run_arguments("node-1");
    arguments.push("--takeover".to_owned());
    arguments.push(format!("--ingress-http-address=[::]:{port}"));
    let next = Agent::spawn(site.lab().node("node-1").ns(), fairway(), arguments).unwrap();
    assert!(!next.wait().unwrap().success());
    assert!(next.stderr().contains("the port is in use"));
    let first = site.agent("node-1");
    first.wait_ready().unwrap();
    leads_to(&site, 1);
    site.becomes("web", "/", pods[1].name());
    assert!(first.terminate().unwrap().success());
}
