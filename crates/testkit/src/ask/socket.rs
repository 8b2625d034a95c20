//! UDP sockets whose datagrams belong to no flow that the kernel knows from before.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Above the node ports, and below the end of Linux's own range.
const FIRST_PORT: u16 = 33_000;
const PORTS: u16 = 27_000;

/// Whose turn is next, by network namespace: tests side by side would soon use up a common turn.
static NEXT: LazyLock<Mutex<HashMap<u64, u16>>> = LazyLock::new(Mutex::default);

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
        let port = FIRST_PORT + next_turn()?;
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

fn next_turn() -> Result<u16> {
    let namespace = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let next = next.entry(namespace).or_default();
    let turn = *next;
    *next = (turn + 1) % PORTS;
    Ok(turn)
}
