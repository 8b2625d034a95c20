//! Ports, and a whole node, that somebody else has.

use std::net::TcpListener;

use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Lab, ask, eventually, lab};

use super::Told;
use super::usage::failure;
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed};

fn site() -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(Feed::Manifests, lab));
    site.apply_apps(&["web"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    site
}

/// Takes a port of the node.
fn take(site: &Site, address: &str) -> TcpListener {
    let node = site.lab().node("node-1").ns();
    // A process that another test is starting may have a copy of an earlier listener for a moment.
    eventually("the port is free", || {
        node.run(|| TcpListener::bind(address))
    })
}

/// Runs an agent that ends by itself.
fn fails(site: &Site, flags: &[&str]) -> String {
    let mut arguments = site.run_arguments("node-1");
    arguments.extend(flags.iter().map(ToString::to_string));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    failure(&site.fairway("node-1", &arguments))
}

#[test]
fn the_routers_port_ends_the_agent() {
    lab::test(|| {
        let site = site();
        let taken = take(&site, "[::]:8080");
        let error = fails(&site, &[]);
        let said = "cannot listen on [::]:8080: the port is in use; see who holds it with \
                    `ss -ltnp 'sport = :8080'`";
        assert!(error.contains(said), "{error}");
        drop(taken);
        // Also only one of the two families.
        let taken = take(&site, "0.0.0.0:8080");
        assert!(fails(&site, &[]).contains(said));
        drop(taken);
    });
}

#[test]
fn ports_for_health_and_metrics_are_waited_for() {
    lab::test(|| {
        let site = site();
        let health = take(&site, "0.0.0.0:10256");
        let metrics = take(&site, "127.0.0.1:10249");
        let said = [
            "cannot serve health probes on 0.0.0.0:10256: port 10256 is in use",
            "cannot serve metrics on 127.0.0.1:10249: port 10249 is in use",
        ];
        let error = fails(&site, &["--bind-address-hard-fail"]);
        assert!(error.contains(said[0]), "{error}");
        let agent = site.spawn_agent("node-1");
        Told(&agent).wait(&said);
        // Traffic does not wait.
        eventually("the router answers", || {
            ask::http_get(site.lab().client().ns(), site.router("node-1"), "web", "/")
        });
        site.becomes("web", "/", "web");
        drop((health, metrics));
        agent.wait_ready().unwrap();
        let at_last = "metrics are served at last";
        agent
            .wait_for_log(at_last, std::time::Duration::from_secs(30))
            .unwrap();
        Told(&agent).once(&said);
        Told(&agent).nothing_else(&said);
    });
}

#[test]
fn a_second_agent_is_turned_away_and_the_first_goes_on() {
    lab::test(|| {
        let site = site();
        site.start();
        site.becomes("web", "/", "web");
        // Even one that would have ports of its own.
        let elsewhere = [
            "--ingress-http-address=[::]:8081",
            "--healthz-bind-address=",
            "--metrics-bind-address=",
        ];
        for flags in [&[][..], &elsewhere] {
            let error = fails(&site, flags);
            assert!(
                error.contains("another fairway runs on this node"),
                "{error}"
            );
        }
        assert_eq!(site.answers("web", "/"), "web");
        let node = site.lab().node("node-1").ns();
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz");
        assert_eq!(health.unwrap().status, 200);
        site.agent("node-1").kill().unwrap();
        site.start_agent("node-1");
    });
}
