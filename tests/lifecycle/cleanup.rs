//! How an agent ends, and who else may touch its tables.

use std::time::Duration;

use fairway_model::Protocol;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Agent, Echo, Family, Lab, ask, nft};

use crate::support::{Cluster, Feed, becomes, fairway, fed_both_ways};

fed_both_ways!(
    rules_outlive_the_agent_until_cleanup,
    a_second_agent_is_turned_away
);

fn rules_outlive_the_agent_until_cleanup(feed: Feed) {
    let cluster = web(feed);
    let lab = cluster.lab();
    let ns = lab.node("node-1").ns();
    nft::apply(ns, "add table ip other").unwrap();

    // Not while it runs: it would put them back.
    let before = cluster.tables("node-1");
    let refused = cluster.fairway("node-1", &["cleanup"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("another fairway runs on this node"), "{said}");
    assert_eq!(cluster.tables("node-1"), before);

    let status = cluster.agent("node-1").terminate().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(cluster.tables("node-1"), before);
    answers(&cluster);

    nft::apply(ns, "add table inet fairway-flows").unwrap();
    let removed = cluster.fairway("node-1", &["cleanup"]);
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(nft::list_ruleset(ns).unwrap(), "table ip other {\n}\n");
    for family in Family::BOTH {
        let asked = ask::tcp(lab.pod("pod-1-1").ns(), cluster.cluster_ip(family, 10, 80));
        assert_eq!(asked.unwrap_err().failure(), ask::Failure::Unreachable);
    }
    // Nothing to do is no failure.
    let again = cluster.fairway("node-1", &["cleanup"]);
    assert!(again.status.success(), "{again:?}");
    cluster.start_agent("node-1");
    assert_eq!(cluster.tables("node-1"), before);
}

fn a_second_agent_is_turned_away(feed: Feed) {
    let cluster = web(feed);
    let before = cluster.tables("node-1");
    let ns = cluster.lab().node("node-1").ns();
    let mut arguments = cluster.run_arguments("node-1");
    // Whatever its ports are.
    arguments.extend(
        [
            "--ingress=false",
            "--healthz-bind-address=",
            "--metrics-bind-address=",
        ]
        .map(Into::into),
    );
    let second = Agent::spawn(ns, fairway(), arguments).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    let reason = "another fairway runs on this node";
    second
        .wait_for_log(reason, Duration::from_secs(10))
        .unwrap();

    // The first does not mind, and the node is free when it is gone.
    let first = cluster.agent("node-1");
    assert_eq!(first.exit_status(), None);
    assert_eq!(cluster.tables("node-1"), before);
    answers(&cluster);
    cluster.delete("web");
    becomes(false, "the Service is there", || {
        let address = cluster.lab().cluster_ip(Family::V4, 10).to_string();
        cluster.tables("node-1").contains(&address)
    });
    first.kill().unwrap();
    cluster
        .start_agent("node-1")
        .wait_for_log("writes=0", Duration::from_secs(10))
        .unwrap();
}

fn web(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let pods = cluster.lab().pods();
    let slices = endpoint_slices("web", &[("", Protocol::Tcp, Echo::LINES)], &pods);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    cluster
}

fn answers(cluster: &Cluster) {
    let lab = cluster.lab();
    for family in Family::BOTH {
        ask::tcp(lab.pod("pod-1-1").ns(), cluster.cluster_ip(family, 10, 80)).unwrap();
        let node_port = (lab.node("node-1").ip(family), 30080).into();
        ask::tcp(lab.client().ns(), node_port).unwrap();
    }
}
