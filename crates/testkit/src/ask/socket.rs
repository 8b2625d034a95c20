//! UDP sockets whose datagrams belong to no flow that the kernel knows from before.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Above the node ports, and below the end of Linux's own range.
const FIRST_PORT: u16 = 33_000;
const PORTS: u16 = 27_000;

/// Whose turn is next. One turn for all namespaces, so that a port also tells who has it; questions are not
/// so many that it goes round within half a minute.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A socket for conversations with this server, at a port that no other had lately.
///
/// The kernel picks ports at random, and so an old one now and then: its flow still leads to whom it led
/// before, for 30 s, and a question that should be new is not.
pub(crate) fn fresh_udp(server: SocketAddr) -> Result<UdpSocket> {
    let any = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    for _ in 0..PORTS {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS);
        let port = FIRST_PORT + u16::try_from(turn).expect("is less than PORTS");
        match UdpSocket::bind(SocketAddr::new(any, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
            Ok(socket) => {
                // Only a connected socket is told of ICMP errors, and it takes replies of its peer only.
                socket.connect(server)?;
                return Ok(socket);
            }
        }
    }
    Err(Error::new(ErrorKind::AddrInUse, "every port is in use"))
}
