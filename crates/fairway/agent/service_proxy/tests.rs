use std::sync::Arc;

use fairway_model::*;
use fairway_nft::{Errno, Fake};
use fairway_plan::{Bytes, SetName, SlotClass};
use tokio::time::advance;

use super::*;

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
    start_with(dataplane, update, &Health::default())
}

fn start_with(dataplane: Fake, update: &Update, health: &Health) -> ServiceProxy<Fake> {
    ServiceProxy::start(
        dataplane,
        &Family::ALL,
        Options::default(),
        update,
        health.clone(),
        &ServiceProxyMetrics::new(),
    )
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
    let counts = |services: &[Service]| proxy.count(&update(services));
    assert_eq!(counts(&[service("a", 1, &[1])]), [0, 0]);
    assert_eq!(counts(&[service("a", 1, &[2])]), [0, 1]);
    assert_eq!(counts(&[service("a", 2, &[1])]), [1, 0]);
    assert_eq!(
        counts(&[service("a", 1, &[1]), service("b", 2, &[1])]),
        [1, 1]
    );
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
    let mut proxy = start_with(Fake::new(), &update(&[service("a", 1, &[1])]), &health);
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
    let mut proxy = start_with(dataplane, &update(&[service("a", 1, &[1])]), &health);
    assert_eq!(fresh_after_a_minute(&health), [true, false]);
    proxy.dataplane.fail(Family::Ip6, false);
    advance(SHORTEST_PAUSE).await;
    proxy.retry();
    assert_eq!(fresh_after_a_minute(&health), [true, true]);
}
