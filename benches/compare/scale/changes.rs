//! How long a change takes from the API server to the kernel, what it costs, and how many commits the
//! kernel sees.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fairway_model::Protocol;
use fairway_nft::{Dataplane, Monitor, Netlink};
use fairway_plan::{Bytes, Family, SetName};
use fairway_testkit::lab::Namespace;
use fairway_testkit::usage::{self, Memory};
use fairway_testkit::{Agent, ApiServer};

use crate::chain_per_service::{ChainPerService, cluster_ip};
use crate::scale::population::{self, Population};
use crate::scale::report::Amount;
use crate::scale::site::{Feed, Site};

/// More endpoints in all than this take the peer minutes.
const PEER_ENDPOINTS: usize = 60_000;

/// Updates a second of a burst.
const RATE: u32 = 500;

/// A change of which the kernel hears nothing within this time went wrong.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Changes {
    pub(crate) population: Population,
    pub(crate) ours: Ours,
    pub(crate) peer: Option<Peer>,
}

pub(crate) struct Ours {
    /// From the start of the process until it says that it is ready.
    pub(crate) cold: Timed,
    /// The same with all of it in the kernel already.
    pub(crate) warm: Timed,
    /// Kernel commits of a warm restart.
    pub(crate) warm_commits: u32,
    /// One of each change after the other.
    pub(crate) endpoint: Vec<Duration>,
    pub(crate) service_added: Vec<Duration>,
    pub(crate) service_removed: Vec<Duration>,
    pub(crate) burst: Burst,
    pub(crate) memory: Memory,
}

/// How long something took, and the CPU time that the agent spent on it.
#[derive(Clone, Copy)]
pub(crate) struct Timed {
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

pub(crate) struct Burst {
    pub(crate) updates: u32,
    pub(crate) commits: u32,
    /// From the last update until the kernel had it.
    pub(crate) behind: Duration,
    /// Of the agent.
    pub(crate) cpu: Duration,
    pub(crate) lasted: Duration,
}

pub(crate) struct Peer {
    pub(crate) cold: Duration,
    pub(crate) endpoint: Vec<Duration>,
    pub(crate) service_added: Vec<Duration>,
    pub(crate) service_removed: Vec<Duration>,
}

pub(crate) fn measure(population: Population, amount: Amount, largest_peer: usize) -> Changes {
    Changes {
        population,
        ours: measure_ours(population, amount),
        peer: measure_peer(population, amount, largest_peer),
    }
}

fn measure_ours(population: Population, amount: Amount) -> Ours {
    let site = Site::new(Feed::Api, population);
    let (agent, cold) = start(&site);
    agent.terminate().expect("the agent ends");
    drop(agent);
    let before = generation(&site.namespace);
    let (agent, warm) = start(&site);
    let warm_commits = generation(&site.namespace).wrapping_sub(before);
    let [endpoint, service_added, service_removed] = site
        .namespace
        .block_on(single_changes(&site, population, amount));
    let burst = site
        .namespace
        .block_on(burst(&site, population, amount, agent.id()));
    Ours {
        cold,
        warm,
        warm_commits,
        endpoint,
        service_added,
        service_removed,
        burst,
        memory: Memory::settled(agent.id()),
    }
}

fn start(site: &Site) -> (Agent, Timed) {
    let started = Instant::now();
    let agent = site.start_agent();
    let took = started.elapsed();
    let cpu = usage::cpu(agent.id());
    (agent, Timed { took, cpu })
}

fn generation(namespace: &Namespace) -> u32 {
    let generation = namespace.run(|| Netlink::open()?.generation());
    generation.expect("nf_tables")
}

/// Single changes of each kind, each after the last one has come to rest.
async fn single_changes(site: &Site, population: Population, amount: Amount) -> [Vec<Duration>; 3] {
    let mut netlink = Netlink::open().expect("nf_tables");
    let mut monitor = Monitor::open(&mut netlink).expect("notifications");
    let server = site.server();
    let mut times = [const { Vec::new() }; 3];
    let last_part = population.slices() - 1;
    for round in 0..amount.changes {
        let index = round * 7 % population.services;
        let slice = population.slice(index, last_part, round + 1);
        times[0].push(reaction(&mut monitor, || apply(server, slice)).await);

        let new = population.services + round;
        for part in 0..population.slices() {
            apply(server, population.slice(new, part, 0));
        }
        rest(&mut monitor).await;
        times[1].push(reaction(&mut monitor, || apply(server, population::service(new))).await);
        let remove = || {
            let [namespace, name] = [population::namespace(new), population::service_name(new)];
            assert!(server.delete("Service", &namespace, &name));
        };
        times[2].push(reaction(&mut monitor, remove).await);
        for part in 0..population.slices() {
            let name = population::slice_name(new, part);
            assert!(server.delete("EndpointSlice", &population::namespace(new), &name));
        }
        rest(&mut monitor).await;
    }
    times
}

/// From a change until the kernel tells of it.
async fn reaction(monitor: &mut Monitor, change: impl FnOnce()) -> Duration {
    let started = Instant::now();
    change();
    let changed = tokio::time::timeout(PATIENCE, monitor.changed()).await;
    changed.expect("the kernel is told").expect("notifications");
    let took = started.elapsed();
    rest(monitor).await;
    took
}

/// Waits until nothing has happened for a while.
async fn rest(monitor: &mut Monitor) {
    const QUIET: Duration = Duration::from_millis(20);
    while let Ok(changed) = tokio::time::timeout(QUIET, monitor.changed()).await {
        changed.expect("notifications");
    }
}

/// One slice after the other gets another endpoint, at a constant rate, whatever becomes of it.
async fn burst(site: &Site, population: Population, amount: Amount, agent: u32) -> Burst {
    let mut netlink = Netlink::open().expect("nf_tables");
    let server = site.server();
    let updates = RATE * amount.burst_seconds;
    let pause = Duration::from_secs(1) / RATE;
    let last_part = population.slices() - 1;
    let first_version = amount.changes + 1;
    let before = (netlink.generation().expect("nf_tables"), usage::cpu(agent));
    let started = Instant::now();
    let mut wanted = std::collections::BTreeMap::new();
    for number in 0..updates {
        let due = started + pause * number;
        tokio::time::sleep_until(due.into()).await;
        // A step that visits all, neighbours far apart.
        let index = number as usize * 7_919 % population.services;
        let version = first_version + number as usize;
        apply(server, population.slice(index, last_part, version));
        let endpoint = population.endpoint(index, population.endpoints - 1, version);
        wanted.insert(index, endpoint);
    }
    let sent = Instant::now();
    // Reading is slow and costs CPU, so it is asked for only once nothing moves any more.
    let mut generation = netlink.generation().expect("nf_tables");
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = netlink.generation().expect("nf_tables");
        if now != generation {
            generation = now;
            since = Instant::now();
        }
    }
    let cpu = usage::cpu(agent) - before.1;
    let missing = missing(&mut netlink, wanted);
    assert_eq!(missing, 0, "updates were lost");
    Burst {
        updates,
        commits: generation.wrapping_sub(before.0),
        behind: since.saturating_duration_since(sent),
        cpu,
        lasted: started.elapsed(),
    }
}

/// How many Services do not have the endpoint they should.
fn missing(netlink: &mut Netlink, wanted: std::collections::BTreeMap<usize, IpAddr>) -> usize {
    let observed = netlink.read(Family::Ip4).expect("the table");
    let http = fairway_model::Port::new(80).expect("not zero");
    let target = fairway_model::Port::new(8080).expect("not zero");
    let key = |index| {
        let address = Bytes::new().address(cluster_ip(index));
        address.protocol(Protocol::Tcp).port(http)
    };
    let mut wanted: std::collections::HashSet<_> = wanted
        .into_iter()
        .map(|(index, endpoint)| (key(index), Bytes::new().address(endpoint).port(target)))
        .collect();
    for set in &observed.sets {
        let Some(SetName::Endpoints(class)) = set.ours else {
            continue;
        };
        for element in &set.elements {
            let mut key = element.key.clone();
            if class.slots() > 1 {
                key.0.truncate(key.0.len() - 4);
            }
            wanted.remove(&(key, element.value.clone()));
        }
    }
    wanted.len()
}

fn apply(server: &ApiServer, object: serde_json::Value) {
    server.apply(object).expect("a valid object");
}

fn measure_peer(population: Population, amount: Amount, largest: usize) -> Option<Peer> {
    let all = population.services * population.endpoints;
    if population.services > largest || all > PEER_ENDPOINTS {
        return None;
    }
    let namespace = Namespace::new("peer").expect("a network namespace");
    namespace.run(|| {
        let (table, cold) = ChainPerService::cold(population.services, population.endpoints);
        let mut times = [const { Vec::new() }; 3];
        for round in 0..amount.peer_changes {
            let index = round * 7 % population.services;
            let new = population.services + round;
            times[0].push(table.change_endpoint(index, round + 1));
            times[1].push(table.add_service(new));
            times[2].push(table.remove_service(new));
        }
        let [endpoint, service_added, service_removed] = times;
        Some(Peer {
            cold,
            endpoint,
            service_added,
            service_removed,
        })
    })
}
