//! The PROXY protocol: what a load balancer says about a connection before anything else.
//!
//! Only trusted peers are listened to. The header is looked at in the kernel's buffer and taken out of it
//! whole, so that whoever reads next knows nothing of it and requests pay nothing for it.

mod header;

use std::io;
use std::net::SocketAddr;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

use self::header::{Header, LONGEST, Start};
use super::arrival::Origin;
use crate::config::ProxyProtocol;
use crate::deadline::within;
use crate::worker::Worker;

/// Why a connection was closed before anything was read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A header is required, and this peer is not one to send it.
    Untrusted,
    /// A header is required of this peer, and it sent something else.
    Missing,
    /// Not as the protocol wants it.
    Malformed,
    /// Larger than is taken.
    TooLong,
    /// A second header behind the first.
    Repeated,
    /// Not complete in time.
    Timeout,
    /// Closed in the middle of it.
    Closed,
}

impl Failure {
    pub(crate) const ALL: [Self; 7] = [
        Self::Untrusted,
        Self::Missing,
        Self::Malformed,
        Self::TooLong,
        Self::Repeated,
        Self::Timeout,
        Self::Closed,
    ];

    /// Its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Repeated => "repeated",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
        }
    }
}

/// Reads the header, if this peer has to say something. None when the connection is of no use: that has
/// been counted, and there is no answer that a load balancer would understand.
pub(super) async fn receive(
    worker: &Worker,
    stream: &TcpStream,
    peer: SocketAddr,
) -> Option<Origin> {
    let origin = Origin::of_peer(&worker.config, peer);
    let required = worker.config.proxy_protocol == ProxyProtocol::Required;
    let failure = match (origin.trusted, required) {
        (false, false) => return Some(origin),
        (false, true) => Failure::Untrusted,
        (true, _) => {
            let deadline = worker.deadlines.open();
            let limit = worker.config.timeouts.proxy_header;
            match within(&deadline, &worker.clock, limit, take(stream)).await {
                Some(Ok(Taken::Header(header))) => {
                    return Some(origin.after(&worker.config, header));
                }
                Some(Ok(Taken::Nothing)) if required => Failure::Missing,
                Some(Ok(Taken::Nothing)) => return Some(origin),
                Some(Ok(Taken::Failure(failure))) => failure,
                // A load balancer that only wanted to know whether somebody listens.
                Some(Ok(Taken::Probe) | Err(_)) => return None,
                None => Failure::Timeout,
            }
        }
    };
    worker.shard.proxy_protocol_failed(failure);
    tracing::debug!(%peer, reason = failure.label(), "no PROXY protocol header");
    None
}

impl Origin {
    /// Who is behind the peer. The peer passes bytes on and vouches for none of them: what a request
    /// says about its way is believed only if the client itself is a trusted proxy.
    fn after(self, config: &crate::config::Config, header: Header) -> Self {
        match header.addresses {
            Some(addresses) => Self {
                port: Some(addresses.destination.port()),
                ..Self::of_peer(config, addresses.source)
            },
            None => Self {
                trusted: false,
                ..self
            },
        }
    }
}

/// What was found before anything else.
enum Taken {
    Header(Header),
    Nothing,
    /// Connected, and closed again.
    Probe,
    Failure(Failure),
}

async fn take(stream: &TcpStream) -> io::Result<Taken> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let mut seen = 0;
        // To say that it would block makes the runtime wait for further bytes, although some are there.
        let taken = stream.try_io(Interest::READABLE, || {
            let mut bytes = [0; LONGEST + SECOND];
            let (_, count) = recv(stream, &mut bytes[..], RecvFlags::PEEK)?;
            seen = count;
            let failure = match Start::of(&bytes[..count]) {
                Start::Header(header) if header::begins(&bytes[header.length..count]) => {
                    Failure::Repeated
                }
                Start::Header(header) => {
                    recv(stream, &mut bytes[..header.length], RecvFlags::empty())?;
                    return Ok(Taken::Header(header));
                }
                Start::Other => return Ok(Taken::Nothing),
                Start::Incomplete if count == 0 => return Ok(Taken::Probe),
                Start::Incomplete => return Err(io::ErrorKind::WouldBlock.into()),
                Start::Malformed => Failure::Malformed,
                Start::TooLong => Failure::TooLong,
            };
            Ok(Taken::Failure(failure))
        });
        match taken {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() && seen > 0 {
                    return Ok(Taken::Failure(Failure::Closed));
                }
            }
            taken => return taken,
        }
    }
}

/// What has to be seen of a second header. One that comes later than this look is no HTTP and no TLS, and
/// is refused as such.
const SECOND: usize = 16;

/// For fuzz targets.
#[cfg(feature = "fuzzing")]
pub fn proxy_header(bytes: &[u8]) -> crate::fuzzing::Start {
    use crate::fuzzing::Start as Shown;
    match Start::of(bytes) {
        Start::Header(Header { length, addresses }) => Shown::Header {
            length,
            addresses: addresses.map(|it| (it.source, it.destination)),
        },
        Start::Malformed | Start::TooLong => Shown::Refused,
        Start::Incomplete => Shown::Incomplete,
        Start::Other => Shown::Other,
    }
}
