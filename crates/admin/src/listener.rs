//! Binding the ports of the agent's own servers.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::{info, warn};

/// A bound socket of the agent's own HTTP servers.
#[derive(Debug)]
pub struct Listener {
    purpose: Purpose,
    socket: TcpListener,
}

/// What a server is for; decides how its messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Probes by load balancers and the kubelet.
    Health,
    /// Prometheus and people.
    Metrics,
    /// Load balancers that ask about one Service.
    ServiceHealth,
}

/// A server's address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve {purpose} on {address}: {}", hint(source, *purpose, address))]
pub struct BindError {
    /// Which server.
    pub purpose: Purpose,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

impl Listener {
    /// Binds `address`. Either wildcard, `0.0.0.0` or `[::]`, means both families, as it does for
    /// kube-proxy; a kernel without IPv6 gets IPv4 alone. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address is taken, is not this node's, or may not be used.
    pub fn bind(purpose: Purpose, address: SocketAddr) -> Result<Self, BindError> {
        let socket = match address.ip().is_unspecified() {
            true => bind_both_families(address.port()),
            false => bind_one(address, OnlyIpv6(true)),
        };
        Self::of(socket, purpose, address)
    }

    /// Binds `address`; a wildcard means the one family that it is of. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_one_family(purpose: Purpose, address: SocketAddr) -> Result<Self, BindError> {
        Self::of(bind_one(address, OnlyIpv6(true)), purpose, address)
    }

    fn of(
        socket: io::Result<std::net::TcpListener>,
        purpose: Purpose,
        address: SocketAddr,
    ) -> Result<Self, BindError> {
        match socket.and_then(TcpListener::from_std) {
            Ok(socket) => Ok(Self { purpose, socket }),
            Err(source) => Err(BindError {
                purpose,
                address,
                source,
            }),
        }
    }

    /// Binds `address`, and tries again until that works: traffic does not depend on this server,
    /// so an agent that replaces a kube-proxy about to exit should wait rather than fail.
    pub async fn bind_when_free(purpose: Purpose, address: SocketAddr) -> Self {
        let mut failures = 0_u64;
        loop {
            match Self::bind(purpose, address) {
                Ok(listener) => {
                    if failures > 0 {
                        info!(%address, "{purpose} are served at last");
                    }
                    return listener;
                }
                Err(error) if failures.is_multiple_of(ATTEMPTS_PER_WARNING) => {
                    warn!(error = &error as &dyn Error, "will try again");
                }
                Err(_) => {}
            }
            failures += 1;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// The address in use, with the port that the kernel chose if 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell, which it always does for a bound socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn socket(&self) -> &TcpListener {
        &self.socket
    }
}

impl Purpose {
    /// What chooses the address.
    fn setting(self) -> &'static str {
        match self {
            Self::Health => "--healthz-bind-address",
            Self::Metrics => "--metrics-bind-address",
            Self::ServiceHealth => "spec.healthCheckNodePort",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Health => "health probes",
            Self::Metrics => "metrics",
            Self::ServiceHealth => "health checks of a Service",
        })
    }
}

fn bind_both_families(port: u16) -> io::Result<std::net::TcpListener> {
    match bind_one((Ipv6Addr::UNSPECIFIED, port).into(), OnlyIpv6(false)) {
        Err(error) if is_without_ipv6(&error) => {
            bind_one((Ipv4Addr::UNSPECIFIED, port).into(), OnlyIpv6(true))
        }
        bound => bound,
    }
}

/// Whether an IPv6 socket is for IPv6 alone.
struct OnlyIpv6(bool);

fn bind_one(address: SocketAddr, OnlyIpv6(only_v6): OnlyIpv6) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The sysctl net.ipv6.bindv6only may have turned the default round.
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_without_ipv6(error: &io::Error) -> bool {
    let errno = error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error);
    matches!(
        errno,
        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
    )
}

fn hint(error: &io::Error, purpose: Purpose, address: &SocketAddr) -> String {
    let (setting, port) = (purpose.setting(), address.port());
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let suspects = match purpose {
                Purpose::ServiceHealth => "another process of this node or another Service has it",
                _ => "does kube-proxy or another fairway still run on this node?",
            };
            format!(
                "port {port} is in use; {suspects} (`ss -ltnp 'sport = :{port}'` tells; {setting} \
                 chooses another)"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("no interface of this node has that address (see {setting})")
        }
        io::ErrorKind::PermissionDenied => format!(
            "not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE (see {setting})"
        ),
        _ => format!("the kernel refuses that address (see {setting})"),
    }
}

/// kube-proxy's pause between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// One warning a minute: enough to be found, too few to bury the log.
const ATTEMPTS_PER_WARNING: u64 = 12;

/// Probes come one at a time; this only has to outlast a busy moment of the control thread.
const BACKLOG: i32 = 128;
