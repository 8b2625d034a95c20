//! Conversations with servers, from inside a namespace.
//!
//! Each opens a connection (or socket) of its own, gives up after [`PATIENCE`], and says in a
//! [`Failure`] how it failed.

mod conversation;
mod failure;
mod http;
mod socket;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) use self::http::plain;
pub use self::http::{Answer, Response, http, http_get};
pub(crate) use self::socket::{PortTurns, fresh_udp};
pub use conversation::Conversation;
pub use failure::{AskError, Failure};

use crate::lab::Namespace;

/// How long an answer may take: far longer than any should, so that only what is lost is late.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What a line server of a pod replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who answered.
    pub pod: String,
    /// Whom it saw: the client's address, or what masquerading made of it.
    pub peer: SocketAddr,
    /// The address it was reached at.
    pub own: SocketAddr,
}

/// Asks a line server over TCP.
///
/// # Errors
///
/// See [`Failure`].
pub fn tcp(namespace: &Namespace, server: SocketAddr) -> Result<Reply, AskError> {
    tcp_within(namespace, server, PATIENCE)
}

/// As [`tcp`], with another patience: connecting and replying may each take that long.
///
/// # Errors
///
/// See [`Failure`].
pub fn tcp_within(
    namespace: &Namespace,
    server: SocketAddr,
    patience: Duration,
) -> Result<Reply, AskError> {
    let line = namespace.run(|| {
        let mut stream = connect(server, patience)?;
        stream.write_all(b"who\n")?;
        let mut line = String::new();
        BufReader::new(stream.take(LONGEST_REPLY)).read_line(&mut line)?;
        Ok(line)
    });
    Reply::parse(
        &line.map_err(|source| AskError::new(server, source))?,
        server,
    )
}

/// Asks a line server over UDP. The question is sent once.
///
/// # Errors
///
/// See [`Failure`].
pub fn udp(namespace: &Namespace, server: SocketAddr) -> Result<Reply, AskError> {
    udp_within(namespace, server, PATIENCE)
}

/// As [`udp`], with another patience.
///
/// # Errors
///
/// See [`Failure`].
pub fn udp_within(
    namespace: &Namespace,
    server: SocketAddr,
    patience: Duration,
) -> Result<Reply, AskError> {
    let line = namespace.run(|| {
        let socket = fresh_udp(server)?;
        socket.set_read_timeout(Some(patience))?;
        socket.send(b"who\n")?;
        let mut buffer = [0; LONGEST_REPLY as usize];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
    });
    Reply::parse(
        &line.map_err(|source| AskError::new(server, source))?,
        server,
    )
}

/// Sends bytes over TCP and collects what comes back until the server closes the connection.
///
/// For requests that no well-behaved client would send. The sending direction stays open.
///
/// # Errors
///
/// See [`Failure`].
pub fn raw(namespace: &Namespace, server: SocketAddr, request: &[u8]) -> Result<Vec<u8>, AskError> {
    let response = namespace.run(|| {
        let mut stream = connect(server, PATIENCE)?;
        stream.write_all(request)?;
        let mut response = Vec::new();
        stream.take(LONGEST_RESPONSE).read_to_end(&mut response)?;
        Ok(response)
    });
    response.map_err(|source| AskError::new(server, source))
}

/// Opens a TCP connection from inside a namespace; reads and writes of it give up after
/// [`PATIENCE`].
///
/// # Errors
///
/// See [`Failure`].
pub fn open(namespace: &Namespace, server: SocketAddr) -> Result<TcpStream, AskError> {
    let stream = namespace.run(|| connect(server, PATIENCE));
    stream.map_err(|source| AskError::new(server, source))
}

/// A pod name (253 at most) and two addresses.
const LONGEST_REPLY: u64 = 512;
const LONGEST_RESPONSE: u64 = 1 << 24;

fn connect(server: SocketAddr, patience: Duration) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Reply {
    /// Reads a line of the server, `pod peer-address:port own-address:port`.
    pub(crate) fn parse(line: &str, server: SocketAddr) -> Result<Self, AskError> {
        if line.is_empty() {
            return Err(AskError::closed(server));
        }
        let reply = line.strip_suffix('\n').and_then(|line| {
            let mut words = line.split(' ');
            Some(Self {
                pod: words.next()?.to_owned(),
                peer: words.next()?.parse().ok()?,
                own: words.next()?.parse().ok()?,
            })
        });
        reply.ok_or_else(|| AskError::malformed(server, line))
    }
}
