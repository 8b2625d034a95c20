use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use fairway_model::Protocol;
use fairway_nft::{ListeningSocket, listening_sockets};
use fairway_plan::Family;

use crate::namespace::{in_namespace, ip};

#[test]
fn sockets_that_wait_for_clients_are_listed() {
    in_namespace(|| {
        ip("link set lo up");
        assert_eq!(listening_sockets().unwrap(), []);
        let tcp = TcpListener::bind("127.0.0.1:30080").unwrap();
        let all = TcpListener::bind("[::]:30081").unwrap();
        let udp = UdpSocket::bind("0.0.0.0:30053").unwrap();
        let mapped = UdpSocket::bind("[::ffff:127.0.0.1]:30055").unwrap();
        let udp6 = UdpSocket::bind("[::1]:30053").unwrap();
        // Neither clients nor what is connected.
        let client = TcpStream::connect("127.0.0.1:30080").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:30054").unwrap();
        connected.connect("127.0.0.1:30053").unwrap();

        let socket = |protocol, address: &str| ListeningSocket {
            protocol,
            address: address.parse::<SocketAddr>().unwrap(),
            // The kernel says so of whatever has an address.
            only_ip6: address.starts_with("[::1]"),
        };
        let found = listening_sockets().unwrap();
        let expected = [
            socket(Protocol::Tcp, "127.0.0.1:30080"),
            socket(Protocol::Tcp, "[::]:30081"),
            socket(Protocol::Udp, "0.0.0.0:30053"),
            socket(Protocol::Udp, "127.0.0.1:30055"),
            socket(Protocol::Udp, "[::1]:30053"),
        ];
        assert_eq!(found, expected);
        let serves = found.iter().map(|it| Family::ALL.map(|of| it.serves(of)));
        let expected = [
            [true, false],
            [true, true],
            [true, false],
            [true, false],
            [false, true],
        ];
        assert_eq!(serves.collect::<Vec<_>>(), expected);
        drop((tcp, all, udp, mapped, udp6, client, connected));
    });
}

#[test]
fn more_sockets_than_a_datagram_holds_are_listed() {
    in_namespace(|| {
        ip("link set lo up");
        let bind = |port| UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let sockets: Vec<_> = (30_000..30_700).map(bind).collect();
        assert_eq!(listening_sockets().unwrap().len(), sockets.len());
    });
}
