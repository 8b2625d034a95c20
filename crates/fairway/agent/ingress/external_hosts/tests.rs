use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use fairway_model::{Changes, Node, Service, ServiceMap};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::lookups::STALE;
use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn services(service: Service) -> ServiceMap {
    let mut services = ServiceMap::default();
    services.insert_mut(service.name.clone(), Arc::new(service));
    services
}

fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|it| it.parse().unwrap()).collect()
}

#[test]
fn addresses_that_lead_inside_are_refused() {
    let node = Node {
        addresses: vec!["192.0.2.9".parse().unwrap()],
        service_cidrs: vec!["10.96.0.0/12".parse().unwrap()],
        ..Node::default()
    };
    let snapshot = Snapshot {
        node: Arc::new(node),
        services: services(Service {
            cluster_ips: vec![ip("10.200.0.1"), ip("fd00:200::1")],
            external_ips: vec![ip("203.0.113.1")],
            load_balancer_ips: vec![ip("203.0.113.2")],
            proxied_ips: vec![ip("203.0.113.3")],
            ..Service::new(ObjectName::new("default", "web"))
        }),
        ..Snapshot::default()
    };
    let interfaces = [ip("10.244.1.1"), ip("fe80::5")];
    let judge = |address: &str| {
        let judge = Judge::new(&snapshot, &interfaces, [ip(address)].into_iter());
        judge.judge(ip(address))
    };
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.9",
        "10.96.0.10",
        "10.200.0.1",
        "fd00:200::1",
        "203.0.113.1",
        "203.0.113.2",
        "203.0.113.3",
        "10.244.1.1",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
        "::ffff:10.96.0.10",
        "64:ff9b::10.200.0.1",
        "::ffff:10.244.1.1",
    ] {
        assert!(judge(address).is_err(), "{address}");
    }
    for address in [
        "192.0.2.8",
        "10.0.0.1",
        "2001:db8::1",
        "fd00::1",
        "64:ff9b::808:808",
    ] {
        assert_eq!(judge(address), Ok(()), "{address}");
    }
}

/// Hosts that were found at these addresses, on a machine whose interfaces are not known yet.
fn found(hosts: &[(&str, &str)]) -> (ExternalHosts, watch::Sender<Addresses>) {
    let mut external = ExternalHosts::new(Answers::new());
    let (ours, interfaces) = watch::channel(Addresses::default());
    external.interfaces = Some(interfaces);
    for (host, address) in hosts {
        let followed = Followed {
            task: None,
            answer: channel(None).1,
            found: Some(vec![ip(address)]),
            refused: BTreeMap::new(),
        };
        external.followed.insert((*host).into(), followed);
    }
    (external, ours)
}

/// What comes of it without any waiting for the network.
fn told(external: &mut ExternalHosts, snapshot: &Snapshot) -> Vec<(String, usize)> {
    let located = external.next(snapshot).now_or_never().unwrap_or_default();
    let told = located.into_iter();
    told.map(|it| (it.host.into(), it.addresses.len()))
        .collect()
}

#[test]
fn what_is_known_is_judged_again_when_what_is_inside_changes() {
    let (mut external, ours) = found(&[("a.example", "192.0.2.1"), ("b.example", "192.0.2.2")]);
    ours.send(["127.0.0.1"].map(ip).into()).unwrap();
    let empty = Snapshot::default();
    assert_eq!(told(&mut external, &empty), []);

    // A Service gets the address of one, and loses it.
    let service = Service {
        external_ips: vec![ip("192.0.2.2")],
        ..Service::new(ObjectName::new("default", "web"))
    };
    let changes = Changes {
        services: [service.name.clone()].into(),
        ..Changes::default()
    };
    let with_service = Snapshot {
        services: services(service),
        ..Snapshot::default()
    };
    let mut becomes = |before: &Snapshot, after: &Snapshot| {
        let update = Update {
            snapshot: Arc::new(after.clone()),
            changes: changes.clone(),
        };
        external.review(before, &update);
        told(&mut external, after)
    };
    let gone = ("b.example".to_owned(), 0);
    assert_eq!(becomes(&empty, &with_service), [gone]);
    assert_eq!(becomes(&with_service, &with_service), []);
    let back = ("b.example".to_owned(), 1);
    assert_eq!(becomes(&with_service, &empty), [back]);

    // This machine gets that of the other.
    ours.send(["127.0.0.1", "192.0.2.1"].map(ip).into())
        .unwrap();
    let gone = ("a.example".to_owned(), 0);
    assert_eq!(told(&mut external, &empty), [gone]);
}

#[test]
fn nobody_is_judged_before_this_machines_addresses_are_known() {
    let (mut external, ours) = found(&[("a.example", "192.0.2.1")]);
    let answer = ("a.example".into(), vec![ip("192.0.2.3")]);
    external.sender.try_send(answer).unwrap();
    let empty = Snapshot::default();
    assert_eq!(told(&mut external, &empty), []);
    ours.send(["127.0.0.1", "192.0.2.3"].map(ip).into())
        .unwrap();
    assert_eq!(told(&mut external, &empty), [("a.example".to_owned(), 0)]);
}

#[test]
fn names_are_absolute_and_addresses_are_none() {
    assert_eq!(absolute("db.example").as_deref(), Some("db.example."));
    assert_eq!(absolute("db.example.").as_deref(), Some("db.example."));
    for host in [
        "",
        ".",
        "127.0.0.1",
        "::1",
        "*.example",
        "a b",
        "db.example..",
        "0x7f.1:80",
    ] {
        assert_eq!(absolute(host), None, "{host:?}");
    }
}

/// Answers of a resolver one after the other, and then the last one for ever.
fn answers(
    list: Vec<io::Result<BTreeSet<IpAddr>>>,
) -> impl AsyncFn() -> io::Result<BTreeSet<IpAddr>> {
    let list = RefCell::new(VecDeque::from(list));
    async move || {
        let mut list = list.borrow_mut();
        match list.len() {
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => list.pop_front().expect("there is one"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_is_looked_up_again_and_a_failure_keeps_the_last_answer_for_a_while() {
    let failed = || Err(io::ErrorKind::TimedOut.into());
    let lookup = answers(vec![
        failed(),
        Ok(set(&["192.0.2.1"])),
        Ok(set(&["192.0.2.1"])),
        Ok(set(&["192.0.2.2"])),
        failed(),
    ]);
    let expected = [
        (0, vec![]),
        (5, vec![ip("192.0.2.1")]),
        (65, vec![ip("192.0.2.2")]),
        (365, vec![]),
    ];
    assert_eq!(tells(lookup, None).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_another_one_has_found_out_is_used_for_the_rest_of_its_time() {
    let answer = Answer {
        addresses: set(&["192.0.2.1"]),
        since: Instant::now(),
    };
    sleep(Duration::from_secs(100)).await;
    let told = tells(answers(Vec::new()), Some(answer)).await;
    assert_eq!(told, [(0, vec![ip("192.0.2.1")]), (200, vec![])]);
}

/// What a host's watch tells, and after how many seconds.
async fn tells(
    lookup: impl AsyncFn() -> io::Result<BTreeSet<IpAddr>>,
    known: Option<Answer>,
) -> Vec<(u64, Vec<IpAddr>)> {
    let (sender, mut found) = mpsc::channel(1);
    let begun = Instant::now();
    let watched = watch("db.example".into(), lookup, channel(known).0, sender);
    let told = async {
        let mut told = Vec::new();
        while let Ok(Some((_, addresses))) = timeout(STALE * 2, found.recv()).await {
            told.push((begun.elapsed().as_secs(), addresses));
        }
        told
    };
    tokio::select! {
        () = watched => panic!("it goes on for ever"),
        told = told => told,
    }
}
