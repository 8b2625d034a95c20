use std::fmt;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use crate::access_log::LogFormat;
use crate::memory::MemoryWatermark;
use crate::trace::Tracing;

/// What the proxy is told at start. Everything about a single route comes from the route itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses for clear-text HTTP. `[::]` serves IPv4 as well. Port 0 picks one.
    pub http: Vec<SocketAddr>,
    /// Whether clear-text listeners also take HTTP/2 from clients that begin with it (prior knowledge).
    pub h2c: bool,
    /// Addresses for HTTPS.
    pub https: Vec<SocketAddr>,
    /// What browsers are told over HTTPS of hosts that have a certificate of their own; None for nothing.
    pub hsts: Option<Hsts>,
    /// Traffic threads; 0 means one per core that this process may use.
    pub workers: usize,
    /// Peers whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Addresses on which the proxy before this one still listens, maybe in another process.
    pub taken_over: Vec<SocketAddr>,
    /// What of these peers begin connections with a header of the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// How its lines are written.
    pub log_format: LogFormat,
    /// What happens to traces.
    pub tracing: Tracing,
    /// Sizes and counts.
    pub limits: Limits,
    /// How much memory may be in use before requests are refused; None for no such limit.
    pub memory: Option<MemoryWatermark>,
    /// Times towards clients and of idle upstream connections; routes set the other upstream times.
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))],
            h2c: false,
            https: Vec::new(),
            hsts: Some(Hsts::default()),
            workers: 0,
            trusted_proxies: Vec::new(),
            taken_over: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            access_log: AccessLog::Stdout,
            log_format: LogFormat::default(),
            tracing: Tracing::default(),
            limits: Limits::default(),
            memory: None,
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

/// Whether connections begin with a header of the PROXY protocol (versions 1 and 2), on all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None does: a header is bytes like others, which are no HTTP and no TLS.
    #[default]
    Off,
    /// Those of trusted proxies may. Everybody else speaks for itself, as pods do that reach the load
    /// balancer's address on a short way.
    Optional,
    /// All do, and come from trusted proxies.
    Required,
}

/// HTTP Strict Transport Security (RFC 6797): for how long browsers use a host by TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// From each response on, in whole seconds; 0 takes back what was said.
    pub max_age: Duration,
    /// Names below the host are meant too. Those may be other people's.
    pub include_subdomains: bool,
    /// Browsers may ship the host in their own list.
    pub preload: bool,
}

impl Default for Hsts {
    /// A year, as ingress-nginx, but for the host alone.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(365 * 24 * 60 * 60),
            include_subdomains: false,
            preload: false,
        }
    }
}

impl Hsts {
    pub(crate) fn header(self) -> HeaderValue {
        let mut text = format!("max-age={}", self.max_age.as_secs());
        if self.include_subdomains {
            text.push_str("; includeSubDomains");
        }
        if self.preload {
            text.push_str("; preload");
        }
        HeaderValue::try_from(text).expect("digits and letters are a header value")
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

impl Protocol {
    /// Its name in ALPN (RFC 7301).
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// Where one line per request goes.
#[derive(Clone, Default)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output, from a thread of its own.
    #[default]
    Stdout,
    /// A file, to which is added; from a thread of its own.
    File(PathBuf),
    /// Any writer, from a thread of its own.
    Writer(Arc<Mutex<dyn Write + Send>>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Stdout => "Stdout",
            Self::File(_) => "File",
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
    /// Client connections of one worker. For one more the connection is closed that has been idle for
    /// longest; without any it waits.
    pub connections_per_worker: usize,
    /// Client connections of one address (IPv6: of a /64), over all workers; further ones are closed. None
    /// for no limit. Trusted proxies that do not tell who is behind them have none.
    pub connections_per_client: Option<u32>,
    /// Requests that one worker may have under way at once; further ones are 503.
    pub requests_per_worker: usize,
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
            // Many clients may share an address, so a limit is for operators to choose.
            connections_per_client: None,
            // As many as connections, which only HTTP/2 can exceed: about 2 GiB at 32 KiB each.
            requests_per_worker: 65_536,
            // Two connections of HTTP/2 full of streams. Fewer than requests under way means that each burst opens
            // connections which the next moment closes.
            idle_per_endpoint: 256,
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
    /// For a PROXY protocol header, from the accepted connection on.
    pub proxy_header: Duration,
    /// For a TLS handshake, from the accepted connection on.
    pub handshake: Duration,
    /// Between requests of one connection. Longer than a load balancer's idle time (usually 60 s),
    /// so that the balancer never sends into a connection that is just being closed.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// Bytes a second that a request body has to bring for every second of waiting beyond the first
    /// [`body`](Self::body), so that a byte now and then is not enough; 0 for none. Calls of gRPC may be
    /// as slow as they like.
    pub body_rate: u32,
    /// In which a client accepts nothing of a response.
    pub write: Duration,
    /// Bytes a second that a client has to accept of a response for every second of waiting for it beyond
    /// the first [`write`](Self::write); 0 for none. Only time counts in which there is something to
    /// accept, so streams of events may be as quiet as they like.
    pub write_rate: u32,
    /// Silence of an HTTP/2 connection after which its other end is asked for a sign of life.
    pub ping: Duration,
    /// For that sign; without it the connection is closed.
    pub ping_answer: Duration,
    /// In which nothing moves on a connection whose TLS is passed through.
    pub passthrough: Duration,
    /// For which an idle upstream connection is kept, unless its endpoint says that it keeps it for less.
    /// Shorter than common server limits (60 s).
    pub upstream_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            proxy_header: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(60),
            // A kilobyte a minute, as a stream of small events has.
            body_rate: 16,
            write: Duration::from_secs(60),
            // Less than any modem still in use, and more than who reads to keep us busy cares for.
            write_rate: 128,
            // Often enough for the idle limits of load balancers and NAT on the way.
            ping: Duration::from_secs(30),
            ping_answer: Duration::from_secs(20),
            // nginx's `proxy_timeout` for streams.
            passthrough: Duration::from_secs(10 * 60),
            upstream_idle: Duration::from_secs(55),
        }
    }
}
