//! UDP sockets whose datagrams belong to no flow that the kernel knows from before.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Above the node ports.
const FIRST_PORT: u16 = 33_000;
const PORTS: u16 = 9_000;

/// Ports of load, up to the end of Linux's own range.
const FIRST_PORT_OF_LOAD: u16 = FIRST_PORT + PORTS;
const PORTS_OF_LOAD: u16 = 18_000;

/// How long the kernel knows a flow that nothing is sent on any more (nf_conntrack_udp_timeout), and a second.
const FLOW: Duration = Duration::from_secs(31);

/// Whose turn is next. One turn for all namespaces, so that a port also tells who has it; questions are not
/// so many that it goes round within half a minute.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A socket for conversations with this server, at a port that no other had lately.
///
/// The kernel picks ports at random, and so an old one now and then: its flow still leads to whom it led
/// before, for 30 s, and a question that should be new is not.
pub(crate) fn fresh_udp(server: SocketAddr) -> Result<UdpSocket> {
    for _ in 0..PORTS {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS);
        let port = FIRST_PORT + u16::try_from(turn).expect("is less than PORTS");
        if let Some(socket) = connected(port, server)? {
            return Ok(socket);
        }
    }
    Err(Error::new(ErrorKind::AddrInUse, "every port is in use"))
}

/// Ports for the load that a namespace makes, which is more than [`fresh_udp`] has ports for. Each server has
/// turns of its own, because a flow is between two addresses.
#[derive(Debug, Default)]
pub(crate) struct PortTurns(Mutex<HashMap<SocketAddr, Turn>>);

#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u16,
    due: Instant,
}

impl PortTurns {
    /// A socket for one conversation with this server; waits where it would come too soon after the last one of
    /// its port: a question on a flow of before is lost when that flow is removed as stale.
    pub(crate) async fn fresh_udp(&self, server: SocketAddr) -> Result<tokio::net::UdpSocket> {
        for _ in 0..PORTS_OF_LOAD {
            let turn = self.next(server, Instant::now());
            tokio::time::sleep_until(turn.due.into()).await;
            if let Some(socket) = connected(FIRST_PORT_OF_LOAD + turn.number, server)? {
                socket.set_nonblocking(true)?;
                return tokio::net::UdpSocket::from_std(socket);
            }
        }
        Err(Error::new(ErrorKind::AddrInUse, "every port is in use"))
    }

    /// The turns of a server are so far apart that none comes again within [`FLOW`].
    fn next(&self, server: SocketAddr, now: Instant) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match turns.get(&server) {
            None => Turn {
                number: 0,
                due: now,
            },
            Some(last) => Turn {
                number: (last.number + 1) % PORTS_OF_LOAD,
                due: now.max(last.due + FLOW / u32::from(PORTS_OF_LOAD)),
            },
        };
        turns.insert(server, next);
        next
    }
}

/// A socket at this port of the client's; none if somebody else has it.
fn connected(port: u16, server: SocketAddr) -> Result<Option<UdpSocket>> {
    let any = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    match UdpSocket::bind(SocketAddr::new(any, port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
        Ok(socket) => {
            // Only a connected socket is told of ICMP errors, and it takes replies of its peer only.
            socket.connect(server)?;
            Ok(Some(socket))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_of_load_comes_again_while_its_flow_may_be_known() {
        let turns = PortTurns::default();
        let [one, other] = [80, 81].map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        let now = Instant::now();
        let first = turns.next(one, now);
        let again = (1..)
            .map(|_| turns.next(one, now))
            .find(|turn| turn.number == first.number);
        let apart = again.unwrap().due - first.due;
        // Rounded down, by a nanosecond each turn.
        assert!(apart > FLOW - Duration::from_millis(1), "{apart:?}");
        let other = turns.next(other, now);
        assert_eq!(
            (other.number, other.due),
            (0, now),
            "another server, other flows"
        );
    }
}
