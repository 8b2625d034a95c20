use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::{AskError, LONGEST_REPLY, PATIENCE, Reply};
use crate::lab::Namespace;

/// A conversation with a line server, always from the same port: to the kernel it is one flow.
#[derive(Debug)]
pub struct Conversation {
    socket: Socket,
    server: SocketAddr,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Conversation {
    /// Begins one over UDP that waits so long for each answer.
    ///
    /// # Errors
    ///
    /// When there is no route, see [`Failure`](super::Failure).
    pub fn udp(
        namespace: &Namespace,
        server: SocketAddr,
        patience: Duration,
    ) -> Result<Self, AskError> {
        let socket = namespace.run(|| {
            let socket = super::fresh_udp(server)?;
            socket.set_read_timeout(Some(patience))?;
            Ok(socket)
        });
        let socket = socket.map_err(|source| AskError::new(server, source))?;
        Ok(Self {
            socket: Socket::Udp(socket),
            server,
        })
    }

    /// Begins one over UDP from this port of the client's, and waits [`PATIENCE`] for each answer.
    ///
    /// # Errors
    ///
    /// When the port is in use, or there is no route, see [`Failure`](super::Failure).
    pub fn udp_from(
        namespace: &Namespace,
        port: u16,
        server: SocketAddr,
    ) -> Result<Self, AskError> {
        let socket = namespace.run(|| {
            let any = match server {
                SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, port))?;
            socket.connect(server)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = socket.map_err(|source| AskError::new(server, source))?;
        Ok(Self {
            socket: Socket::Udp(socket),
            server,
        })
    }

    /// Opens one over TCP that waits [`PATIENCE`] for each answer.
    ///
    /// # Errors
    ///
    /// See [`Failure`](super::Failure).
    pub fn tcp(namespace: &Namespace, server: SocketAddr) -> Result<Self, AskError> {
        let stream = namespace.run(|| super::connect(server, PATIENCE));
        let stream = stream.map_err(|source| AskError::new(server, source))?;
        Ok(Self {
            socket: Socket::Tcp(stream),
            server,
        })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// See [`Failure`](super::Failure).
    pub fn ask(&self) -> Result<Reply, AskError> {
        let mut buffer = [0; LONGEST_REPLY as usize];
        let length = self.exchange(&mut buffer);
        let length = length.map_err(|source| AskError::new(self.server, source))?;
        let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        Reply::parse(&line, self.server)
    }

    /// Whom it is with.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The address it is held from.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::local_addr`].
    pub fn own(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Udp(socket) => socket.local_addr(),
            Socket::Tcp(stream) => stream.local_addr(),
        }
    }

    /// Returns the length of the answer.
    fn exchange(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = match &self.socket {
            Socket::Udp(socket) => {
                socket.send(b"who\n")?;
                return socket.recv(buffer);
            }
            Socket::Tcp(stream) => stream,
        };
        stream.write_all(b"who\n")?;
        let mut length = 0;
        // An answer is a line, and there is no other before the next question.
        while length < buffer.len() && !buffer[..length].ends_with(b"\n") {
            match stream.read(&mut buffer[length..])? {
                0 => break,
                read => length += read,
            }
        }
        Ok(length)
    }
}
