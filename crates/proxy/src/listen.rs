//! Sockets first: what cannot be bound is known before anything runs.

mod sockets;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

pub use self::sockets::ListeningSockets;
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
    /// Listens for as long as a worker accepts from it: what waits at a socket of nobody's would wait for ever.
    pub(crate) socket: Arc<TcpListener>,
    pub(crate) transport: Transport,
}

/// Listening sockets that nobody accepts from yet: connections wait in the kernel.
#[derive(Debug)]
pub struct Bound {
    pub(crate) config: Arc<Config>,
    /// One list per worker, in the order of the addresses.
    pub(crate) listeners: Vec<Vec<Listener>>,
    pub(crate) sockets: ListeningSockets,
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
    bind_after(config, &ListeningSockets::default())
}

/// As [`bind`], for a proxy that goes on with the sockets of the one before it where both listen at the same
/// address: no connection is refused, however far its handshake has come.
pub fn bind_after(config: Config, before: &ListeningSockets) -> Result<Bound, BindError> {
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let mut listeners: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut sockets = ListeningSockets::default();
    let mut bind_all = |wanted: &[SocketAddr], transport| {
        let addresses = wanted.iter().map(|wanted| {
            let bound = bind_one(*wanted, workers, before, &config)
                .map_err(|error| BindError::new(*wanted, error))?;
            spread(&bound.sockets, transport, &mut listeners);
            sockets.add(bound.address, &bound.sockets);
            Ok(bound.address)
        });
        addresses.collect::<Result<Vec<_>, _>>()
    };
    let http = bind_all(&config.http, Transport::Clear)?;
    let https = bind_all(&config.https, Transport::Tls)?;
    Ok(Bound {
        config: Arc::new(config),
        listeners,
        sockets,
        http,
        https,
    })
}

/// What listens at one address.
struct BoundAddress {
    /// With its real port.
    address: SocketAddr,
    /// One for each worker at least.
    sockets: Vec<Arc<TcpListener>>,
}

fn bind_one(
    wanted: SocketAddr,
    workers: usize,
    before: &ListeningSockets,
    config: &Config,
) -> io::Result<BoundAddress> {
    let mut address = wanted;
    let mut sockets = before.at(wanted)?;
    // Alone first: sockets with SO_REUSEPORT share a port with whoever has the same user and sets it as
    // well, so a second agent on the node would go unnoticed and take half of the connections.
    if sockets.is_empty() && !config.taken_over.contains(&wanted) {
        probe(wanted)?;
    }
    while sockets.len() < workers {
        let socket = listen(address)?;
        address = socket.local_addr()?;
        sockets.push(Arc::new(socket));
    }
    Ok(BoundAddress { address, sockets })
}

/// Gives each worker a socket of its own. Those that are left, of more workers than there are now, are
/// everybody's: closed, they would reset what is just opening, and the kernel goes on to use them.
fn spread(sockets: &[Arc<TcpListener>], transport: Transport, workers: &mut [Vec<Listener>]) {
    let (own, shared) = sockets.split_at(workers.len().min(sockets.len()));
    for (worker, own) in workers.iter_mut().zip(own) {
        let sockets = std::iter::once(own).chain(shared).cloned();
        worker.extend(sockets.map(|socket| Listener { socket, transport }));
    }
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
