//! How long the kernel takes to learn of Services: fairway's planner and netlink beside `nft -f -` with
//! a chain per Service, which is kube-proxy's layout and way.
//!
//! `cargo bench --bench programming [-- --quick]`, as root, with Debian's nftables. Each side has a
//! network namespace of its own; the two take turns, so that the ratio holds when the machine's speed
//! drifts. `--quick` leaves 30,000 Services out of the peer's cold start, which takes minutes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::{
    Changes, Endpoint, ObjectName, Port, Protocol, Service, ServicePort, Snapshot,
};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Family, Observed, Options, Planner};
use fairway_testkit::lab::Namespace;

const SIZES: [usize; 3] = [1_000, 10_000, 30_000];
/// Single changes: ours are so short that many are needed, the peer's so long that few must do.
const OUR_CHANGES: usize = 1_000;
const PEER_CHANGES: usize = 9;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
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
    for size in SIZES {
        let ours = measure_ours(size);
        let peer = measure_peer(size, !(quick && size > 10_000));
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
fn measure_ours(size: usize) -> Ours {
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

        let mut times: Vec<_> = (0..OUR_CHANGES)
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

fn measure_peer(size: usize, cold: bool) -> Peer {
    if !cold {
        return Peer::default();
    }
    let namespace = Namespace::new("peer").expect("a network namespace");
    namespace.run(|| {
        let mut script = String::from(
            "add table ip peer\n\
             add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }\n\
             add chain ip peer services\n\
             add rule ip peer services ip daddr . meta l4proto . th dport vmap @service-ips\n",
        );
        for index in 0..size {
            let name = format!("service-{index}");
            let address = cluster_ip(index);
            let _ = writeln!(script, "add chain ip peer {name}");
            peer_rule(&mut script, &name, index, 0);
            let _ = writeln!(
                script,
                "add element ip peer service-ips {{ {address} . tcp . 80 : goto {name} }}"
            );
        }
        let started = Instant::now();
        nft(&script);
        let cold = started.elapsed();
        let mut times: Vec<_> = (0..PEER_CHANGES)
            .map(|round| {
                let index = round * 7 % size;
                let name = format!("service-{index}");
                let mut script = format!("flush chain ip peer {name}\n");
                peer_rule(&mut script, &name, index, round + 1);
                let started = Instant::now();
                nft(&script);
                started.elapsed()
            })
            .collect();
        Peer {
            cold: Some(cold),
            change: Some(median(&mut times)),
        }
    })
}

fn peer_rule(script: &mut String, chain: &str, index: usize, version: usize) {
    let [first, second] = endpoint_addresses(index, version);
    let _ = writeln!(
        script,
        "add rule ip peer {chain} meta l4proto tcp dnat ip addr . port to numgen random mod 2 map \
         {{ 0 : {first} . 8080, 1 : {second} . 8080 }}"
    );
}

fn nft(script: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft: install Debian's nftables for the comparison");
    let mut stdin = child.stdin.take().expect("piped above");
    stdin
        .write_all(script.as_bytes())
        .expect("nft reads its input");
    drop(stdin);
    assert!(child.wait().expect("nft ends").success());
}

fn service(index: usize, version: usize) -> Service {
    let endpoint = |address: std::net::Ipv4Addr| Endpoint {
        node: Some("another-node".into()),
        ..Endpoint::ready(address.into(), port(8080))
    };
    Service {
        cluster_ips: vec![cluster_ip(index).into()],
        ports: vec![ServicePort {
            endpoints: endpoint_addresses(index, version).map(endpoint).into(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", format!("service-{index}")))
    }
}

fn cluster_ip(index: usize) -> std::net::Ipv4Addr {
    address([10, 96], index)
}

/// The first endpoint of a Service stays, the second is another in each version.
fn endpoint_addresses(index: usize, version: usize) -> [std::net::Ipv4Addr; 2] {
    let second = match version % 2 {
        0 => [10, 20],
        _ => [10, 30],
    };
    [address([10, 10], index), address(second, index + version)]
}

/// The host of that number, counted from 10.x.0.1.
fn address([first, second]: [u8; 2], host: usize) -> std::net::Ipv4Addr {
    let base = u32::from_be_bytes([first, second, 0, 1]);
    std::net::Ipv4Addr::from(base + u32::try_from(host).expect("a small number"))
}

fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
