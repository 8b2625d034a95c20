//! The way of a change to the kernel: plan, difference, encoding.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fairway_model::{
    Changes, Endpoint, ObjectName, Port, Protocol, Service, ServicePort, Snapshot,
};
use fairway_nft::{Dataplane, Fake, measuring};
use fairway_plan::{Family, Observed, Options, Planner, Transaction};

use crate::work::{Work, counted};

/// A large cluster.
const SERVICES: u32 = 10_000;

pub(crate) const ALL: &[Work] = &[
    Work {
        name: "plan-all-of-1000-services",
        times: 1,
        run: plan_all,
    },
    Work {
        name: "plan-one-endpoint-among-10000-services",
        times: 100,
        run: plan_one_endpoint,
    },
    Work {
        name: "plan-one-service-more-among-10000",
        times: 100,
        run: plan_one_service_more,
    },
    Work {
        name: "difference-of-10000-services-read-back",
        times: 1,
        run: difference,
    },
    Work {
        name: "encode-all-of-10000-services",
        times: 1,
        run: encode_all,
    },
    Work {
        name: "encode-one-endpoint",
        times: 100,
        run: encode_one_endpoint,
    },
];

fn plan_all(_: u64) {
    let snapshot = snapshot(1_000);
    counted(|| {
        black_box(start(&snapshot));
    });
}

fn plan_one_endpoint(times: u64) {
    let mut snapshot = snapshot(SERVICES);
    let (mut planner, _) = start(&snapshot);
    let steps: Vec<_> = (1..=times as u32)
        .map(|step| change(&mut snapshot, service(step * 97 % SERVICES, step)))
        .collect();
    counted(|| {
        for (snapshot, changes) in &steps {
            black_box(planner.update(snapshot, changes));
        }
    });
}

fn plan_one_service_more(times: u64) {
    let mut snapshot = snapshot(SERVICES);
    let (mut planner, _) = start(&snapshot);
    let steps: Vec<_> = (0..times as u32)
        .map(|step| change(&mut snapshot, service(SERVICES + step, 0)))
        .collect();
    counted(|| {
        for (snapshot, changes) in &steps {
            black_box(planner.update(snapshot, changes));
        }
    });
}

/// As after a restart: what the kernel holds is read back, and one Service has changed meanwhile.
fn difference(_: u64) {
    let mut snapshot = snapshot(SERVICES);
    let (mut planner, [transaction, _]) = start(&snapshot);
    let mut kernel = Fake::new();
    kernel.commit(&transaction).expect("a fake takes it");
    let observed = kernel.read(Family::Ip4).expect("a fake tells");
    let (snapshot, changes) = change(&mut snapshot, service(7, 1));
    planner.update(&snapshot, &changes);
    counted(|| {
        let repaired = planner.repair(Family::Ip4, &observed);
        assert_eq!(repaired.make.len(), 1, "the endpoint is another one");
    });
}

fn encode_all(_: u64) {
    let (_, [transaction, _]) = start(&snapshot(SERVICES));
    encode(1, &transaction);
}

fn encode_one_endpoint(times: u64) {
    let mut snapshot = snapshot(10);
    let (mut planner, _) = start(&snapshot);
    let (snapshot, changes) = change(&mut snapshot, service(7, 1));
    let [transaction, _] = planner.update(&snapshot, &changes);
    encode(times, &transaction);
}

fn encode(times: u64, transaction: &Transaction) {
    assert!(!transaction.is_empty());
    counted(|| {
        for _ in 0..times {
            let size = measuring::encode(black_box(transaction));
            black_box(size.expect("nothing in it is of another family"));
        }
    });
}

fn start(snapshot: &Snapshot) -> (Planner, [Transaction; 2]) {
    let nothing = Observed::default();
    Planner::start(Options::default(), snapshot, [&nothing, &nothing])
}

/// A snapshot in which the Service is this, and what has changed.
fn change(snapshot: &mut Snapshot, service: Service) -> (Snapshot, Changes) {
    let name = service.name.clone();
    let service = Arc::new(service);
    snapshot.services.insert_mut(name.clone(), service);
    let mut changes = Changes::default();
    changes.services.insert(name);
    (snapshot.clone(), changes)
}

fn snapshot(services: u32) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for index in 0..services {
        change(&mut snapshot, service(index, 0));
    }
    snapshot
}

/// Two endpoints, the second of which is another in each version.
fn service(index: u32, version: u32) -> Service {
    let endpoints = [
        address([10, 128, 0, 1], 2 * index),
        address([10, 192, 0, 1], 2 * index + version),
    ];
    let endpoints = endpoints.map(|address| Endpoint {
        node: Some("another-node".into()),
        ..Endpoint::ready(address, port(8080))
    });
    Service {
        cluster_ips: vec![address([10, 32, 0, 1], index)],
        ports: vec![ServicePort {
            endpoints: endpoints.into(),
            ..ServicePort::new(Protocol::Tcp, port(80))
        }],
        ..Service::new(ObjectName::new("default", format!("service-{index}")))
    }
}

fn address(first: [u8; 4], number: u32) -> IpAddr {
    Ipv4Addr::from(u32::from_be_bytes(first) + number).into()
}

fn port(number: u16) -> Port {
    Port::new(number).expect("not zero")
}
