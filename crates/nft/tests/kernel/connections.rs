//! Connections are counted by the first packet of each, after translation.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use fairway_model::{
    Affinity, Balance, Changes, Endpoint, ObjectName, Protocol, Service, ServicePort, Snapshot,
};
use fairway_nft::{Dataplane, Netlink};
use fairway_plan::{Bytes, Family, Observed, Options, Planner, SetName};

use crate::namespace::{in_namespace, ip};
use crate::nft::{list, load, normalise};
use crate::sample::port;

const NODE_PORT: u16 = 30053;

fn addresses(family: Family) -> [IpAddr; 2] {
    let [cluster_ip, endpoint] = match family {
        Family::Ip4 => ["10.96.0.1", "10.244.0.1"],
        Family::Ip6 => ["fd00:96::1", "fd00:244::1"],
    };
    [cluster_ip, endpoint].map(|address| address.parse().unwrap())
}

fn snapshot(affinity: Affinity, balance: Balance) -> Snapshot {
    let families = Family::ALL.map(addresses);
    let endpoint = |of: &[IpAddr; 2]| Endpoint::ready(of[1], port(5353));
    let service = Service {
        cluster_ips: families.iter().map(|of| of[0]).collect(),
        affinity,
        balance,
        ports: vec![ServicePort {
            node_port: Some(port(NODE_PORT)),
            endpoints: families.iter().map(endpoint).collect(),
            ..ServicePort::new(Protocol::Udp, port(53))
        }],
        ..Service::new(ObjectName::new("default", "dns"))
    };
    let mut snapshot = Snapshot::default();
    let name = service.name.clone();
    snapshot.services.insert_mut(name, Arc::new(service));
    snapshot
}

fn options() -> Options {
    Options {
        count_connections: true,
        ..Options::default()
    }
}

/// So many connections of two packets each.
fn connect(to: SocketAddr, connections: usize) {
    for _ in 0..connections {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        for _ in 0..2 {
            socket.send_to(b"hello", to).unwrap();
        }
    }
}

fn counted(netlink: &mut Netlink, family: Family) -> [u64; 2] {
    [SetName::Connections, SetName::NodePortConnections].map(|set| {
        let counters = netlink.counters(family, set).unwrap();
        let keys: Vec<Bytes> = counters.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(netlink.counters_of(family, set, &keys).unwrap(), counters);
        let [(_, packets)] = counters[..] else {
            panic!("{counters:?}");
        };
        packets
    })
}

#[test]
fn each_connection_is_counted_once_however_its_endpoint_is_found() {
    in_namespace(|| {
        ip("link set lo up");
        // While it is looked for duplicates, an address cannot be a route's source.
        for (cluster, endpoint, options) in [
            ("10.96.0.0/12", "10.244.0.1", ""),
            ("fd00:96::/108", "fd00:244::1", " nodad"),
        ] {
            ip(&format!("address add {endpoint} dev lo{options}"));
            ip(&format!("route add {cluster} dev lo src {endpoint}"));
        }
        let mut netlink = Netlink::open().unwrap();
        let first = snapshot(Affinity::None, Balance::Random);
        let nothing = Observed::default();
        let (mut planner, start) = Planner::start(options(), &first, [&nothing, &nothing]);
        for transaction in start {
            assert_eq!(netlink.commit(&transaction).unwrap().refused, []);
        }
        let _endpoints = Family::ALL.map(|family| {
            let [_, endpoint] = addresses(family);
            UdpSocket::bind((endpoint, 5353)).unwrap()
        });
        for family in Family::ALL {
            let [cluster_ip, endpoint] = addresses(family);
            connect((cluster_ip, 53).into(), 3);
            connect((endpoint, NODE_PORT).into(), 2);
            // What is not translated is nobody's.
            connect((endpoint, 5353).into(), 1);
            assert_eq!(counted(&mut netlink, family), [3, 2], "{family}");
        }

        let sticky = Affinity::ClientIp {
            timeout_seconds: 60,
        };
        let second = snapshot(sticky, Balance::Maglev);
        let changes = Changes::everything(&second);
        for transaction in planner.update(&second, &changes) {
            assert_eq!(netlink.commit(&transaction).unwrap().refused, []);
        }
        for family in Family::ALL {
            let [cluster_ip, endpoint] = addresses(family);
            connect((cluster_ip, 53).into(), 4);
            connect((endpoint, NODE_PORT).into(), 5);
            assert_eq!(counted(&mut netlink, family), [7, 7], "{family}");
            let observed = netlink.read(family).unwrap();
            let repair = planner.repair(family, &observed);
            assert!(repair.is_empty(), "{repair:?}");
        }
    });
}

#[test]
fn nft_loads_what_it_lists_with_what_was_counted() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        let snapshot = snapshot(Affinity::None, Balance::Random);
        let nothing = Observed::default();
        let (planner, start) = Planner::start(options(), &snapshot, [&nothing, &nothing]);
        for family in Family::ALL {
            let [transaction] = start
                .iter()
                .filter(|it| it.family == family)
                .collect::<Vec<_>>()[..]
            else {
                panic!("one of each family");
            };
            netlink.commit(transaction).unwrap();
            let listed = list(family).replace("packets 0 bytes 0", "packets 17 bytes 1020");
            load(&format!("flush ruleset\n{listed}"));
            assert_eq!(normalise(&list(family)), normalise(&listed));
            assert_eq!(counted(&mut netlink, family), [17, 17]);
            let observed = netlink.read(family).unwrap();
            let sets = observed.sets.iter();
            assert!(sets.clone().all(|set| set.ours.is_some()), "{observed:?}");
            let repair = planner.repair(family, &observed);
            let is_rule =
                |change: &fairway_plan::Change| matches!(change, fairway_plan::Change::SetRules(_));
            // nft does not keep who wrote a rule.
            assert!(repair.make.iter().all(is_rule), "{repair:?}");
        }
    });
}
