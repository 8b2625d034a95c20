//! One agent per node: two would repair each other's tables without end.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::{Context, bail};

/// An abstract socket: there is one of a name in each network namespace, as there is one set of
/// tables, and the kernel removes it however the process ends.
const NAME: &[u8] = b"fairway-agent";

/// Held for as long as the agent runs.
#[derive(Debug)]
pub(crate) struct AgentLock {
    _socket: UnixListener,
}

impl AgentLock {
    /// Fails at once if another agent holds it.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let address =
            SocketAddr::from_abstract_name(NAME).context("cannot name the agent's lock")?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
                "another fairway runs on this node (same network namespace): stop it first, \
                 or check that the DaemonSet does not start a second one"
            ),
            Err(error) => Err(error).context("cannot take the agent's lock (an abstract socket)"),
        }
    }
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
