//! For benches: pieces of a request's way, without the sockets around them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_model::{BackendPort, HostPattern, ObjectName, ObjectRef, Port, RuleId};
use fairway_router::{Index, UpstreamKey};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use ipnet::IpNet;
use tokio::sync::{mpsc, watch};

use crate::LogFormat;
use crate::access_log::{AccessLog, Batch, Line, Request, Route, Writer, json_route};
use crate::config::Config;
use crate::forwarding::{self, Sender};
use crate::hop_by_hop;
use crate::listen::Bound;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::record::Attempt;
use crate::tls::TlsTable;
use crate::worker::{self, Command, Seed};

/// Rewrites the heads of requests from one peer as they are on their way to the upstream.
#[derive(Debug)]
pub struct HeaderRewriting {
    config: Config,
    sender: Sender,
    random: Random,
}

impl HeaderRewriting {
    /// A peer that speaks TLS, and the networks whose forwarding headers are believed.
    pub fn new(peer: IpAddr, trusted_proxies: Vec<IpNet>) -> Self {
        let config = Config {
            trusted_proxies,
            ..Config::default()
        };
        let sender = Sender {
            peer: HeaderValue::try_from(peer.to_string()).expect("an address is a header value"),
            trusted: config.trusts(peer),
            port: None,
            secure: true,
        };
        Self {
            config,
            sender,
            random: Random::new(),
        }
    }

    /// A request on its way to the upstream.
    pub fn request(&self, headers: &mut HeaderMap) {
        forwarding::rewrite(
            headers,
            &self.sender,
            |address| self.config.trusts(address),
            || self.random.request_id(),
        );
    }

    /// An upstream's response on its way to the client.
    pub fn response(&self, headers: &mut HeaderMap) {
        hop_by_hop::strip_response(headers);
    }
}

/// Writes lines of an access log about one request, answered by one endpoint at once.
#[derive(Debug)]
pub struct AccessLogLines {
    log: AccessLog,
    /// Full buffers. They are given back, as the writer does.
    written: Receiver<Batch>,
    request: (Method, Uri),
    request_headers: Vec<Option<HeaderValue>>,
    id: RuleId,
    host: HostPattern,
    upstream: UpstreamKey,
    logged: Box<[u8]>,
    attempt: Attempt,
}

impl AccessLogLines {
    /// Of a GET for this path and query.
    pub fn new(format: LogFormat, target: &'static str, headers: &HeaderMap) -> Self {
        let (sender, written) = sync_channel(1);
        let log = AccessLog::new(Some(sender), format, Metrics::default().shard());
        let wanted = log.wanted().map(|wanted| &wanted.request_headers[..]);
        let wanted = wanted.unwrap_or_default().iter();
        let request_headers = wanted.map(|name| headers.get(name).cloned()).collect();
        let shop = |name: &str| ObjectName::new("shop", name);
        let at = Duration::from_micros;
        let id = RuleId {
            object: ObjectRef {
                kind: "Ingress",
                name: shop("front"),
            },
            field: "spec.rules[0].http.paths[0]".into(),
        };
        let upstream = UpstreamKey {
            service: shop("web"),
            port: BackendPort::Number(Port::new(80).expect("not zero")),
        };
        Self {
            log,
            written,
            request: (Method::GET, Uri::from_static(target)),
            request_headers,
            logged: json_route(&id, Some(&upstream)),
            id,
            host: HostPattern::Exact("shop.example".into()),
            upstream,
            attempt: Attempt {
                endpoint: SocketAddr::from(([10, 128, 3, 17], 8080)),
                began: at(0),
                connected: None,
                answered: Some(at(1_410)),
                ended: Some(at(1_480)),
                status: Some(200),
            },
        }
    }

    /// Writes one.
    pub fn write(&self) {
        let (method, uri) = &self.request;
        self.log.write(&Line {
            client: b"192.0.2.17",
            request: Some(Request {
                method,
                uri,
                version: Version::HTTP_11,
            }),
            name: None,
            request_headers: &self.request_headers,
            response_headers: &[],
            cipher: None,
            secure: true,
            status: 200,
            request_head: 412,
            received: 0,
            response_head: 187,
            sent: 64,
            duration: Duration::from_micros(1_520),
            route: Some(Route {
                id: &self.id,
                host: &self.host,
                path: "/cart",
                upstream: Some(&self.upstream),
                json: &self.logged,
            }),
            attempts: std::slice::from_ref(&self.attempt),
            request_id: Some(b"0123456789abcdef0123456789abcdef"),
            trace_id: None,
            span_id: None,
            reason: None,
        });
        if let Ok(Batch {
            text,
            home: Some(home),
            ..
        }) = self.written.try_recv()
        {
            // There is room: nobody else returns buffers.
            let _ = home.try_send(text);
        }
    }
}

/// A worker that serves on the thread it is told to, so that what it does there can be counted.
#[expect(missing_debug_implementations, reason = "nobody looks at it")]
pub struct WorkerHere {
    seed: Seed,
    log: Option<Writer>,
}

/// Lets a [`WorkerHere`] end.
#[derive(Debug)]
pub struct Drain(watch::Sender<Command>);

impl WorkerHere {
    /// The only worker of `bound`, which must have been told to have one.
    pub fn new(bound: Bound, routes: Arc<Index>, tls: TlsTable) -> io::Result<(Self, Drain)> {
        let (commands, listen) = watch::channel(Command::Run);
        let (done, _) = mpsc::channel(1);
        let log = Writer::start(&bound.config.access_log, Metrics::default().shard())?;
        let seed = Seed {
            config: bound.config,
            routes: Arc::new(ArcSwap::from(routes)),
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            client_connections: None,
            listeners: bound.listeners.into_iter().flatten().collect(),
            workers: 1,
            shard: Metrics::default().shard(),
            log: log.as_ref().map(|log| log.sender.clone()),
            commands: listen,
            done,
        };
        Ok((Self { seed, log }, Drain(commands)))
    }

    /// Serves until it has drained.
    pub fn run(self) {
        worker::run(self.seed);
        drop(self.log);
    }
}

impl Drain {
    /// Stops accepting; connections may end.
    pub fn begin(&self) {
        self.0.send_replace(Command::Drain);
    }
}
