//! How long the kernel takes to learn of Services: fairway's planner and netlink beside `nft -f -` with
//! a chain per Service, which is kube-proxy's layout and way.
//!
//! `cargo bench --bench programming [-- OPTIONS]`, as root, with Debian's nftables:
//!
//! * `--peer 30000`: most Services that the peer has to program; 10,000 unless told, more take minutes and
//!   100,000 half an hour, because its cold start is quadratic
//! * `--quick`: 100 Services and a few changes, to see that it works
//!
//! Each side has a network namespace of its own; the two take turns, so that the ratio holds when the machine's
//! speed drifts.

#[allow(dead_code, reason = "the other bench needs more of it")]
mod chain_per_service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::{
    Changes, Endpoint, ObjectName, Port, Protocol, Service, ServicePort, Snapshot,
};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Family, Observed, Options, Planner};
use fairway_testkit::lab::Namespace;

use chain_per_service::{ChainPerService, cluster_ip, endpoint};

/// How much of everything.
#[derive(Clone, Copy)]
struct Effort {
    sizes: &'static [usize],
    /// Single changes: ours are so short that many are needed, the peer's so long that few must do.
    our_changes: usize,
    peer_changes: usize,
}

const FULL: Effort = Effort {
    sizes: &[1_000, 10_000, 30_000, 100_000],
    our_changes: 1_000,
    peer_changes: 9,
};

const QUICK: Effort = Effort {
    sizes: &[100],
    our_changes: 3,
    peer_changes: 1,
};

/// Most Services for the peer, unless told otherwise.
const PEER: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let effort = match arguments.iter().any(|argument| argument == "--quick") {
        true => QUICK,
        false => FULL,
    };
    let told = arguments.iter().position(|argument| argument == "--peer");
    let told = told.and_then(|at| arguments.get(at + 1));
    let most = told.map_or(PEER, |most| most.parse().expect("--peer: a number"));
    if let Err(error) = fairway_testkit::lab::enter() {
        eprintln!("{error}");
        std::process::exit(1);
    }
    println!("programming, 2 endpoints a Service; medians of single changes");
    println!(
        "{:>9}  {:>11} {:>12} {:>8}  {:>11} {:>12} {:>8}",
        "services", "cold", "nft cold", "ratio", "one change", "nft change", "ratio"
    );
    let mut lines = Vec::new();
    for &size in effort.sizes {
        let ours = measure_ours(size, effort.our_changes);
        let peer = measure_peer(size, size <= most, effort.peer_changes);
        let ratio = |ours: Duration, peer: Option<Duration>| match peer {
            Some(peer) => format!("{:.0}x", peer.as_secs_f64() / ours.as_secs_f64()),
            None => "-".into(),
        };
        let show = |peer: Option<Duration>| match peer {
            Some(peer) => format!("{peer:.1?}"),
            None => "-".into(),
        };
        println!(
            "{size:>9}  {:>11} {:>12} {:>8}  {:>11} {:>12} {:>8}",
            format!("{:.1?}", ours.cold),
            show(peer.cold),
            ratio(ours.cold, peer.cold),
            format!("{:.1?}", ours.change),
            show(peer.change),
            ratio(ours.change, peer.change),
        );
        lines.push(ours.change);
    }
    if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
        let growth = last.as_secs_f64() / first.as_secs_f64();
        println!(
            "one change at the largest size takes {growth:.2} times what it takes at the smallest"
        );
    }
}

struct Ours {
    cold: Duration,
    change: Duration,
}

#[derive(Default)]
struct Peer {
    cold: Option<Duration>,
    change: Option<Duration>,
}

/// From a snapshot to the kernel: planning, encoding and committing.
fn measure_ours(size: usize, changes: usize) -> Ours {
    let namespace = Namespace::new("ours").expect("a network namespace");
    namespace.run(|| {
        let mut snapshot = Snapshot::default();
        for index in 0..size {
            let service = service(index, 0);
            snapshot
                .services
                .insert_mut(service.name.clone(), Arc::new(service));
        }
        let mut netlink = Netlink::open().expect("nf_tables");
        let started = Instant::now();
        let nothing = Observed::default();
        let (mut planner, transactions) =
            Planner::start(Options::default(), &snapshot, [&nothing, &nothing]);
        for transaction in &transactions {
            commit(&mut netlink, transaction);
        }
        let cold = started.elapsed();

        let mut times: Vec<_> = (0..changes)
            .map(|round| {
                let service = service(round * 7 % size, round + 1);
                let name = service.name.clone();
                snapshot
                    .services
                    .insert_mut(name.clone(), Arc::new(service));
                let mut changes = Changes::default();
                changes.services.insert(name);
                let started = Instant::now();
                let [ip4, _] = planner.update(&snapshot, &changes);
                commit(&mut netlink, &ip4);
                started.elapsed()
            })
            .collect();
        let observed = netlink.read(Family::Ip4).expect("read back");
        assert!(
            planner.repair(Family::Ip4, &observed).is_empty(),
            "the kernel holds the plan"
        );
        Ours {
            cold,
            change: median(&mut times),
        }
    })
}

fn commit(netlink: &mut Netlink, transaction: &fairway_plan::Transaction) {
    let report = netlink.commit(transaction).expect("the kernel takes it");
    assert_eq!(report.refused, []);
}

fn measure_peer(size: usize, cold: bool, changes: usize) -> Peer {
    if !cold {
        return Peer::default();
    }
    let namespace = Namespace::new("peer").expect("a network namespace");
    namespace.run(|| {
        let (table, cold) = ChainPerService::cold(size, 2);
        let mut times: Vec<_> = (0..changes)
            .map(|round| table.change_endpoint(round * 7 % size, round + 1))
            .collect();
        Peer {
            cold: Some(cold),
            change: Some(median(&mut times)),
        }
    })
}

/// The first endpoint of a Service stays, the second is another in each version.
fn service(index: usize, version: usize) -> Service {
    let addresses = [endpoint(2 * index, 0), endpoint(2 * index + 1, version)];
    let endpoint = |address| Endpoint {
        node: Some("another-node".into()),
        ..Endpoint::ready(address, port(8080))
    };
    Service {
        cluster_ips: vec![cluster_ip(index)],
        ports: vec![ServicePort {
            endpoints: addresses.map(endpoint).into(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", format!("service-{index}")))
    }
}

fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
