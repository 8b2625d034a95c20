//! What the agent tells of itself through the API.

use std::net::TcpListener;

use fairway_testkit::{Agent, Lab, lab};

use crate::support::{Cluster, Feed, becomes};

fn cluster() -> Cluster {
    Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(0))
}

#[test]
fn a_start_is_an_event_of_the_node() {
    lab::test(|| {
        let cluster = cluster();
        cluster.start();
        let events = || cluster.api_server().events("Starting");
        becomes(1, "the number of Events", || events().len());
        let event = &events()[0];
        for (field, value) in [
            ("type", "Normal"),
            ("action", "StartKubeProxy"),
            ("reportingController", "fairway"),
            ("reportingInstance", "fairway-node-1"),
        ] {
            assert_eq!(event[field], value, "{event}");
        }
        assert_eq!(event["regarding"]["kind"], "Node");
        assert_eq!(event["regarding"]["name"], "node-1");
        assert_eq!(event["metadata"]["namespace"], "default");
    });
}

#[test]
fn an_address_that_is_taken_is_an_event_where_it_ends_the_agent() {
    for (port, reason) in [
        (Agent::HEALTH.port(), "FailedToStartProxierHealthcheck"),
        (10249, "FailedToStartMetricServer"),
    ] {
        lab::test(move || {
            let cluster = cluster().with_flags(&["--bind-address-hard-fail"]);
            let node = cluster.lab().node("node-1").ns();
            let occupant = node.run(move || TcpListener::bind(("127.0.0.1", port)).unwrap());
            let agent = cluster.spawn_agent("node-1");
            assert_eq!(agent.wait().unwrap().code(), Some(1));
            let [event] = &cluster.api_server().events(reason)[..] else {
                panic!("no Event {reason}: {}", agent.stderr());
            };
            assert_eq!(event["type"], "Warning");
            let note = event["note"].as_str().unwrap();
            assert!(note.contains(&format!("port {port} is in use")), "{note}");
            drop(occupant);
        });
    }
}
