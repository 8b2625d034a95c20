//! Ten thousand clients that are slow in every way, beside healthy ones.
//!
//! They and the endpoint live in a process of their own, so that both ends of all these connections find
//! file descriptors.

#![allow(clippy::unwrap_used)] // clippy knows tests by #[test], not their helpers

#[path = "proxy/cluster.rs"]
#[allow(dead_code)]
mod cluster;

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fairway_proxy::{
    AccessLog, Config, Handle, Metrics, MetricsOptions, Timeouts, TlsSettings, TlsTable,
};
use fairway_proxy::{bind, self_signed};
use prometheus_client::registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};

/// Of clients: half of them are slow with their heads, a tenth reads slowly, and the others are slow with their
/// bodies. The last two kinds have a connection to the endpoint, too.
const CLIENTS: usize = 10_000;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Head,
    Body,
    Reader,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 10 {
            0 => Self::Reader,
            number if number % 2 == 1 => Self::Head,
            _ => Self::Body,
        }
    }
}

/// Files that both processes need for other things.
const OTHER_FILES: usize = 500;

/// Of somebody who is not slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until all clients are there, or gone: a few seconds, but more than a minute where eight other programs
/// keep both cores busy.
const ALL: Duration = Duration::from_secs(300);

/// What these may cost on average, in bytes: hyper's buffers, 16 KiB for most. A response that nobody reads
/// fills those of both connections, with some 250 KiB.
const EACH: u64 = 64 * 1024;

/// Of each limit for slowness.
const LIMIT: Duration = Duration::from_millis(1500);

struct Proxy {
    address: SocketAddr,
    registry: Registry,
    _handle: Handle,
}

impl Proxy {
    fn start(endpoint: SocketAddr) -> Self {
        let mut cluster = cluster::Cluster::default();
        cluster.service("web", &[endpoint]);
        cluster.route(None, "/", "web");
        let bound = bind(Config {
            http: vec!["127.0.0.1:0".parse().unwrap()],
            workers: 1,
            access_log: AccessLog::Off,
            timeouts: Timeouts {
                head: LIMIT,
                body: LIMIT,
                // More than what drips.
                body_rate: 1000,
                write: LIMIT,
                ..Timeouts::default()
            },
            ..Config::default()
        })
        .unwrap();
        let address = bound.local_addresses()[0];
        let routes = Arc::new(ArcSwap::from(cluster.index()));
        let tls = TlsTable::new(&TlsSettings::default(), Arc::new(self_signed().unwrap())).unwrap();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry, &MetricsOptions::default());
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        Self {
            address,
            _handle: bound.serve(routes, tls, metrics).unwrap(),
            registry,
        }
    }

    fn metric(&self, series: &str) -> usize {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = (text.lines()).find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    fn connections(&self) -> usize {
        self.metric("fairway_proxy_client_connections")
    }
}

#[test]
fn ten_thousand_slow_clients_cost_little_and_keep_nobody_else_waiting() {
    let clients = CLIENTS.min(files().saturating_sub(OTHER_FILES) / 3 * 2);
    let mut crowd = Crowd::start(clients);
    let proxy = Proxy::start(crowd.endpoint);
    let mut healthy = Healthy::connect(proxy.address);
    healthy.ask();
    let before = resident();

    crowd.tell(proxy.address);
    wait_for("all connections", || proxy.connections() > clients);
    healthy.ask();
    crowd.tell("begin");
    crowd.wait_for("begun");
    let mut most = 0;
    wait_for("the end of all that are slow", || {
        healthy.ask();
        Healthy::connect(proxy.address).ask();
        most = most.max(resident());
        proxy.connections() <= 2
    });
    let timeouts = "fairway_proxy_rejected_requests_total{reason=\"head_timeout\"}";
    assert_eq!(
        proxy.metric(timeouts),
        (0..clients)
            .filter(|it| Kind::of(*it) == Kind::Head)
            .count()
    );
    let each = most.saturating_sub(before) / clients as u64;
    assert!(each < EACH, "{each} bytes for each slow client");
}

/// A client that expects its answers soon.
struct Healthy(std::net::TcpStream);

impl Healthy {
    fn connect(address: SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn ask(&mut self) {
        self.0
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            let mut piece = [0; 1024];
            let count = self.0.read(&mut piece).unwrap();
            assert!(
                count > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&piece[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

/// The process of the slow clients and of the endpoint.
struct Crowd {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
    endpoint: SocketAddr,
}

const COUNT: &str = "SLOW_CLIENTS";

impl Crowd {
    fn start(clients: usize) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "the_crowd"])
            .env(COUNT, clients.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut crowd = Self {
            process,
            lines,
            endpoint: SocketAddr::from(([0; 4], 0)),
        };
        crowd.endpoint = crowd.wait_for("endpoint").parse().unwrap();
        crowd
    }

    fn tell(&mut self, what: impl std::fmt::Display) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    /// The rest of the line that begins so.
    fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "it ended before {beginning}"
            );
            if let Some(rest) = line.trim_end().strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "a process of its own, started by the test"]
fn the_crowd() {
    let Ok(clients) = env::var(COUNT) else {
        return;
    };
    files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(crowd(clients.parse().unwrap()));
}

async fn crowd(clients: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // On a line of its own: the test harness has begun one.
    println!("\nendpoint {}", listener.local_addr().unwrap());
    tokio::spawn(endpoint(listener));
    let (commands, mut begin) = watch::channel(false);
    let (address, proxy) = oneshot::channel::<SocketAddr>();
    // The runtime has the endpoint to run meanwhile.
    std::thread::spawn(move || {
        let mut input = BufReader::new(io::stdin()).lines();
        address
            .send(input.next().unwrap().unwrap().parse().unwrap())
            .unwrap();
        let told = input.next().is_some();
        commands.send_replace(told);
    });
    let proxy = proxy.await.unwrap();
    let connecting = Arc::new(Semaphore::new(256));
    let tasks: Vec<_> = (0..clients)
        .map(|number| {
            tokio::spawn(slow(
                Kind::of(number),
                proxy,
                connecting.clone(),
                begin.clone(),
            ))
        })
        .collect();
    begin.wait_for(|begin| *begin).await.unwrap();
    println!("begun");
    for task in tasks {
        task.await.unwrap();
    }
}

/// Answers what is small at once, sends what is large for as long as it is taken, and waits for bodies.
async fn endpoint(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = [0; 4096];
            while let Ok(1..) = stream.read(&mut head).await {
                let sent = match &head[..6] {
                    b"GET /l" => large(&mut stream).await,
                    b"POST /" => Ok(()),
                    _ => stream.write_all(SMALL).await,
                };
                if sent.is_err() {
                    return;
                }
            }
        });
    }
}

const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn large(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    loop {
        stream.write_all(&[b'x'; 16 * 1024]).await?;
    }
}

/// Sends a head, or a body, or reads a response, a byte now and then, until the other side has enough.
async fn slow(
    kind: Kind,
    proxy: SocketAddr,
    connecting: Arc<Semaphore>,
    mut begin: watch::Receiver<bool>,
) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = {
        let _turn = connecting.acquire().await.unwrap();
        socket.connect(proxy).await.unwrap()
    };
    begin.wait_for(|begin| *begin).await.unwrap();
    let first: &[u8] = match kind {
        Kind::Head => b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        Kind::Body => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
        Kind::Reader => b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    stream.write_all(first).await.unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let goes_on = match kind {
            Kind::Reader => stream.read_u8().await.is_ok(),
            // Until there is an answer, which is that it takes too long.
            Kind::Head | Kind::Body => {
                stream.try_read(&mut [0]).is_err() && stream.write_all(b"x").await.is_ok()
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// How many files this process may have open, which it may from now on.
fn files() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    maximum.map_or(usize::MAX, |maximum| maximum as usize)
}

/// Bytes in memory that are no pages of files.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + ALL;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
