//! What passes: large datagrams, which travel in fragments, and long streams.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use fairway_model::Protocol;
use fairway_testkit::ask::PATIENCE;
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::endpoint_slices;
use fairway_testkit::{Family, Lab};

use crate::support::{Cluster, Feed, fed_both_ways};

fed_both_ways!(large_datagrams_and_streams_arrive_whole);

const PORT: u16 = 7;

fn large_datagrams_and_streams_arrive_whole(feed: Feed) {
    let cluster = Cluster::new(feed, Lab::builder().nodes(2).pods_per_node(1));
    let lab = cluster.lab();
    let service = cluster.service("echo", 10);
    let service = service.tcp("tcp", PORT).node_port(30007);
    let service = service.udp("udp", PORT).node_port(30007).build();
    let ports = [("tcp", Protocol::Tcp, PORT), ("udp", Protocol::Udp, PORT)];
    let server = lab.pod("pod-2-1");
    for family in Family::BOTH {
        mirror(server.ns(), (server.ip(family), PORT).into());
    }
    let slices = endpoint_slices("echo", &ports, &[server]);
    cluster.apply("echo", slices.into_iter().chain([service]));
    cluster.start();

    let pod = lab.pod("pod-1-1");
    for family in Family::BOTH {
        let node_port = SocketAddr::new(lab.node("node-1").ip(family), 30007);
        for (client, server) in [
            (pod.ns(), cluster.cluster_ip(family, 10, PORT)),
            (lab.client().ns(), node_port),
        ] {
            // An Ethernet frame carries up to 1472 bytes of a datagram.
            for length in [1, 1472, 1473, 2000, 20_000] {
                datagram(client, server, &pattern(length));
            }
            stream(client, server, &pattern(8 << 20));
        }
    }
}

/// Bytes of which no part looks like the next.
fn pattern(length: usize) -> Vec<u8> {
    let words = (0_u32..).map(|number| number.wrapping_mul(0x9e37_79b1));
    words.flat_map(u32::to_le_bytes).take(length).collect()
}

/// Sends back what comes, until the namespace ends and with it the process's last interest.
fn mirror(namespace: &Namespace, address: SocketAddr) {
    let (udp, tcp) = namespace.run(|| {
        let (udp, tcp) = (UdpSocket::bind(address), TcpListener::bind(address));
        (udp.unwrap(), tcp.unwrap())
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            udp.send_to(&buffer[..length], peer).unwrap();
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let mut back = stream.try_clone().unwrap();
            io::copy(&mut stream, &mut back).unwrap();
        }
    });
}

fn datagram(client: &Namespace, server: SocketAddr, sent: &[u8]) {
    let received = client.run(|| -> io::Result<_> {
        let any = if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(server)?;
        socket.send(sent)?;
        let mut buffer = vec![0; 1 << 16];
        let length = socket.recv(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    });
    let received = received.unwrap_or_else(|error| panic!("{} bytes: {error}", sent.len()));
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}

fn stream(client: &Namespace, server: SocketAddr, sent: &[u8]) {
    let received = client.run(|| -> io::Result<_> {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut writer = stream.try_clone()?;
        thread::scope(|scope| {
            scope.spawn(move || {
                // A failure shows in what comes back.
                let _ = writer.write_all(sent);
                let _ = writer.shutdown(std::net::Shutdown::Write);
            });
            let mut received = Vec::with_capacity(sent.len());
            stream.read_to_end(&mut received)?;
            Ok(received)
        })
    });
    let received = received.unwrap();
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}
