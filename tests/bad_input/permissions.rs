//! An API server that forbids one kind: what can be done without it is done, and what cannot is said and shown.

use std::fs;

use fairway_model::Protocol;
use fairway_testkit::apiserver::Fault;
use fairway_testkit::objects::{endpoint_slices, ingress};
use fairway_testkit::{Agent, Echo, Family, Lab, ask, lab};
use rustix::process::Signal;
use serde_json::Value;

use super::Told;
use crate::ingress::reload::configuration;
use crate::ingress::site::Site;
use crate::support::shown::{problems, shows_problem};
use crate::support::{Cluster, Feed, becomes, who};

/// A Service with a ClusterIP, and an Ingress that leads to it.
fn site() -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    site_of(Cluster::new(Feed::Api, lab))
}

fn site_of(cluster: Cluster) -> Site {
    let site = Site::new(cluster);
    leads_to(&site, "web");
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    site.apply("ingress", [web]);
    site
}

/// Makes a pod the only endpoint of the Service.
fn leads_to(site: &Site, pod: &str) {
    let ports = [
        ("http", Protocol::Tcp, Echo::HTTP),
        ("lines", Protocol::Tcp, Echo::LINES),
    ];
    let service = site.service("web", 10).tcp("http", 80).tcp("lines", 81);
    let slices = endpoint_slices("web", &ports, &site.pods(&[pod]));
    site.apply("web", slices.into_iter().chain([service.build()]));
}

/// Who answers at the Service, from the node and from a pod.
fn asks_the_service(site: &Site) -> [Result<String, ask::Failure>; 2] {
    let lab = site.lab();
    let pod = lab.pod("web");
    [lab.node("node-1").ns(), pod.ns()]
        .map(|from| who(ask::tcp(from, site.cluster_ip(Family::V4, 10, 81))))
}

fn health(site: &Site) -> Option<(u16, String)> {
    let node = site.lab().node("node-1").ns();
    let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz").ok()?;
    Some((health.status.as_u16(), health.text()))
}

#[test]
fn services_work_while_ingresses_may_not_be_listed() {
    for kind in ["ingresses", "ingressclasses"] {
        lab::test(|| {
            let site = site();
            let server = site.api_server();
            server.inject(Fault::forbid(kind));
            let agent = site.spawn_agent("node-1");
            let why = format!(
                "not allowed to list {kind}.networking.k8s.io: fairway's ClusterRole needs the rule"
            );
            let waits = "the router waits for the permission to list Ingresses";
            Told(&agent).wait(&[&why, waits]);
            becomes(
                [Ok("web".to_owned()), Ok("web".to_owned())],
                "who answers",
                || asks_the_service(&site),
            );
            shows_problem(&site, "Forbidden", &why);
            let (status, text) = health(&site).unwrap();
            assert_eq!(status, 503, "{text}");
            assert!(text.contains("routerServing\":false"), "{text}");
            // Nobody is told 404 by a router that may know no routes.
            let client = site.lab().client().ns();
            let early = ask::http_get(client, site.router("node-1"), "web", "/");
            assert_eq!(early.unwrap_err().failure(), ask::Failure::Refused);

            server.heal();
            agent.wait_ready().unwrap();
            becomes(Some(Vec::new()), "the problems", || problems(&site));
            site.becomes("web", "/", "web");
            assert_eq!(
                asks_the_service(&site),
                [Ok("web".to_owned()), Ok("web".to_owned())]
            );
            Told(&agent).once(&[&why, waits]);
        });
    }
}

/// A change of the configuration comes together with one of the ClusterRole. Nobody but the router knows its
/// routes then, and nobody but the agent moves endpoints.
#[test]
fn a_router_keeps_its_routes_while_ingresses_may_not_be_listed_any_more() {
    lab::test(|| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fairway.yaml");
        fs::write(&file, configuration("")).unwrap();
        let lab = Lab::builder()
            .nodes(1)
            .pod("web", "node-1")
            .pod("other", "node-1");
        let cluster = Cluster::new(Feed::Api, lab);
        let site = site_of(cluster.with_further_flags(&["--config", file.to_str().unwrap()]));
        let agent = site.start_agent("node-1");
        site.becomes("web", "/", "web");

        let server = site.api_server();
        server.inject(Fault::forbid("ingresses"));
        fs::write(&file, configuration("0.0.0.0/0")).unwrap();
        let waits = "the router waits for the permission to list Ingresses";
        Told(&agent).wait(&[waits]);
        leads_to(&site, "other");
        becomes(
            [Ok("other".to_owned()), Ok("other".to_owned())],
            "who answers",
            || asks_the_service(&site),
        );
        site.becomes("web", "/", "other");
        let (status, text) = health(&site).unwrap();
        assert_eq!(status, 200, "{text}");

        // Routes are followed again.
        server.heal();
        let more = ingress("more")
            .class("fairway")
            .prefix("more", "/", "web", 80);
        site.apply("more", [more]);
        site.becomes("more", "/", "other");
        assert_eq!(site.answers("web", "/"), "other");
        assert!(agent.terminate().unwrap().success());
    });
}

/// The router of before serves on until load balancers have noticed.
#[test]
fn an_agent_that_waits_with_another_configuration_ends_as_one_that_serves() {
    lab::test(|| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fairway.yaml");
        let configuration = |trusted| {
            let text = configuration(trusted).replace("drainSeconds: 1", "drainSeconds: 60");
            text.replace("drainDelaySeconds: 0", "drainDelaySeconds: 60")
        };
        fs::write(&file, configuration("")).unwrap();
        let lab = Lab::builder().nodes(1).pod("web", "node-1");
        let flags = ["--config", file.to_str().unwrap()];
        let site = site_of(Cluster::new(Feed::Api, lab).with_further_flags(&flags));
        let agent = site.start_agent("node-1");
        site.becomes("web", "/", "web");

        site.api_server().inject(Fault::forbid("services"));
        fs::write(&file, configuration("0.0.0.0/0")).unwrap();
        Told(&agent).wait(&["not allowed to list services"]);
        agent.signal(Signal::TERM);
        becomes(Some(503), "health", || {
            health(&site).map(|(status, _)| status)
        });
        assert_eq!(site.answers("web", "/"), "web");
        agent.signal(Signal::TERM);
        assert!(agent.wait().unwrap().success());
    });
}

#[test]
fn everything_works_while_service_cidrs_may_not_be_listed() {
    lab::test(|| {
        let site = site();
        site.api_server().inject(Fault::forbid("servicecidrs"));
        let agent = site.start_agent("node-1");
        Told(&agent).wait(&["not allowed to list servicecidrs.networking.k8s.io"]);
        site.becomes("web", "/", "web");
        assert_eq!(
            asks_the_service(&site),
            [Ok("web".to_owned()), Ok("web".to_owned())]
        );
    });
}

/// What is written is a courtesy. Who looks at health or at the status page sees what is missing.
#[test]
fn everything_works_without_what_is_written() {
    lab::test(|| {
        let site = site();
        let server = site.api_server();
        let all = ["leases.coordination.k8s.io", "events.events.k8s.io"];
        for plural in ["leases", "events"] {
            server.inject(Fault::forbid(plural));
        }
        let agent = site.start_agent("node-1");
        let messages = [
            "not allowed to get, create, update leases.coordination.k8s.io: fairway's Role needs the rule",
            "not allowed to create events.events.k8s.io: fairway's ClusterRole needs the rule",
        ];
        Told(&agent).wait(&messages);
        for message in messages {
            shows_problem(&site, "Forbidden", message);
        }
        site.becomes("web", "/", "web");
        assert_eq!(
            asks_the_service(&site),
            [Ok("web".to_owned()), Ok("web".to_owned())]
        );
        becomes((200, all.map(str::to_owned).to_vec()), "health", || {
            let (status, text) = health(&site).unwrap();
            let body: Value = serde_json::from_str(&text).unwrap();
            let named = serde_json::from_value(body["forbidden"].clone());
            (status, named.unwrap_or_default())
        });

        // Both are tried again: the Lease by itself, and the next Event.
        server.heal();
        let nobody = ingress("late")
            .class("fairway")
            .prefix("late", "/", "nobody", 80);
        site.apply("late", [nobody]);
        becomes(false, "what is forbidden", || {
            health(&site).unwrap().1.contains("forbidden")
        });
        Told(&agent).once(&messages);
    });
}

/// Whether it may not be read or is not there: the node is not for load balancers, and all else works.
#[test]
fn everything_works_without_the_node_object_but_it_is_not_healthy() {
    for forbidden in [true, false] {
        lab::test(|| {
            let site = site();
            match forbidden {
                true => site.api_server().inject(Fault::forbid("nodes")),
                false => site.delete("nodes"),
            }
            let agent = site.spawn_agent("node-1");
            site.agent("node-1")
                .wait_for_log("ready", Agent::PATIENCE)
                .unwrap();
            if forbidden {
                Told(&agent).wait(&["not allowed to list nodes"]);
            }
            site.becomes("web", "/", "web");
            assert_eq!(
                asks_the_service(&site),
                [Ok("web".to_owned()), Ok("web".to_owned())]
            );
            let (status, text) = health(&site).unwrap();
            assert_eq!(status, 503, "{text}");
            assert!(text.contains("\"nodeEligible\":false"), "{text}");
        });
    }
}

/// Without Services there is nothing that could be done, and the rules of before are better than none.
#[test]
fn without_services_or_endpoints_nothing_is_touched() {
    for kind in ["services", "endpointslices"] {
        lab::test(|| {
            let site = site();
            site.start_agent("node-1").terminate().unwrap();
            let before = site.tables("node-1");
            site.api_server().inject(Fault::forbid(kind));
            let agent = site.spawn_agent("node-1");
            let why = format!("not allowed to list {kind}");
            Told(&agent).wait(&[&why]);
            shows_problem(&site, "Forbidden", &why);
            assert_eq!(site.tables("node-1"), before);
            assert_eq!(
                asks_the_service(&site),
                [Ok("web".to_owned()), Ok("web".to_owned())]
            );
            let (status, text) = health(&site).unwrap();
            assert_eq!(status, 503, "{text}");
            site.api_server().heal();
            agent.wait_ready().unwrap();
        });
    }
}
