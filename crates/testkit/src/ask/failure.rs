use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use thiserror::Error;

/// How a conversation can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// Somebody said no: a TCP reset or an ICMP "port unreachable" at the start.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// The connection was reset after it stood.
    Reset,
    /// Our own kernel did not send it: a filter on this machine forbids it.
    NotPermitted,
    /// No route: an ICMP "network" or "host unreachable".
    Unreachable,
    /// The server closed the connection without an answer.
    Closed,
    /// What came back was no answer.
    Malformed,
    /// Something else, most likely on this machine.
    Other,
}

/// A failed conversation.
#[derive(Debug, Error)]
#[error("{server}: {failure}")]
pub struct AskError {
    server: SocketAddr,
    failure: Failure,
    source: io::Error,
}

impl AskError {
    /// How it failed; what tests compare.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// Whom it was that did not answer.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn new(server: SocketAddr, source: io::Error) -> Self {
        Self {
            server,
            failure: Failure::of(&source),
            source,
        }
    }

    pub(crate) fn closed(server: SocketAddr) -> Self {
        Self::new(server, ErrorKind::UnexpectedEof.into())
    }

    pub(crate) fn malformed(server: SocketAddr, answer: &str) -> Self {
        let source = io::Error::new(ErrorKind::InvalidData, format!("got {answer:?}"));
        Self::new(server, source)
    }
}

impl Failure {
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            // A blocking socket's timeout reads as `WouldBlock`.
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::PermissionDenied => Self::NotPermitted,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Unreachable,
            ErrorKind::UnexpectedEof => Self::Closed,
            ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed out",
            Self::Reset => "reset",
            Self::NotPermitted => "not permitted",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed without an answer",
            Self::Malformed => "malformed answer",
            Self::Other => "failed",
        })
    }
}
