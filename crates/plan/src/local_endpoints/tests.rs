use std::sync::Arc;

use fairway_model::{Endpoint, Port, Protocol, ServicePort};

use super::*;

fn snapshot(services: &[Service]) -> Snapshot {
    let mut snapshot = Snapshot {
        node: Arc::new(Node {
            name: "here".into(),
            ..Node::default()
        }),
        ..Snapshot::default()
    };
    for service in services {
        let service = Arc::new(service.clone());
        snapshot.services.insert_mut(service.name.clone(), service);
    }
    snapshot
}

fn service(name: &str, nodes: &[&str]) -> Service {
    let number = |number| Port::new(number).unwrap();
    let endpoint = |(host, node): (u8, &&str)| Endpoint {
        node: Some((**node).into()),
        ..Endpoint::ready([10, 244, 0, host].into(), number(8080))
    };
    let port = |port, node_port| ServicePort {
        node_port: Port::new(node_port),
        endpoints: (1..).zip(nodes).map(endpoint).collect(),
        ..ServicePort::new(Protocol::Tcp, number(port))
    };
    Service {
        cluster_ips: vec![[10, 96, 0, 1].into()],
        internal_policy: TrafficPolicy::Local,
        external_policy: TrafficPolicy::Local,
        ports: vec![port(80, 30080), port(81, 0)],
        ..Service::new(ObjectName::new("default", name))
    }
}

fn counts(without: &mut WithoutLocalEndpoints, services: &[Service]) -> [usize; 2] {
    let snapshot = snapshot(services);
    let mut changes = Changes::everything(&snapshot);
    changes
        .services
        .extend(["a", "b"].map(|name| ObjectName::new("default", name)));
    without.update(&snapshot, &changes);
    [without.internal(), without.external()]
}

#[test]
fn services_are_counted_once_while_their_traffic_is_dropped() {
    let mut without = WithoutLocalEndpoints::new(Family::Ip4);
    let mut counts = |services: &[Service]| counts(&mut without, services);
    let (a, b) = (service("a", &["there"]), service("b", &["there", "here"]));
    assert_eq!(counts(&[a.clone(), b.clone()]), [1, 1]);
    assert_eq!(counts(&[a.clone(), service("b", &["there"])]), [2, 2]);
    // Without any endpoint it is refused rather than dropped.
    assert_eq!(counts(&[a.clone(), service("b", &[])]), [1, 1]);
    let mut anywhere = a.clone();
    anywhere.internal_policy = TrafficPolicy::Cluster;
    assert_eq!(counts(&[anywhere]), [0, 1]);
    let mut inside = a.clone();
    inside.ports[0].node_port = None;
    assert_eq!(counts(&[inside]), [1, 0]);
    assert_eq!(counts(&[]), [0, 0]);

    let mut ip6 = WithoutLocalEndpoints::new(Family::Ip6);
    assert_eq!(super::tests::counts(&mut ip6, &[a]), [0, 0]);
}
