//! Many connections at the same time: masquerading does not run out of ports.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fairway_model::Protocol;
use fairway_testkit::ask;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Echo, Family, Lab};

use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(thousands_of_masqueraded_connections_are_open_at_once);

/// All to one address and port, all from the node's one address.
const CONNECTIONS: usize = 5_000;
/// So many at a time; a listener's queue holds 1,024 at most.
const AT_A_TIME: usize = 250;

/// Both ends are this process's: two crowds need more files than it may have open on many machines.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn thousands_of_masqueraded_connections_are_open_at_once(feed: Feed) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let service = cluster.service("web", 10).tcp("", 80).node_port(30080);
    let ports = [("", Protocol::Tcp, Echo::LINES)];
    let slices = endpoint_slices("web", &ports, &[lab.pod("pod-2-1")]);
    cluster.apply("web", slices.into_iter().chain([service.build()]));
    cluster.start();
    let node = lab.node("node-1");
    // The feeds differ in nothing that matters here; each has a family, and both have one each way.
    let family = match feed {
        Feed::Manifests => Family::V4,
        Feed::Api => Family::V6,
    };
    let open = crowd(lab.client().ns(), (node.ip(family), 30080).into());
    assert_eq!(open.len(), CONNECTIONS);
    // There is room for others still, and nobody has been hung up on.
    let reply = ask::tcp(lab.client().ns(), (node.ip(family), 30080).into()).unwrap();
    assert_eq!(reply.peer.ip(), node.ip(family));
    for stream in open {
        assert!(stream.take_error().unwrap().is_none());
        stream.set_nonblocking(true).unwrap();
        let waits = stream.peek(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    }
}

fn crowd(client: &Namespace, server: SocketAddr) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(CONNECTIONS);
    while open.len() < CONNECTIONS {
        let batch = thread::scope(|scope| {
            let connect = || scope.spawn(|| connect_some(client, server, AT_A_TIME / 2));
            let workers = [connect(), connect()];
            workers.map(|worker| worker.join().unwrap())
        });
        open.extend(batch.into_iter().flatten());
    }
    open
}

fn connect_some(client: &Namespace, server: SocketAddr, number: usize) -> Vec<TcpStream> {
    client.run(|| {
        let connect = |_| TcpStream::connect_timeout(&server, ask::PATIENCE).unwrap();
        (0..number).map(connect).collect()
    })
}
