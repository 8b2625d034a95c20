use fairway_model::{Changes, Port, ServicePort};

use super::*;

fn service(name: &str, created: i64, protocol: Protocol, node_port: u16) -> Service {
    Service {
        created,
        cluster_ips: vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ports: vec![ServicePort {
            node_port: Port::new(node_port),
            ..ServicePort::new(protocol, Port::new(80).unwrap())
        }],
        ..Service::new(ObjectName::new("default", name))
    }
}

fn served(addresses: NodePortAddresses, services: &[Service]) -> Served {
    let mut snapshot = Snapshot {
        node: Arc::new(Node {
            addresses: vec!["192.0.2.7".parse().unwrap()],
            ..Node::default()
        }),
        ..Snapshot::default()
    };
    for service in services {
        let service = Arc::new(service.clone());
        snapshot.services.insert_mut(service.name.clone(), service);
    }
    let mut ports = HostPorts {
        node_port_addresses: addresses,
        services: BTreeMap::new(),
        served: watch::Sender::new(Served::default()),
    };
    let changes = Changes::everything(&snapshot);
    ports.apply(&Update {
        snapshot: Arc::new(snapshot),
        changes,
    });
    ports.served.borrow().clone()
}

fn taken(served: &Served, protocol: Protocol, address: &str) -> Vec<String> {
    let socket = ListeningSocket {
        protocol,
        address: address.parse().unwrap(),
        only_ip6: false,
    };
    let taken = served.taken(&[socket], &BTreeSet::from([8080]));
    taken.keys().map(|it| it.service.name.to_string()).collect()
}

#[test]
fn a_process_is_in_the_way_where_node_ports_are_served() {
    let tcp = |name, created| service(name, created, Protocol::Tcp, 30080);
    let services = [tcp("young", 2), tcp("old", 1)];
    let primary = served(NodePortAddresses::Primary(None), &services);
    for (address, found) in [
        ("0.0.0.0:30080", true),
        ("[::]:30080", true),
        ("192.0.2.7:30080", true),
        ("192.0.2.8:30080", false),
        ("127.0.0.1:30080", false),
        ("[2001:db8::7]:30080", true),
        ("[::1]:30080", false),
        ("0.0.0.0:30081", false),
    ] {
        let expected = if found { vec!["old"] } else { vec![] };
        assert_eq!(
            taken(&primary, Protocol::Tcp, address),
            expected,
            "{address}"
        );
        assert!(taken(&primary, Protocol::Udp, address).is_empty());
    }
    let networks = vec!["192.0.2.0/24".parse().unwrap()];
    let within = served(NodePortAddresses::Within(networks), &services);
    assert_eq!(taken(&within, Protocol::Tcp, "192.0.2.8:30080"), ["old"]);
    assert!(taken(&within, Protocol::Tcp, "198.51.100.1:30080").is_empty());
}

#[test]
fn our_own_servers_and_services_of_others_are_left_out() {
    let own = served(
        NodePortAddresses::Primary(None),
        &[service("a", 1, Protocol::Tcp, 8080)],
    );
    assert!(taken(&own, Protocol::Tcp, "[::]:8080").is_empty());
    let elsewhere = Service {
        proxied_elsewhere: true,
        ..service("a", 1, Protocol::Tcp, 30080)
    };
    let others = served(NodePortAddresses::Primary(None), &[elsewhere]);
    assert!(taken(&others, Protocol::Tcp, "[::]:30080").is_empty());
}
