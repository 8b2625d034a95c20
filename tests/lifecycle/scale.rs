//! Many changes at once, many changes in all, and many Services at once.

use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_nft::Netlink;
use fairway_testkit::objects::{endpoint_slices, service};
use fairway_testkit::usage::Memory;
use fairway_testkit::{Echo, Family, Lab, ask, lab};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Cluster, Feed, becomes};

const PORTS: [(&str, Protocol, u16); 1] = [("", Protocol::Tcp, Echo::LINES)];

/// How many batches the kernel has taken in a node's namespace.
fn commits(cluster: &Cluster) -> u32 {
    let node = cluster.lab().node("node-1").ns();
    node.run(|| Netlink::open().unwrap().generation().unwrap())
}

#[test]
fn a_burst_is_batched_and_nothing_of_it_is_lost() {
    const SERVICES: u8 = 100;
    const ROUNDS: usize = 5;
    lab::test(|| {
        let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(2));
        let pods = cluster.lab().pods();
        let name = |number| format!("web-{number}");
        let slices = |number, pod| endpoint_slices(&name(number), &PORTS, &pods[pod..=pod]);
        for number in 0..SERVICES {
            let name = name(number);
            cluster.apply(&name, [cluster.service(&name, number).tcp("", 80).build()]);
            cluster.apply(&format!("{name}-slices"), slices(number, 0));
        }
        cluster.start();
        let before = commits(&cluster);

        // All of it is there when the agent next looks.
        let agent = cluster.agent("node-1");
        agent.signal(Signal::STOP);
        for round in 1..=ROUNDS {
            for number in 0..SERVICES {
                cluster.apply(
                    &format!("{}-slices", name(number)),
                    slices(number, round % 2),
                );
            }
        }
        agent.signal(Signal::CONT);
        for family in Family::BOTH {
            let node = cluster.lab().node("node-1").ns();
            for number in 0..SERVICES {
                let address = cluster.cluster_ip(family, number, 80);
                becomes(pods[1].name().to_owned(), "who answers", || {
                    let reply = ask::tcp(node, address);
                    reply.map_or_else(|error| error.to_string(), |reply| reply.pod)
                });
            }
        }
        // Two slices an update; each would cost two commits alone, and two families.
        let updates = u32::from(SERVICES) * 2 * ROUNDS as u32;
        let commits = commits(&cluster) - before;
        assert!(
            commits < updates / 4,
            "{commits} commits for {updates} updates"
        );
    });
}

#[test]
fn a_long_churn_leaves_nothing_behind() {
    const ROUNDS: u32 = 60;
    const SERVICES: u32 = 20;
    lab::test(|| {
        let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(2));
        let pods = cluster.lab().pods();
        cluster.apply("web", [cluster.service("web", 10).tcp("", 80).build()]);
        cluster.apply("web-slices", endpoint_slices("web", &PORTS, &pods));
        cluster.start();
        let agent = cluster.agent("node-1");
        let before = cluster.tables("node-1");

        let mut warm = 0;
        for round in 0..ROUNDS {
            // Names and addresses that were never there before, of every kind of frontend.
            let objects: Vec<Value> = (0..SERVICES)
                .flat_map(|index| {
                    let number = round * SERVICES + index;
                    let name = format!("churn-{number}");
                    let address = format!("10.97.{}.{}", number / 250, number % 250 + 1);
                    let service = service(&name).cluster_ip(address).tcp("", 80);
                    let port = 30_000 + u16::try_from(number).unwrap();
                    let service = service.node_port(port).client_ip_affinity(10 + index % 2);
                    let pods = &pods[..1 + (index as usize % 2)];
                    let mut objects = endpoint_slices(&name, &PORTS, pods);
                    objects.push(service.build());
                    objects
                })
                .collect();
            cluster.apply("churn", objects);
            // Once everything has been there, what is kept for reuse has its size.
            if round == ROUNDS / 3 {
                warm = resident(agent.id());
            }
        }
        cluster.delete("churn");
        becomes(before, "our tables", || cluster.tables("node-1"));
        let grown = resident(agent.id()).saturating_sub(warm);
        assert!(grown < 4 << 20, "the agent grew by {grown} bytes");
    });
}

/// Memory of a process that is not backed by files, in bytes.
fn resident(process: u32) -> u64 {
    1024 * Memory::of(process).anonymous
}

#[test]
fn services_answer_soon_after_they_are_made() {
    const SERVICES: u8 = 100;
    /// A tenth of what Kubernetes' own end-to-end test allows for the slowest of a hundred.
    const LIMIT: Duration = Duration::from_secs(5);
    lab::test(|| {
        let cluster = Cluster::new(Feed::Api, Lab::builder().nodes(1).pods_per_node(2));
        let pods = cluster.lab().pods();
        cluster.start();
        let node = cluster.lab().node("node-1").ns();
        let mut took: Vec<Duration> = (0..SERVICES)
            .map(|number| {
                let name = format!("web-{number}");
                let made = Instant::now();
                cluster.apply(&name, [cluster.service(&name, number).tcp("", 80).build()]);
                let slices = endpoint_slices(&name, &PORTS, &pods);
                cluster.apply(&format!("{name}-slices"), slices);
                let family = Family::BOTH[usize::from(number % 2)];
                let address = cluster.cluster_ip(family, number, 80);
                // A packet that came too early is sent again after a second; ask anew instead.
                while ask::tcp_within(node, address, Duration::from_millis(20)).is_err() {
                    assert!(made.elapsed() < LIMIT, "Service {number} does not answer");
                }
                made.elapsed()
            })
            .collect();
        took.sort_unstable();
        let median = took[took.len() / 2];
        let slowest = took[took.len() - 1];
        println!("from creation to first answer: median {median:?}, slowest {slowest:?}");
    });
}
