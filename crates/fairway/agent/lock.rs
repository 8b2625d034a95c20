//! One agent per node: two would repair each other's tables without end.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::handover::{Predecessor, Successor};

/// An abstract socket: there is one of a name in each network namespace, as there is one set of
/// tables, and the kernel removes it however the process ends.
const NAME: &[u8] = b"fairway-agent";

/// How long the agent before may take to let go of the lock once it has said that it does.
const RELEASE: Duration = Duration::from_secs(5);

/// Held for as long as the agent runs.
#[derive(Debug)]
pub(crate) struct AgentLock {
    socket: UnixListener,
}

impl AgentLock {
    /// Fails at once if another agent holds it.
    pub(crate) fn take() -> anyhow::Result<Self> {
        match Self::try_take()? {
            Some(lock) => Ok(lock),
            None => bail!(
                "another fairway runs on this node (same network namespace): stop it first, \
                 take its place with `fairway run --takeover`, \
                 or check that the DaemonSet does not start a second one"
            ),
        }
    }

    /// None if another agent holds it.
    pub(crate) fn try_take() -> anyhow::Result<Option<Self>> {
        match UnixListener::bind_addr(&address()?) {
            Ok(socket) => Ok(Some(Self { socket })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error).context("cannot take the agent's lock (an abstract socket)"),
        }
    }

    /// Takes it from the agent that holds it, which goes on with traffic only; without one there is
    /// nobody to be told.
    pub(crate) async fn take_over() -> anyhow::Result<(Self, Option<Predecessor>)> {
        let address = address()?;
        let predecessor = match Predecessor::replace(&address).await {
            Ok(predecessor) => Some(predecessor),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
            Err(error) => {
                return Err(error).context("the fairway that runs on this node does not give way");
            }
        };
        let deadline = Instant::now() + RELEASE;
        loop {
            match Self::try_take()? {
                Some(lock) => return Ok((lock, predecessor)),
                None if Instant::now() < deadline => sleep(Duration::from_millis(1)).await,
                None => return Ok((Self::take()?, predecessor)),
            }
        }
    }

    /// Agents that ask for our place, until the runtime ends.
    pub(crate) fn successors(&self) -> io::Result<mpsc::Receiver<Successor>> {
        Successor::listen(self.socket.try_clone()?)
    }
}

fn address() -> anyhow::Result<SocketAddr> {
    SocketAddr::from_abstract_name(NAME).context("cannot name the agent's lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_turned_away_until_the_first_is_gone() {
        let first = AgentLock::take().unwrap();
        let error = AgentLock::take().unwrap_err().to_string();
        assert!(error.contains("another fairway"), "{error}");
        drop(first);
        AgentLock::take().unwrap();
    }
}
