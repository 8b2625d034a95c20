//! An API server that is away, forgets, or breaks off changes nothing; what it says later is heard.

mod connections;

use std::net::Ipv4Addr;
use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::apiserver::{Effect, Failure, Fault, Verb};
use fairway_testkit::load::Churning;
use fairway_testkit::objects::{self, endpoint_slices};
use fairway_testkit::{Churn, Echo, Family, Lab, ask, lab};

use crate::support::{Cluster, Feed, NftMonitor, becomes, who};

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(20);
const KINDS: [&str; 2] = ["services", "endpointslices"];

#[test]
fn an_api_server_that_is_away_changes_nothing() {
    lab::test(|| {
        let cluster = web();
        let server = cluster.api_server();
        let before = cluster.tables("node-1");
        let monitor = NftMonitor::start(cluster.lab().node("node-1").ns());
        server.go_away();
        let agent = cluster.agent("node-1");
        agent
            .wait_for_log("cannot reach the API server", PATIENCE)
            .unwrap();
        answered_by(&cluster, 10, "pod-1-1");

        // Nor does an agent that is started meanwhile.
        agent.kill().unwrap();
        let agent = cluster.spawn_agent("node-1");
        agent
            .wait_for_log("cannot reach the API server", PATIENCE)
            .unwrap();
        answered_by(&cluster, 10, "pod-1-1");
        assert_eq!(cluster.tables("node-1"), before);
        assert_eq!(agent.exit_status(), None);
        server.come_back();
        agent.wait_ready().unwrap();
        assert_eq!(monitor.finish(), [""; 0]);

        // What happens while it is away is heard when it is back.
        server.go_away();
        serve(&cluster, 10, "pod-2-1");
        serve(&cluster, 11, "pod-1-1");
        server.come_back();
        answered_by(&cluster, 10, "pod-2-1");
        answered_by(&cluster, 11, "pod-1-1");
    });
}

#[test]
fn nothing_is_programmed_before_every_list_is_complete() {
    lab::test(|| {
        for missing in KINDS {
            let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(1));
            serve(&cluster, 10, "pod-1-1");
            let server = cluster.api_server();
            let fault = Fault::new(Effect::Answer(Failure::internal("busy")));
            server.inject(fault.on(Verb::List).of(missing));
            let agent = cluster.spawn_agent("node-1");
            // The second attempt comes after everything else has long been there.
            becomes(true, "lists are asked for again", || {
                server.count(Verb::List, missing) >= 2
                    && KINDS.iter().all(|kind| server.count(Verb::List, kind) >= 1)
            });
            let tables = cluster.tables("node-1");
            assert!(!tables.contains("chain"), "{tables}");
            server.heal();
            agent.wait_ready().unwrap();
            answered_by(&cluster, 10, "pod-1-1");
        }
    });
}

#[test]
fn a_forgotten_version_is_listed_anew() {
    lab::test(|| {
        let cluster = web();
        let server = cluster.api_server();
        serve(&cluster, 11, "pod-1-1");
        answered_by(&cluster, 11, "pod-1-1");
        let churn = churn(&cluster);
        let lists = KINDS.map(|kind| server.count(Verb::List, kind));
        server.go_away();
        cluster.delete("web-11");
        serve(&cluster, 12, "pod-2-1");
        server.compact();
        server.come_back();
        answered_by(&cluster, 12, "pod-2-1");
        // Its deletion was never told, only its absence.
        served_by_nobody(&cluster, 11);
        for (kind, before) in KINDS.iter().zip(lists) {
            assert!(server.count(Verb::List, kind) > before, "{kind}");
        }

        // The other way to say so: a watch that ends with the error.
        for kind in KINDS {
            server.inject(
                Fault::new(Effect::ExpiredEvent)
                    .on(Verb::Watch)
                    .of(kind)
                    .once(),
            );
        }
        server.drop_connections();
        serve(&cluster, 12, "pod-1-1");
        answered_by(&cluster, 12, "pod-1-1");
        unhurt(churn);
    });
}

#[test]
fn a_list_that_breaks_off_removes_nothing() {
    lab::test(|| lists_break_off(&Fault::new(Effect::Cut)));
}

#[test]
fn a_list_that_ends_after_its_first_page_removes_nothing() {
    lab::test(|| lists_break_off(&Fault::new(Effect::Disconnect).after_first_page()));
}

/// More Services than kube-rs asks for at once (500), all before the one that is used.
const FILLERS: u32 = 501;

fn lists_break_off(fault: &Fault) {
    let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(1));
    let fillers = (0..FILLERS).map(|number| {
        let address = u32::from(Ipv4Addr::new(10, 96, 1, 0)) + number;
        let service = objects::service(&format!("filler-{number:03}"));
        service.cluster_ip(Ipv4Addr::from(address)).tcp("", 80)
    });
    cluster.apply("fillers", fillers);
    serve(&cluster, 10, "pod-1-1");
    cluster.start();

    let server = cluster.api_server();
    let churn = churn(&cluster);
    let monitor = NftMonitor::start(cluster.lab().node("node-1").ns());
    let lists = || server.count(Verb::List, "services");
    let before = lists();
    server.inject(
        Fault::new(Effect::ExpiredEvent)
            .on(Verb::Watch)
            .of("services")
            .once(),
    );
    server.inject(fault.clone().on(Verb::List).of("services").once());
    server.drop_connections();
    // Two pages: one list that breaks off in either, and one that is complete.
    becomes(true, "a list after the one that broke off", || {
        lists() >= before + 3 && server.watchers("services") > 0
    });
    assert_eq!(monitor.finish(), [""; 0]);
    serve(&cluster, 11, "pod-1-1");
    answered_by(&cluster, 11, "pod-1-1");
    unhurt(churn);
}

/// A Service with one endpoint, an agent, and an API server.
fn web() -> Cluster {
    web_of(Cluster::new(
        Feed::Api,
        Lab::builder().nodes(2).pods_per_node(1),
    ))
}

fn web_of(cluster: Cluster) -> Cluster {
    serve(&cluster, 10, "pod-1-1");
    cluster.start_agent("node-1");
    cluster
}

fn serve(cluster: &Cluster, number: u8, pod: &str) {
    let name = format!("web-{number}");
    let service = cluster.service(&name, number).tcp("", 80);
    let pods = [cluster.lab().pod(pod)];
    let slices = endpoint_slices(&name, &[("", Protocol::Tcp, Echo::LINES)], &pods);
    cluster.apply(&name, slices.into_iter().chain([service.build()]));
}

fn answered_by(cluster: &Cluster, number: u8, pod: &str) {
    let client = cluster.lab().pod("pod-1-1");
    for family in Family::BOTH {
        becomes(Ok(pod.to_owned()), "answer", || {
            let server = cluster.cluster_ip(family, number, 80);
            who(ask::tcp(client.ns(), server))
        });
    }
}

fn served_by_nobody(cluster: &Cluster, number: u8) {
    let client = cluster.lab().pod("pod-1-1");
    for family in Family::BOTH {
        becomes(Err(ask::Failure::Unreachable), "answer", || {
            let server = cluster.cluster_ip(family, number, 80);
            who(ask::tcp(client.ns(), server))
        });
    }
}

fn churn(cluster: &Cluster) -> Churning {
    let servers = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
    // Not from the endpoint itself, and in no hurry: masquerading has but 64k ports.
    let client = cluster.lab().node("node-1").ns();
    Churn::tcp(servers).concurrency(1).start(client)
}

fn unhurt(churn: Churning) {
    churn.wait_for_more(100, PATIENCE).unwrap();
    let report = churn.stop().unwrap();
    assert_eq!(report.failed(), 0, "{report}");
}
