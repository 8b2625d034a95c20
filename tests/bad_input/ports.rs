//! Ports, and a whole node, that somebody else has.

use std::net::TcpListener;
use std::path::Path;

use fairway_model::Protocol;
use fairway_testkit::objects::{endpoint_slices, ingress};
use fairway_testkit::{Agent, Echo, Family, Lab, ask, eventually, lab};

use super::Told;
use super::usage::failure;
use crate::ingress::site::Site;
use crate::support::shown::{problems, shows_problem};
use crate::support::{Cluster, Feed, becomes, fairway, who};

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

const IN_USE: &str = "cannot listen on [::]:8080: the port is in use; see who holds it with \
                      `ss -ltnp 'sport = :8080'`";

#[test]
fn the_routers_port_ends_an_agent_that_is_nothing_else() {
    lab::test(|| {
        let site = site();
        // Also only one of the two families.
        for address in ["[::]:8080", "0.0.0.0:8080"] {
            let _taken = take(&site, address);
            let error = fails(&site, &["--service-proxy=false"]);
            assert!(error.contains(IN_USE), "{error}");
        }
    });
}

#[test]
fn services_work_while_the_routers_port_is_taken() {
    lab::test(|| {
        let site = site();
        let service = site.service("lines", 10).tcp("lines", 81);
        let lines = [("lines", Protocol::Tcp, Echo::LINES)];
        let slices = endpoint_slices("lines", &lines, &site.lab().pods());
        site.apply("lines", slices.into_iter().chain([service.build()]));
        let taken = take(&site, "[::]:8080");
        let agent = site.spawn_agent("node-1");
        let said = [IN_USE];
        Told(&agent).wait(&said);
        let node = site.lab().node("node-1").ns();
        becomes(Ok("web".to_owned()), "who answers", || {
            who(ask::tcp(node, site.cluster_ip(Family::V4, 10, 81)))
        });
        shows_problem(&site, "PortInUse", IN_USE);
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz").unwrap();
        assert_eq!(health.status, 503);
        let text = health.text();
        assert!(text.contains("\"routerServing\":false"), "{text}");
        // Told once, however often it was tried.
        drop(taken);
        agent
            .wait_for_log("the router has its ports now", Agent::PATIENCE)
            .unwrap();
        agent.wait_ready().unwrap();
        site.becomes("web", "/", "web");
        assert_eq!(problems(&site), Some(Vec::new()));
        Told(&agent).once(&said);
    });
}

#[test]
fn the_router_serves_without_the_right_to_program_services() {
    lab::test(|| {
        let site = site();
        let node = site.lab().node("node-1").ns();
        let mut arguments = ["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(fairway().to_str().unwrap().to_owned());
        arguments.extend(site.run_arguments("node-1"));
        let agent = Agent::spawn(node, Path::new("setpriv"), arguments).unwrap();
        let said =
            "NET_ADMIN is missing: Services are not programmed on this node, the router serves";
        for text in [said, "serving HTTP"] {
            agent.wait_for_log(text, Agent::PATIENCE).unwrap();
        }
        site.becomes("web", "/", "web");
        shows_problem(&site, "CapabilityMissing", said);
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz").unwrap();
        assert_eq!(health.status, 503);
        let text = health.text();
        assert!(text.contains("\"serviceProxyServing\":false"), "{text}");
        // To start it anew would help nobody.
        let alive = ask::http_get(node, Agent::HEALTH, "node", "/livez").unwrap();
        assert_eq!(alive.status, 200);
        agent.terminate().unwrap();
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
