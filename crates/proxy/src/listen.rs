//! Sockets first: what cannot be bound is known before anything runs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;

/// Connections that the kernel keeps for us; it takes the smaller of this and net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Why a listener could not be had, and what to check.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "cannot listen on {address}: the port is in use; see who holds it with `ss -ltnp 'sport = :{}'`",
        address.port()
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The port is below the limit for unprivileged processes.
    #[error(
        "cannot listen on {address}: permission denied; ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE"
    )]
    Denied {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The node has no such address.
    #[error("cannot listen on {address}: no such address on this node; see `ip address`")]
    NoSuchAddress {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, source },
            io::ErrorKind::PermissionDenied => Self::Denied { address, source },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address, source },
            _ => Self::Other { address, source },
        }
    }
}

/// What the kernel keeps of a response beyond what is on its way to the client, in bytes. By default it is
/// megabytes, which a client that does not read could have us keep.
const UNSENT: u32 = 128 * 1024;

/// What is spoken on a listener before HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Nothing.
    Clear,
    /// TLS.
    Tls,
}

/// One worker's socket for one address.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) transport: Transport,
}

/// Listening sockets that nobody accepts from yet: connections wait in the kernel.
#[derive(Debug)]
pub struct Bound {
    pub(crate) config: Arc<Config>,
    /// One list per worker, in the order of the addresses.
    pub(crate) listeners: Vec<Vec<Listener>>,
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
}

impl Bound {
    /// The addresses for clear-text HTTP in the order of the configuration, with the real port where 0
    /// was asked for.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The same for HTTPS.
    pub fn https_addresses(&self) -> &[SocketAddr] {
        &self.https
    }
}

/// Binds every listener of every worker.
pub fn bind(config: Config) -> Result<Bound, BindError> {
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let mut listeners: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut bind_all = |wanted: &[SocketAddr], transport| {
        let addresses = wanted.iter().map(|wanted| {
            // Alone first: sockets with SO_REUSEPORT share a port with whoever has the same user and
            // sets it as well, so a second agent on the node would go unnoticed and take half of the
            // connections.
            let free = match config.taken_over.contains(wanted) {
                true => Ok(()),
                false => probe(*wanted),
            };
            free.and_then(|()| bind_one(*wanted, transport, &mut listeners))
                .map_err(|error| BindError::new(*wanted, error))
        });
        addresses.collect::<Result<Vec<_>, _>>()
    };
    let http = bind_all(&config.http, Transport::Clear)?;
    let https = bind_all(&config.https, Transport::Tls)?;
    Ok(Bound {
        config: Arc::new(config),
        listeners,
        http,
        https,
    })
}

/// Binds an address for every worker, and returns it with its real port.
fn bind_one(
    wanted: SocketAddr,
    transport: Transport,
    workers: &mut [Vec<Listener>],
) -> io::Result<SocketAddr> {
    let mut address = wanted;
    for worker in workers {
        let socket = listen(address)?;
        address = socket.local_addr()?;
        worker.push(Listener { socket, transport });
    }
    Ok(address)
}

fn probe(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    // Without SO_REUSEPORT this fails if anybody listens. It does not listen itself: a connection
    // that came in meanwhile would be reset.
    socket(address)?.bind(&address.into())
}

/// One listener per worker on the same port: the kernel spreads connections, no worker wakes another.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // Connections inherit it.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` is for everybody, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}
