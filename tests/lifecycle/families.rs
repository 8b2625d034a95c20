//! What one family's table suffers does not concern the other.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use fairway_model::Protocol;
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Agent, Echo, Family, Lab, nft};

use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(a_table_that_somebody_else_owns_holds_up_one_family);

/// A program that owns our IPv6 table: nobody else may write to it while it runs.
struct Owner(Child);

impl Owner {
    fn start(node: &Namespace) -> Self {
        let mut nft = Command::new("nft");
        nft.arg("--interactive");
        nft.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut owner = Self(node.spawn(nft).unwrap());
        let stdin = owner.0.stdin.as_mut().unwrap();
        stdin
            .write_all(b"add table ip6 fairway { flags owner; }\n")
            .unwrap();
        stdin.flush().unwrap();
        becomes(true, "whether the table is owned", || {
            let listed = nft::list_table(node, Family::V6, "fairway");
            listed.is_ok_and(|table| table.contains("owner"))
        });
        owner
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Fails only when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_table_that_somebody_else_owns_holds_up_one_family(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(2));
    let lab = cluster.lab();
    let serve = |pod| {
        let service = cluster.service("web", 10).tcp("", 80);
        let ports = [("", Protocol::Tcp, Echo::LINES)];
        let slices = endpoint_slices("web", &ports, &[lab.pod(pod)]);
        cluster.apply("web", slices.into_iter().chain([service.build()]));
    };
    serve("pod-1-1");
    let owner = Owner::start(lab.node("node-1").ns());
    let agent = cluster.spawn_agent("node-1");
    let client = lab.pod("pod-1-2");
    let answer = |family| {
        let at = cluster.cluster_ip(family, 10, 80);
        who(ask::tcp(client.ns(), at))
    };
    for pod in ["pod-1-1", "pod-1-2", "pod-1-1"] {
        serve(pod);
        becomes(Ok(pod.to_owned()), "the answer over IPv4", || {
            answer(Family::V4)
        });
    }
    assert_eq!(answer(Family::V6), Err(Failure::Unreachable));
    assert_eq!(agent.exit_status(), None);
    agent.wait_for_log("could not", Agent::PATIENCE).unwrap();
    let log = agent.stderr();
    let told = log
        .lines()
        .filter(|line| line.contains("could not write") || line.contains("could not read"));
    let told: Vec<_> = told.collect();
    assert!(!told.is_empty(), "{log}");
    assert!(
        told.iter().all(|line| line.contains("family=ip6")),
        "{told:#?}"
    );

    // With its owner the table goes.
    drop(owner);
    becomes(Ok("pod-1-1".to_owned()), "the answer over IPv6", || {
        answer(Family::V6)
    });
    agent.wait_ready().unwrap();
}
