use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairway_model::*;
use fairway_nft::{Errno, Fake, Sweep};
use fairway_plan::{Bytes, Flow, FlowFilter, SetName, SlotClass};
use tokio::time::advance;

use fairway_admin::{IpFamily, encode};
use prometheus_client::registry::Registry;

use super::family::{LONGEST_PAUSE, SHORTEST_PAUSE};
use super::*;
use crate::agent::flows::FlowTable;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn service(name: &str, ip: u8, hosts: &[u8]) -> Service {
    let endpoint = |host: &u8| Endpoint::ready([10, 244, 1, *host].into(), port(8080));
    Service {
        cluster_ips: vec![[10, 96, 0, ip].into()],
        ports: vec![ServicePort {
            endpoints: hosts.iter().map(endpoint).collect(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", name))
    }
}

fn update(services: &[Service]) -> Update {
    let mut snapshot = Snapshot::default();
    for service in services {
        let service = Arc::new(service.clone());
        snapshot.services.insert_mut(service.name.clone(), service);
    }
    let changes = Changes::everything(&snapshot);
    Update {
        snapshot: Arc::new(snapshot),
        changes,
    }
}

fn start(dataplane: Fake, update: &Update) -> ServiceProxy<Fake> {
    start_with(
        dataplane,
        update,
        &Health::default(),
        &ServiceProxyMetrics::new(),
    )
}

fn start_with(
    dataplane: Fake,
    update: &Update,
    health: &Health,
    metrics: &ServiceProxyMetrics,
) -> ServiceProxy<Fake> {
    ServiceProxy::start(
        dataplane,
        &Family::ALL,
        Options::default(),
        update,
        Observers {
            health: health.clone(),
            metrics: metrics.clone(),
            problems: ProblemMetrics::default(),
            connections: None,
        },
        Box::new(|| Ok(Box::new(Flows::default()))),
    )
}

/// Flows as conntrack would have them.
#[derive(Clone, Default)]
struct Flows(Arc<Mutex<Vec<Flow>>>);

impl FlowTable for Flows {
    fn sweep(
        &mut self,
        family: Family,
        filter: FlowFilter,
        is_stale: &mut dyn FnMut(&Flow) -> bool,
    ) -> Result<Sweep, fairway_nft::Error> {
        let mut flows = self.0.lock().unwrap();
        let before = flows.len();
        flows.retain(|flow| {
            let of_family = Family::of(flow.destination.ip()) == family;
            let listed = of_family && flow.protocol == filter.protocol;
            !(listed && is_stale(flow))
        });
        let seen = before as u64;
        let deleted = (before - flows.len()) as u64;
        Ok(Sweep { seen, deleted })
    }
}

fn key(ip: u8) -> Bytes {
    Bytes::new()
        .address([10, 96, 0, ip].into())
        .protocol(Protocol::Tcp)
        .port(port(80))
}

fn single() -> SetName {
    SetName::Endpoints(SlotClass::of(1).unwrap())
}

fn endpoint_of(proxy: &ServiceProxy<Fake>, ip: u8) -> Option<&Bytes> {
    proxy
        .dataplane
        .elements(Family::Ip4, single())?
        .get(&key(ip))
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_changed_writes_nothing() {
    let state = update(&[service("a", 1, &[1, 2]), service("b", 2, &[])]);
    let first = start(Fake::new(), &state);
    let writes = first.dataplane.writes();
    assert!(writes > 0);
    let second = start(first.dataplane, &state);
    assert_eq!(second.dataplane.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_flushed_table_is_restored() {
    let mut proxy = start(Fake::new(), &update(&[service("a", 1, &[1])]));
    proxy.dataplane.flush();
    assert_eq!(endpoint_of(&proxy, 1), None);
    proxy.verify();
    assert!(endpoint_of(&proxy, 1).is_some());
    assert!(proxy.next_retry().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refused_element_holds_up_nobody_and_is_tried_again() {
    let mut dataplane = Fake::new();
    dataplane.refuse(single(), key(1), Errno::EINVAL);
    let mut proxy = start(
        dataplane,
        &update(&[service("a", 1, &[1]), service("b", 2, &[1])]),
    );
    assert_eq!(endpoint_of(&proxy, 1), None);
    assert!(endpoint_of(&proxy, 2).is_some());

    proxy.dataplane.refuse_nothing();
    proxy.retry();
    assert_eq!(endpoint_of(&proxy, 1), None, "before its time");
    advance(SHORTEST_PAUSE).await;
    proxy.retry();
    assert!(endpoint_of(&proxy, 1).is_some());
    assert!(proxy.next_retry().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_counted_once_and_as_long_as_it_is() {
    let problems = ProblemMetrics::default();
    let counted = || {
        let mut registry = prometheus_client::registry::Registry::default();
        problems.register(&mut registry);
        let text = fairway_admin::encode(&registry).unwrap();
        ["", "_total"].map(|suffix| {
            let series = format!(
                "fairway_object_problems{suffix}{{kind=\"Service\",reason=\"RefusedByKernel\"}} "
            );
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(&series));
            value.unwrap_or_else(|| panic!("{text}")).to_owned()
        })
    };
    let mut dataplane = Fake::new();
    dataplane.refuse(single(), key(1), Errno::EINVAL);
    let mut proxy = ServiceProxy::start(
        dataplane,
        &Family::ALL,
        Options::default(),
        &update(&[service("a", 1, &[1])]),
        Observers {
            health: Health::default(),
            metrics: ServiceProxyMetrics::new(),
            problems: problems.clone(),
            connections: None,
        },
        Box::new(|| Ok(Box::new(Flows::default()))),
    );
    assert_eq!(counted(), ["1", "1"]);
    // A lone change says nothing about what was refused before.
    proxy.apply(&update(&[service("a", 1, &[1]), service("b", 2, &[1])]));
    assert_eq!(counted(), ["1", "1"]);
    advance(SHORTEST_PAUSE).await;
    proxy.retry();
    assert_eq!(counted(), ["1", "1"], "it is the same one");
    proxy.dataplane.refuse_nothing();
    advance(LONGEST_PAUSE).await;
    proxy.retry();
    assert_eq!(counted(), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn others_change_at_once_while_an_element_is_refused() {
    let mut dataplane = Fake::new();
    dataplane.refuse(single(), key(1), Errno::EINVAL);
    let mut proxy = start(dataplane, &update(&[service("a", 1, &[1])]));
    proxy.apply(&update(&[service("a", 1, &[1]), service("b", 2, &[1])]));
    assert!(endpoint_of(&proxy, 2).is_some());
    assert!(proxy.next_retry().is_some());
    proxy.dataplane.refuse_nothing();
    advance(SHORTEST_PAUSE).await;
    proxy.retry();
    assert!(endpoint_of(&proxy, 1).is_some());
    assert!(endpoint_of(&proxy, 2).is_some());
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_up_to_the_longest() {
    let mut dataplane = Fake::new();
    dataplane.refuse(single(), key(1), Errno::EINVAL);
    let mut proxy = start(dataplane, &update(&[service("a", 1, &[1])]));
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let at = proxy.next_retry().unwrap();
        pauses.push((at - Instant::now()).as_secs());
        advance(at - Instant::now()).await;
        proxy.retry();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

#[tokio::test(start_paused = true)]
async fn changes_of_services_and_of_endpoints_are_told_apart() {
    let proxy = start(Fake::new(), &update(&[service("a", 1, &[1])]));
    let counts = |services: &[Service]| changed::count(&proxy.snapshot, &update(services));
    assert_eq!(counts(&[service("a", 1, &[1])]), [0, 0]);
    assert_eq!(counts(&[service("a", 1, &[2])]), [0, 1]);
    assert_eq!(counts(&[service("a", 2, &[1])]), [1, 0]);
    assert_eq!(
        counts(&[service("a", 1, &[1]), service("b", 2, &[1])]),
        [1, 1]
    );
}

#[tokio::test(start_paused = true)]
async fn stale_flows_go_when_the_rules_are_in_the_kernel() {
    let udp = |hosts: &[u8]| {
        let mut service = service("dns", 1, hosts);
        service.ports[0].protocol = Protocol::Udp;
        service
    };
    let flow = |host: u8| Flow {
        protocol: Protocol::Udp,
        destination: ([10, 96, 0, 1], 80).into(),
        answered_from: ([10, 244, 1, host], 8080).into(),
        translated: true,
    };
    let flows = Flows(Arc::new(Mutex::new(vec![flow(1), flow(2), flow(3)])));
    let become_those_of = |hosts: &[u8]| {
        let hosts = hosts.iter().map(|host| flow(*host)).collect::<Vec<_>>();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while *flows.0.lock().unwrap() != hosts {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    };
    let table = flows.clone();
    let mut proxy = ServiceProxy::start(
        Fake::new(),
        &Family::ALL,
        Options::default(),
        &update(&[udp(&[1, 2])]),
        Observers {
            health: Health::default(),
            metrics: ServiceProxyMetrics::new(),
            problems: ProblemMetrics::default(),
            connections: None,
        },
        Box::new(move || Ok(Box::new(table.clone()))),
    );
    // What was stale before the start, too.
    become_those_of(&[1, 2]);
    proxy.apply(&update(&[udp(&[2])]));
    become_those_of(&[2]);
    proxy.dataplane.flush();
    flows.0.lock().unwrap().push(flow(4));
    proxy.verify();
    become_those_of(&[2]);
    let mut gone = update(&[]);
    gone.changes.services.insert(udp(&[]).name);
    proxy.apply(&gone);
    become_those_of(&[]);
}

/// What the probes will say of each family when nothing more happens for a minute.
fn fresh_after_a_minute(health: &Health) -> [bool; 2] {
    let report = health.report(Moment::now().after(Duration::from_secs(60)));
    assert_eq!(
        report.is_live(),
        report.families.values().all(|it| it.fresh)
    );
    IpFamily::ALL.map(|family| report.families.get(&family).is_some_and(|it| it.fresh))
}

#[tokio::test(start_paused = true)]
async fn a_family_that_cannot_be_written_is_stale_until_it_can() {
    let health = Health::default();
    let first = update(&[service("a", 1, &[1])]);
    let mut proxy = start_with(Fake::new(), &first, &health, &ServiceProxyMetrics::new());
    assert_eq!(fresh_after_a_minute(&health), [true, true]);

    proxy.dataplane.fail(Family::Ip4, true);
    proxy.apply(&update(&[service("a", 1, &[2])]));
    assert!(health.report(Moment::now()).is_live(), "it may come yet");
    assert_eq!(fresh_after_a_minute(&health), [false, true]);
    // Attempts are no progress.
    for _ in 0..3 {
        advance(LONGEST_PAUSE).await;
        proxy.retry();
    }
    assert_eq!(fresh_after_a_minute(&health), [false, true]);

    proxy.dataplane.fail(Family::Ip4, false);
    advance(LONGEST_PAUSE).await;
    proxy.retry();
    assert_eq!(fresh_after_a_minute(&health), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_could_never_be_read_is_stale_too() {
    let health = Health::default();
    let mut dataplane = Fake::new();
    dataplane.fail(Family::Ip6, true);
    let first = update(&[service("a", 1, &[1])]);
    let mut proxy = start_with(dataplane, &first, &health, &ServiceProxyMetrics::new());
    assert_eq!(fresh_after_a_minute(&health), [true, false]);
    proxy.dataplane.fail(Family::Ip6, false);
    advance(SHORTEST_PAUSE).await;
    proxy.retry();
    assert_eq!(fresh_after_a_minute(&health), [true, true]);
}

/// The metrics of a proxy, by name and label as in the text format, less the prefix.
fn measured(metrics: &ServiceProxyMetrics, series: &str) -> f64 {
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let text = fairway_admin::encode(&registry).unwrap();
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("kubeproxy_"));
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("{series} is not in\n{text}"))
        .parse()
        .unwrap()
}

const PROGRAMMED_IP4: &str = "network_programming_duration_seconds_count{ip_family=\"IPv4\"}";
const PROGRAMMED_IP6: &str = "network_programming_duration_seconds_count{ip_family=\"IPv6\"}";

#[tokio::test(start_paused = true)]
async fn the_way_of_a_change_is_measured_when_it_has_arrived() {
    let metrics = ServiceProxyMetrics::new();
    let first = update(&[service("a", 1, &[1])]);
    let mut proxy = start_with(Fake::new(), &first, &Health::default(), &metrics);
    let caused = |hosts: &[u8], time, ipv4| {
        let mut update = update(&[service("a", 1, hosts)]);
        update.changes.triggers.push(Trigger { ipv4, time });
        update
    };
    let counts = || [PROGRAMMED_IP4, PROGRAMMED_IP6].map(|series| measured(&metrics, series));
    let now = || SystemTime::now() + SECOND;
    proxy.apply(&caused(&[2], now(), true));
    assert_eq!(counts(), [1.0, 0.0]);
    // Nothing to write, but arrived.
    proxy.apply(&caused(&[2], now(), false));
    assert_eq!(counts(), [1.0, 1.0]);
    proxy.apply(&caused(&[3], proxy.started - SECOND, true));
    assert_eq!(counts(), [1.0, 1.0], "it began before us");

    proxy.dataplane.fail(Family::Ip4, true);
    for host in [4, 5, 6] {
        proxy.apply(&caused(&[host], now(), true));
    }
    assert_eq!(counts(), [1.0, 1.0], "it is still on its way");
    proxy.dataplane.fail(Family::Ip4, false);
    advance(LONGEST_PAUSE).await;
    proxy.retry();
    assert_eq!(counts(), [4.0, 1.0]);
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn changes_are_pending_until_both_families_have_them() {
    let metrics = ServiceProxyMetrics::new();
    let first = update(&[service("a", 1, &[1])]);
    let mut proxy = start_with(Fake::new(), &first, &Health::default(), &metrics);
    let counts = || {
        let names = ["service", "endpoint"];
        let kinds = ["pending", "total"];
        names.map(|name| {
            kinds.map(|kind| measured(&metrics, &format!("sync_proxy_rules_{name}_changes_{kind}")))
        })
    };
    proxy.apply(&update(&[service("a", 1, &[2]), service("b", 2, &[1])]));
    assert_eq!(counts(), [[0.0, 1.0], [0.0, 2.0]]);
    proxy.dataplane.fail(Family::Ip4, true);
    proxy.apply(&update(&[service("a", 1, &[3])]));
    assert_eq!(counts(), [[0.0, 1.0], [1.0, 3.0]]);
    proxy.apply(&update(&[service("a", 2, &[3])]));
    assert_eq!(counts(), [[1.0, 2.0], [1.0, 3.0]]);
    proxy.dataplane.fail(Family::Ip4, false);
    advance(LONGEST_PAUSE).await;
    proxy.retry();
    assert_eq!(counts(), [[0.0, 2.0], [0.0, 3.0]]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_family_and_those_of_cleaning_up_apart() {
    let metrics = ServiceProxyMetrics::new();
    let first = update(&[service("a", 1, &[1])]);
    let mut proxy = start_with(Fake::new(), &first, &Health::default(), &metrics);
    let counts = || {
        let series = |what: &str, family: &str| {
            let name = format!("sync_proxy_rules_nftables_{what}_failures_total");
            measured(&metrics, &format!("{name}{{ip_family=\"{family}\"}}"))
        };
        let families = ["IPv4", "IPv6"];
        families.map(|family| [series("sync", family), series("cleanup", family)])
    };
    assert_eq!(counts(), [[0.0, 0.0], [0.0, 0.0]]);
    proxy.dataplane.fail_cleanup(true);
    proxy.apply(&update(&[service("a", 2, &[1])]));
    assert_eq!(counts(), [[1.0, 1.0], [0.0, 0.0]]);
    proxy.dataplane.fail_cleanup(false);
    proxy.dataplane.fail(Family::Ip4, true);
    advance(LONGEST_PAUSE).await;
    proxy.retry();
    assert_eq!(counts()[1], [0.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn services_without_local_endpoints_are_counted() {
    let metrics = ServiceProxyMetrics::new();
    let local = |hosts| Service {
        internal_policy: TrafficPolicy::Local,
        ..service("a", 1, hosts)
    };
    let mut proxy = start_with(
        Fake::new(),
        &update(&[local(&[1])]),
        &Health::default(),
        &metrics,
    );
    let series = "sync_proxy_rules_no_local_endpoints_total\
                  {ip_family=\"IPv4\",traffic_policy=\"internal\"}";
    assert_eq!(measured(&metrics, series), 1.0);
    proxy.apply(&update(&[service("a", 1, &[1])]));
    assert_eq!(measured(&metrics, series), 0.0);
}

#[tokio::test]
async fn the_last_connections_of_an_endpoint_are_counted_before_it_goes() {
    let mut registry = Registry::default();
    let (connections, _) = ConnectionCounters::register(&mut registry);
    let start = |dataplane, update: &Update| {
        let options = Options {
            count_connections: true,
            ..Options::default()
        };
        let observers = Observers {
            health: Health::default(),
            metrics: ServiceProxyMetrics::new(),
            problems: ProblemMetrics::default(),
            connections: Some(connections.clone()),
        };
        let flows = || Box::new(|| Ok(Box::new(Flows::default()) as Box<dyn FlowTable>));
        ServiceProxy::start(dataplane, &Family::ALL, options, update, observers, flows())
    };
    let counting = |host: u8| {
        let Bytes(endpoint) = Bytes::new()
            .address([10, 244, 1, host].into())
            .port(port(8080));
        Bytes([&key(1).0[..], &endpoint].concat().into())
    };
    let count = |proxy: &mut ServiceProxy<Fake>, host, packets| {
        let key = counting(host);
        let dataplane = &mut proxy.dataplane;
        dataplane.count(Family::Ip4, SetName::Connections, &key, packets);
    };
    let shows = |wanted: &str| {
        let text = encode(&registry).unwrap();
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    };
    let of_service = r#"{namespace="default",service="a",port="80"}"#;

    let mut proxy = start(Fake::new(), &update(&[service("a", 1, &[1, 2])]));
    count(&mut proxy, 1, 3);
    count(&mut proxy, 2, 4);
    proxy.apply(&update(&[service("a", 1, &[2])]));
    shows(&format!("{of_service} 3\n"));
    // The last endpoint takes the set along.
    count(&mut proxy, 2, 1);
    proxy.apply(&update(&[service("a", 1, &[])]));
    shows(&format!("{of_service} 8\n"));
    assert_eq!(
        proxy.dataplane.elements(Family::Ip4, SetName::Connections),
        None
    );
}
