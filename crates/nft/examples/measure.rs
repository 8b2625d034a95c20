//! How long the kernel takes for a first programming, a change, and a reading.
//!
//! ```text
//! cargo build --release -p fairway-nft --example measure
//! sudo unshare --net target/release/examples/measure 10000
//! ```
//!
//! Removes table `ip fairway` of the network namespace it runs in.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fairway_model::{Port, Protocol};
use fairway_nft::{Dataplane, Error, Netlink};
use fairway_plan::{Bytes, Change, Element, Family, SetName, SlotClass, Transaction};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let services = match std::env::args().nth(1) {
        Some(argument) => argument.parse()?,
        None => 10_000,
    };
    let map = SetName::Endpoints(SlotClass::of(2).ok_or("no class")?);
    let structure = [
        Change::DestroyTable,
        Change::CreateTable,
        Change::CreateSet(SetName::ClusterIps),
        Change::CreateSet(map),
    ];
    let elements = (0..services).flat_map(|service| {
        let ip = Element {
            set: SetName::ClusterIps,
            key: Bytes::new().address(Ipv4Addr::from_bits((10 << 24) + service).into()),
            value: Bytes::new(),
        };
        [
            ip,
            endpoint(map, service, 0, 1),
            endpoint(map, service, 1, 2),
        ]
        .map(Change::Add)
    });
    // The order in which the planner has them: set by set.
    let mut elements: Vec<_> = elements.collect();
    elements.sort_by_key(|change| match change {
        Change::Add(element) => element.set,
        _ => map,
    });
    let cold = transaction(structure.into_iter().chain(elements));

    let mut netlink = Netlink::open()?;
    println!("{services} services with 2 endpoints each");
    println!("  cold                {:9.3?}", time(&mut netlink, &cold)?);
    let start = Instant::now();
    netlink.read(Family::Ip4)?;
    println!("  reading back        {:9.3?}", start.elapsed());

    const ROUNDS: u32 = 1_000;
    let mut spent = [Duration::ZERO; 3];
    for round in 0..ROUNDS {
        let new = services + round;
        let changes = [
            Change::Add(endpoint(map, new, 0, 3)),
            Change::Replace(endpoint(map, new, 0, 4)),
            Change::Delete(endpoint(map, new, 0, 4)),
        ];
        for (change, spent) in changes.into_iter().zip(&mut spent) {
            *spent += time(&mut netlink, &transaction([change]))?;
        }
    }
    for (what, spent) in ["add", "replace", "delete"].into_iter().zip(spent) {
        println!("  {what:8} an endpoint {:9.3?}", spent / ROUNDS);
    }
    time(&mut netlink, &transaction([Change::DestroyTable]))?;
    Ok(())
}

fn time(netlink: &mut Netlink, transaction: &Transaction) -> Result<Duration, Error> {
    let start = Instant::now();
    let report = netlink.commit(transaction)?;
    assert!(report.refused.is_empty());
    Ok(start.elapsed())
}

fn transaction(changes: impl IntoIterator<Item = Change>) -> Transaction {
    Transaction {
        make: changes.into_iter().collect(),
        ..Transaction::new(Family::Ip4)
    }
}

fn endpoint(map: SetName, service: u32, slot: u32, host: u8) -> Element {
    let port = |number| Port::new(number).expect("not zero");
    Element {
        set: map,
        key: Bytes::new()
            .address(Ipv4Addr::from_bits((10 << 24) + service).into())
            .protocol(Protocol::Tcp)
            .port(port(80))
            .slot(slot),
        value: Bytes::new()
            .address(Ipv4Addr::new(10, 244, 0, host).into())
            .port(port(8080)),
    }
}
