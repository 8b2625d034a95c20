//! A process of the node listens where a Service has its node port.

use std::net::{IpAddr, TcpListener, UdpSocket};

use fairway_model::Protocol;
use fairway_testkit::objects::{Object, Service, endpoint_slices};
use fairway_testkit::{Echo, Family, Lab, ask, eventually};

use super::{Counted, Told};
use crate::support::{Cluster, Feed, becomes, fed_both_ways, who};

fed_both_ways!(processes_on_node_ports_are_told_of);

const PORTS: [(&str, Protocol, u16); 2] = [
    ("tcp", Protocol::Tcp, Echo::LINES),
    ("udp", Protocol::Udp, Echo::LINES),
];

fn service(cluster: &Cluster, name: &str, number: u8, node_port: u16) -> Object<Service> {
    let service = cluster.service(name, number).tcp("tcp", 80);
    let service = service.node_port(node_port).udp("udp", 80);
    service.node_port(node_port)
}

fn processes_on_node_ports_are_told_of(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(1).pods_per_node(1));
    let lab = cluster.lab();
    let node = lab.node("node-1");
    let listen = |address: IpAddr, port: u16| {
        // A process that another test is starting may have a copy of an earlier socket for a moment.
        eventually("the port is free", || {
            node.ns().run(|| TcpListener::bind((address, port)))
        })
    };
    let any = "::".parse().unwrap();
    let dual_stack = listen(any, 30080);
    let _on_loopback = listen("127.0.0.1".parse().unwrap(), 30081);
    let _elsewhere = listen(any, 30083);
    let v4 = node.ip(Family::V4);
    let _udp = node.ns().run(|| UdpSocket::bind((v4, 30082)).unwrap());
    for (number, name) in (10..).zip(["a", "b", "c"]) {
        let node_port = 30070 + u16::from(number);
        cluster.apply(name, [service(&cluster, name, number, node_port)]);
        let slices = endpoint_slices(name, &PORTS, &lab.pods());
        cluster.apply(&format!("{name}-slices"), slices);
    }
    cluster.start();
    let agent = cluster.agent("node-1");
    let told = ["TCP [::]:30080".to_owned(), format!("UDP {v4}:30082")];
    let told = told.map(|socket| format!("node node-1: a process listens on {socket}, where"));
    let told = told.each_ref().map(String::as_str);
    let counted = Counted(node);
    counted.becomes("Service", "PortInUse", [2, 2]);
    Told(&agent).wait(&told);
    Told(&agent).once(&told);
    if feed == Feed::Api {
        let events = || cluster.api_server().events("PortInUse");
        becomes(2, "the number of Events", || events().len());
        let events = events();
        let mut about = events.iter().map(|event| &event["regarding"]["name"]);
        assert!(about.any(|name| name == "c"), "{events:?}");
    }

    // The Service has what is sent there, as the message says.
    let pod = lab.pods()[0].name().to_owned();
    for family in Family::BOTH {
        for port in [30080, 30081, 30082] {
            let at = (node.ip(family), port).into();
            for ask in [ask::tcp, ask::udp] {
                assert_eq!(who(ask(lab.client().ns(), at)), Ok(pod.clone()), "{at}");
            }
        }
    }

    // Both who leaves and who is left are seen when node ports change.
    drop(dual_stack);
    cluster.apply("d", [service(&cluster, "d", 13, 30084)]);
    counted.becomes("Service", "PortInUse", [1, 2]);
    Told(&agent).nothing_else(&told);
}
