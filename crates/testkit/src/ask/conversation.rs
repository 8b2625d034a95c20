use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::{AskError, LONGEST_REPLY, Reply};
use crate::lab::Namespace;

/// A UDP conversation with a line server, always from the same port: to the kernel it is one flow.
#[derive(Debug)]
pub struct Conversation {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Conversation {
    /// Begins one that waits so long for each answer.
    ///
    /// # Errors
    ///
    /// When there is no route, see [`Failure`](super::Failure).
    pub fn udp(
        namespace: &Namespace,
        server: SocketAddr,
        patience: Duration,
    ) -> Result<Self, AskError> {
        let any = match server.is_ipv4() {
            true => Ipv4Addr::UNSPECIFIED.into(),
            false => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = namespace.run(|| {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            // Only a connected socket is told of ICMP errors.
            socket.connect(server)?;
            socket.set_read_timeout(Some(patience))?;
            Ok(socket)
        });
        let socket = socket.map_err(|source| AskError::new(server, source))?;
        Ok(Self { socket, server })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// See [`Failure`](super::Failure).
    pub fn ask(&self) -> Result<Reply, AskError> {
        let mut buffer = [0; LONGEST_REPLY as usize];
        let asked = self.socket.send(b"who\n");
        let length = asked.and_then(|_| self.socket.recv(&mut buffer));
        let length = length.map_err(|source| AskError::new(self.server, source))?;
        let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        Reply::parse(&line, self.server)
    }

    /// Whom it is with.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The port it is held from.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::local_addr`].
    pub fn port(&self) -> std::io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }
}
