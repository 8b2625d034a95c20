use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;

/// What the proxy is told at start. Everything about a single route comes from the route itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses for clear-text HTTP. `[::]` serves IPv4 as well. Port 0 picks one.
    pub http: Vec<SocketAddr>,
    /// Whether clear-text listeners also take HTTP/2 from clients that begin with it (prior knowledge).
    pub h2c: bool,
    /// Traffic threads; 0 means one per core that this process may use.
    pub workers: usize,
    /// Peers whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// Sizes and counts.
    pub limits: Limits,
    /// Times towards clients and of idle upstream connections; routes set the other upstream times.
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))],
            h2c: false,
            workers: 0,
            trusted_proxies: Vec::new(),
            access_log: AccessLog::Stdout,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Config {
    /// Whether what this peer says about the client is believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and 1.0 where a client insists.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Where one JSON line per request goes.
#[derive(Clone, Default)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output, from a thread of its own.
    #[default]
    Stdout,
    /// Any writer, from a thread of its own.
    Writer(Arc<Mutex<dyn Write + Send>>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Stdout => "Stdout",
            Self::Writer(_) => "Writer",
        })
    }
}

/// Limits on what one client or endpoint may occupy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request or response head, in bytes; at least 8192. More is 431, or 502 for a response.
    pub head_bytes: usize,
    /// Request target, in bytes. More is 414.
    pub target_bytes: usize,
    /// Requests on one client connection before it is closed.
    pub requests_per_connection: u32,
    /// Requests that an HTTP/2 connection may have under way at once.
    pub streams_per_connection: u32,
    /// Client connections of one worker; further ones wait in the kernel's queue.
    pub connections_per_worker: usize,
    /// Idle upstream connections that one worker keeps for one endpoint.
    pub idle_per_endpoint: usize,
    /// Idle upstream connections that one worker keeps in all.
    pub idle_per_worker: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            target_bytes: 16 * 1024,
            // nginx closes after 1000, which shows as latency with busy clients.
            requests_per_connection: 10_000,
            // nginx's, and far above the 100 that RFC 9113 wants at least.
            streams_per_connection: 128,
            // About 1 GiB at 16 KiB a busy connection; a file descriptor limit usually comes first.
            connections_per_worker: 65_536,
            idle_per_endpoint: 64,
            // ingress-nginx's `upstream-keepalive-connections` is 320 a worker and too small for it.
            idle_per_worker: 1024,
        }
    }
}

/// Times after which a silent party is given up on. Kept to a quarter of a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request head to its last.
    pub head: Duration,
    /// Between requests of one connection. Longer than a load balancer's idle time (usually 60 s),
    /// so that the balancer never sends into a connection that is just being closed.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// In which a client accepts nothing of a response.
    pub write: Duration,
    /// Silence of an HTTP/2 connection after which its other end is asked for a sign of life.
    pub ping: Duration,
    /// For that sign; without it the connection is closed.
    pub ping_answer: Duration,
    /// For which an idle upstream connection is kept. Shorter than common server limits (60 s).
    pub upstream_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(60),
            write: Duration::from_secs(60),
            // Often enough for the idle limits of load balancers and NAT on the way.
            ping: Duration::from_secs(30),
            ping_answer: Duration::from_secs(20),
            upstream_idle: Duration::from_secs(55),
        }
    }
}
