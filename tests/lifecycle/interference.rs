//! Traffic goes on while the agent dies in the middle of its work, and while somebody else writes
//! into our tables.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_testkit::load::Churning;
use fairway_testkit::objects::{self, endpoint_slice, endpoint_slices};
use fairway_testkit::{Churn, Echo, Family, Lab, ask, lab, nft};
use serde_json::Value;

use crate::support::{Cluster, Feed, NftMonitor, becomes, fed_both_ways};

fed_both_ways!(
    garbage_is_removed_while_traffic_goes_on,
    after_a_flush_only_what_came_meanwhile_is_lost,
);

/// Bounds only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// TCP and UDP, from a pod to the ClusterIPs and from outside to the node ports.
struct Traffic(Vec<Churning>);

impl Traffic {
    fn start(cluster: &Cluster) -> Self {
        let lab = cluster.lab();
        let inside = Family::BOTH.map(|family| cluster.cluster_ip(family, 10, 80));
        let node = lab.node("node-1");
        let outside = Family::BOTH.map(|family| SocketAddr::new(node.ip(family), 30080));
        let (pod, client) = (lab.pod("pod-1-3"), lab.client());
        let traffic = Self(vec![
            Churn::tcp(inside).concurrency(2).start(pod.ns()),
            Churn::udp(inside).concurrency(2).start(pod.ns()),
            Churn::tcp(outside).concurrency(2).start(client.ns()),
            Churn::udp(outside).concurrency(2).start(client.ns()),
        ]);
        traffic.goes_on();
        traffic
    }

    fn goes_on(&self) {
        for churn in &self.0 {
            churn.wait_for_more(20, PATIENCE).unwrap();
        }
    }

    /// Nothing was lost: over UDP not even a single packet, as each is sent once.
    fn ends_unhurt(self) {
        for churn in self.0 {
            let report = churn.stop().unwrap();
            println!("{report}");
            assert_eq!(report.failed(), 0, "{report}");
        }
    }
}

/// `web` with two endpoints, on one node.
fn web(feed: Feed) -> Cluster {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(3));
    let pods = cluster.lab().pods();
    let service = cluster.service("web", 10);
    let service = service.tcp("tcp", 80).node_port(30080);
    let service = service.udp("udp", 80).node_port(30080).build();
    let ports = [
        ("tcp", Protocol::Tcp, Echo::LINES),
        ("udp", Protocol::Udp, Echo::LINES),
    ];
    let slices = endpoint_slices("web", &ports, &pods[..2]);
    cluster.apply("web", slices.into_iter().chain([service]));
    cluster
}

/// Enough that a commit takes a while, and several batches.
const CROWD: u16 = 200;

/// Services that are for nobody; with `generation` all of their endpoints change.
fn crowd(generation: u8) -> Vec<Value> {
    let objects = (0..CROWD).flat_map(|number| {
        let [high, low] = number.to_be_bytes();
        let name = format!("crowd-{number}");
        let v4 = Ipv4Addr::new(10, 96, 100 + high, low);
        let v6 = Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 1, number);
        let service = objects::service(&name).cluster_ip(v4).cluster_ip(v6);
        let endpoints: [(Family, IpAddr); 2] = [
            (
                Family::V4,
                Ipv4Addr::new(10, 244, 200 + generation, 1 + low % 250).into(),
            ),
            (
                Family::V6,
                Ipv6Addr::new(0xfd00, 0x10, 0x244, 0xff, 0, 0, generation.into(), number).into(),
            ),
        ];
        let slices = endpoints.map(|(family, address)| {
            let slice = endpoint_slice(&name, family).tcp("", 80);
            slice.endpoint(address, None).build()
        });
        slices.into_iter().chain([service.tcp("", 80).build()])
    });
    objects.collect()
}

/// Who tells of the objects makes no difference to commits, and files are faster.
#[test]
fn an_agent_that_is_killed_in_a_commit_harms_nobody() {
    lab::test(kill_in_commits);
}

fn kill_in_commits() {
    let cluster = web(Feed::Manifests);
    let node = cluster.lab().node("node-1").ns();
    cluster.start_agent("node-1");
    let traffic = Traffic::start(&cluster);
    // xorshift: the same moments in every run, as far as a machine can be told.
    let mut random = 0x2545_f491_u32;
    for generation in 0..3 {
        cluster.agent("node-1").kill().unwrap();
        cluster.apply("crowd", crowd(generation));
        let monitor = NftMonitor::start(node);
        let agent = cluster.spawn_agent("node-1");
        // In the middle of a commit of several batches: when the first has been heard of. Then at
        // any moment of what follows.
        monitor.wait_for("fairway", PATIENCE);
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        thread::sleep(Duration::from_micros(u64::from(random % 20_000)));
        agent.kill().unwrap();
        drop(monitor);
        traffic.goes_on();
    }
    let agent = cluster.start_agent("node-1");
    let rendered = nft::normalise(&cluster.render("node-1"));
    let held = nft::normalise(&nft::list_ruleset(node).unwrap());
    assert!(held == rendered, "{held}\n--- instead of\n{rendered}");
    // That was all there was to do.
    agent.kill().unwrap();
    let agent = cluster.start_agent("node-1");
    for family in ["ip", "ip6"] {
        let line = format!("family={family} writes=0");
        agent.wait_for_log(&line, PATIENCE).unwrap();
    }
    traffic.ends_unhurt();
}

fn garbage_is_removed_while_traffic_goes_on(feed: Feed) {
    let cluster = web(feed);
    cluster.start();
    let node = cluster.lab().node("node-1").ns();
    let before = cluster.tables("node-1");
    let traffic = Traffic::start(&cluster);
    let mut times = Vec::new();
    for family in Family::BOTH {
        for garbage in garbage(&cluster, family) {
            nft::apply(node, &garbage).unwrap_or_else(|error| panic!("{garbage}: {error:#}"));
            let written = Instant::now();
            becomes(true, &garbage, || cluster.tables("node-1") == before);
            times.push(written.elapsed());
        }
        traffic.goes_on();
    }
    println!("repaired within {times:?}");
    // The best of several: a busy machine may be slow, the repair must not wait for anything.
    assert!(times.iter().min() < Some(&Duration::from_secs(1)));
    // What was written while nobody was looking is cleared away by the next one.
    cluster.agent("node-1").kill().unwrap();
    for family in Family::BOTH {
        for garbage in garbage(&cluster, family) {
            nft::apply(node, &garbage).unwrap();
        }
    }
    traffic.goes_on();
    cluster.start_agent("node-1");
    assert_eq!(cluster.tables("node-1"), before);
    traffic.ends_unhurt();
}

/// What somebody else may add to our table without harm to `web`: the harm would be theirs.
fn garbage(cluster: &Cluster, family: Family) -> Vec<String> {
    let lab = cluster.lab();
    let table = format!("{} fairway", family.nft());
    let stranger = lab.cluster_ip(family, 99);
    let pod = lab.pod("pod-1-1").ip(family);
    let address = match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    };
    let nat_chain = |chain: &str, hook: &str, rules: &str| {
        format!(
            "flush chain {table} {chain}\ndelete chain {table} {chain}\n\
             add chain {table} {chain} {{ type nat hook {hook}; }}\n{rules}"
        )
    };
    vec![
        format!(
            "add element {table} cluster-ips {{ {stranger} }}\n\
             add element {table} endpoints-1 {{ {stranger} . tcp . 80 : {pod} . 22 }}"
        ),
        format!("add element {table} refused {{ {stranger} . tcp . 1 }}"),
        format!(
            "add chain {table} idle\nadd rule {table} idle counter drop\n\
             add chain {table} extra {{ type filter hook input priority 7; policy accept; }}\n\
             add rule {table} extra {} daddr {stranger} jump idle",
            family.nft()
        ),
        format!(
            "add set {table} extra {{ type {address}; flags interval; }}\n\
             add element {table} extra {{ {stranger} }}\n\
             add map {table} verdicts {{ type {address} : verdict; }}\n\
             add element {table} verdicts {{ {stranger} : accept }}"
        ),
        format!("add rule {table} services counter\nadd rule {table} endpoints counter"),
        // Wrong priorities of our own chains, which work nevertheless.
        nat_chain(
            "nat-prerouting",
            "prerouting priority -40",
            &format!("add rule {table} nat-prerouting jump services"),
        ),
    ]
}

fn after_a_flush_only_what_came_meanwhile_is_lost(feed: Feed) {
    let cluster = web(feed);
    cluster.start();
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let before = cluster.tables("node-1");
    let at = Family::BOTH.map(|family| SocketAddr::new(node.ip(family), 30080));
    // A client that is open all the time, and others that come all the time.
    let open = at.map(|at| ask::open(lab.client().ns(), at).unwrap());
    let during = Churn::tcp(at).concurrency(2).start(lab.client().ns());
    during.wait_for_more(20, PATIENCE).unwrap();
    nft::nft(node.ns(), &["flush", "ruleset"]).unwrap();
    let flushed = Instant::now();
    becomes(true, "the tables are back", || {
        cluster.tables("node-1") == before
    });
    println!("repaired within {:?}", flushed.elapsed());
    // Whoever comes now finds everything as it was.
    let after = Traffic::start(&cluster);
    after.goes_on();
    after.ends_unhurt();
    println!("{}", during.stop().unwrap());
    // Translation of what is open does not depend on rules.
    for mut stream in open {
        stream.write_all(b"who\n").unwrap();
        assert!(stream.read(&mut [0; 128]).unwrap() > 0);
    }
}
