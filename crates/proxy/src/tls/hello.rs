use rustls::Error;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Failure, server_name};

/// Longest ClientHello with its record headers. Browsers send about 2 KiB; a pre-shared key and
/// post-quantum shares of all sorts fit. It is also what rustls buffers at most.
const LONGEST: usize = 16 * 1024;

/// What is read at once: most of what clients send.
const READ: usize = 2048;

/// The first byte of a TLS record that carries a handshake message (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

const HTTP_ON_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 47\r\nserver: fairway\r\n\r\n\
    this port speaks TLS: use https:// in place of \n";

/// A client's first message.
pub(super) struct Hello {
    pub(super) accepted: Result<Accepted, Incompatible>,
    /// The name that the client asks for, in lower case.
    pub(super) name: Option<Box<str>>,
    /// All that was read, for an endpoint that does its own TLS.
    pub(super) bytes: Vec<u8>,
}

/// A client that we have nothing in common with. An endpoint that does its own TLS may have.
pub(super) struct Incompatible {
    error: Error,
    alert: AcceptedAlert,
}

impl Incompatible {
    /// Tells the client.
    pub(super) fn refuse(self, stream: &TcpStream) -> Failure {
        tell(stream, self.alert);
        Failure::from(&self.error)
    }
}

/// Reads until the ClientHello is complete, however it is cut into records and segments.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Hello, Failure> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::with_capacity(READ);
    loop {
        let start = bytes.len();
        let room = LONGEST - start;
        if room == 0 {
            return Err(Failure::HelloTooLarge);
        }
        bytes.reserve(READ.min(room));
        let mut limited = (&mut *stream).take(room as u64);
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(Failure::Closed);
        }
        if start == 0 && bytes[0] != HANDSHAKE {
            return Err(not_tls(stream, bytes[0]));
        }
        let mut unread = &bytes[start..];
        while !unread.is_empty() {
            acceptor.read_tls(&mut unread)?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(Box::from);
                return Ok(Hello {
                    accepted: Ok(accepted),
                    name,
                    bytes,
                });
            }
            Ok(None) => {}
            Err((error @ Error::PeerIncompatible(_), alert)) => {
                return Ok(Hello {
                    accepted: Err(Incompatible { error, alert }),
                    name: server_name::of_hello(&bytes),
                    bytes,
                });
            }
            Err((error, alert)) => {
                tell(stream, alert);
                return Err(Failure::from(&error));
            }
        }
    }
}

/// Methods of HTTP are upper-case letters.
fn not_tls(stream: &TcpStream, first: u8) -> Failure {
    if !first.is_ascii_uppercase() {
        return Failure::NotTls;
    }
    let _ = stream.try_write(HTTP_ON_TLS);
    Failure::ClearText
}

/// Sends an alert, if the client takes it at once.
fn tell(stream: &TcpStream, mut alert: AcceptedAlert) {
    let mut bytes = Vec::new();
    if alert.write_all(&mut bytes).is_ok() {
        let _ = stream.try_write(&bytes);
    }
}
