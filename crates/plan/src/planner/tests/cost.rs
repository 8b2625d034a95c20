//! What the first packet of a connection costs does not grow with the number of Services, and packets
//! to none of them pay nearly nothing.

use super::super::walk::{Generation, Packet, cost};
use super::*;

/// Services with 1 to 8 endpoints, each at a ClusterIP; the number 1 has one.
fn table(services: u32) -> Generation {
    let mut bench = Bench::new();
    let mut changes = Changes::default();
    for number in 1..=services {
        let endpoints = (0..=(number - 1) % 8).map(|endpoint| {
            let address = u32::from_be_bytes([10, 128, 0, 0]) + 8 * number + endpoint;
            Endpoint::ready(std::net::Ipv4Addr::from(address).into(), port(8080))
        });
        let mut service = service(&format!("s{number}"), 0, 0, &[]);
        service.cluster_ips = vec![cluster_ip(number)];
        service.ports[0].endpoints = endpoints.collect();
        changes.services.insert(service.name.clone());
        let name = service.name.clone();
        bench.snapshot.services.insert_mut(name, Arc::new(service));
    }
    bench.planner.update(&bench.snapshot, &changes);
    let ruleset = bench.planner.ruleset(Family::Ip4);
    Generation {
        chains: ruleset.chains,
        sets: ruleset.sets,
    }
}

fn cluster_ip(number: u32) -> std::net::IpAddr {
    std::net::Ipv4Addr::from(u32::from_be_bytes([10, 32, 0, 0]) + number).into()
}

fn packet(destination: std::net::IpAddr) -> Packet {
    Packet {
        source: [10, 244, 2, 1].into(),
        from_node: false,
        destination,
        to_node: false,
        protocol: Protocol::Tcp,
        port: port(80),
    }
}

#[test]
fn the_first_packet_costs_the_same_with_ten_services_and_with_thousands() {
    // All classes occur in each. Three thousand are as good as thirty: the chains are the same.
    let [few, many, more] = [10, 1_000, 3_000].map(table);
    assert_eq!(few.chains, many.chains);
    assert_eq!(few.chains, more.chains);
    for number in 1..=8 {
        let packet = packet(cluster_ip(number));
        let expected = cost(&few, &packet);
        assert!(expected.lookups > 0);
        for table in [&many, &more] {
            assert_eq!(cost(table, &packet), expected);
        }
    }
}

#[test]
fn a_packet_to_no_service_is_let_go_after_a_handful_of_rules() {
    let elsewhere = packet([10, 244, 1, 1].into());
    let few = cost(&table(10), &elsewhere);
    assert_eq!(cost(&table(1_000), &elsewhere), few);
    // Now 14 and 8: translation and refusal, at two hooks.
    assert!(few.rules <= 16 && few.lookups <= 10, "{few:?}");
}
