use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::timeout;

use super::pacer::pace;
use crate::ask::{self, Failure};
use crate::lab::Namespace;

/// GET requests at a fixed rate over kept connections.
///
/// A request's latency counts from when it was due, not from when a connection was free for it:
/// a server that stalls is charged for every request that would have come meanwhile.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    /// Where to connect to.
    pub server: SocketAddr,
    /// The Host header.
    pub host: String,
    /// The path, with the query if any.
    pub path: String,
    /// Requests per second, above 0.
    pub rate: f64,
    /// For how long requests become due.
    pub duration: Duration,
    /// The most connections at the same time, above 0.
    pub connections: usize,
}

/// What came of an open loop.
#[derive(Clone, Debug)]
pub struct LatencyReport {
    /// Latencies of all requests that were answered, in microseconds.
    pub latency: Histogram<u64>,
    /// Responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a response, by failure.
    pub failures: BTreeMap<Failure, u64>,
    /// The latest that this client itself came to a request, which its latency includes. If this
    /// is not far below the latencies of interest, the client is what was measured.
    pub lag: Duration,
    /// From the first request to the last response.
    pub elapsed: Duration,
}

type Sender = SendRequest<Empty<Bytes>>;

/// Shared by the tasks of one thread, one task per connection in use.
struct Shared {
    plan: OpenLoop,
    state: RefCell<State>,
}

struct State {
    idle: Vec<Sender>,
    /// When requests were due for which no connection was free yet.
    waiting: VecDeque<Instant>,
    /// Connections in use.
    busy: usize,
    report: LatencyReport,
}

impl OpenLoop {
    /// Runs it inside a namespace and waits until every request was answered or failed.
    ///
    /// # Errors
    ///
    /// When the plan makes no sense or cannot be carried out on this machine. Failed requests are
    /// in the report.
    pub fn run(&self, namespace: &Namespace) -> Result<LatencyReport> {
        ensure!(
            self.rate > 0.0 && self.connections > 0,
            "a rate and connections above 0 are needed"
        );
        self.request()
            .context("the host or the path is malformed")?;
        namespace.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            LocalSet::new().block_on(&runtime, self.drive())
        })
    }

    async fn drive(&self) -> Result<LatencyReport> {
        let shared = Rc::new(Shared {
            plan: self.clone(),
            state: RefCell::new(State::new()?),
        });
        let total = (self.rate * self.duration.as_secs_f64()) as u64;
        let start = Instant::now();
        let mut due = pace(self.rate, total).context("cannot start a thread")?;
        let mut tasks = JoinSet::new();
        while let Some(due) = due.recv().await {
            if shared.arrive(due) {
                let shared = Rc::clone(&shared);
                tasks.spawn_local(async move { shared.work(due).await });
            }
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
        let mut state = shared.state.borrow_mut();
        state.report.elapsed = start.elapsed();
        Ok(state.report.clone())
    }

    fn request(&self) -> http::Result<Request<Empty<Bytes>>> {
        Request::get(&self.path)
            .header(header::HOST, &self.host)
            .body(Empty::new())
    }
}

impl Shared {
    /// Notes a request that is due; returns whether a connection may be used for it now.
    fn arrive(&self, due: Instant) -> bool {
        let mut state = self.state.borrow_mut();
        state.report.lag = state.report.lag.max(due.elapsed());
        let free = state.busy < self.plan.connections;
        if free {
            state.busy += 1;
        } else {
            state.waiting.push_back(due);
        }
        free
    }

    /// Sends a request, and then those that have been waiting, on one connection.
    async fn work(&self, mut due: Instant) {
        let mut connection = self.state.borrow_mut().idle.pop();
        loop {
            let exchanged = timeout(ask::PATIENCE, self.exchange(&mut connection)).await;
            let exchanged = exchanged.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if exchanged.is_err() {
                connection = None;
            }
            let mut state = self.state.borrow_mut();
            state.report.record(exchanged, due.elapsed());
            match state.waiting.pop_front() {
                Some(next) => due = next,
                None => {
                    state.busy -= 1;
                    state.idle.extend(connection);
                    return;
                }
            }
        }
    }

    /// Returns the status.
    async fn exchange(&self, connection: &mut Option<Sender>) -> io::Result<u16> {
        let request = || self.plan.request().map_err(io::Error::other);
        let reused = match connection {
            // It may have been closed while it was idle.
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !reused {
            *connection = Some(self.connect().await?);
        }
        let sender = connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let response = match sender.send_request(request()?).await {
            // It was closed before the request could be written.
            Err(error) if reused && error.is_canceled() => {
                let sender = connection.insert(self.connect().await?);
                sender.send_request(request()?).await
            }
            sent => sent,
        };
        let mut response = response.map_err(ask::plain)?;
        while let Some(frame) = response.body_mut().frame().await {
            frame.map_err(ask::plain)?;
        }
        Ok(response.status().as_u16())
    }

    async fn connect(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect(self.plan.server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(ask::plain)?;
        // Its errors reach the requests.
        spawn_local(connection);
        Ok(sender)
    }
}

impl State {
    fn new() -> Result<Self> {
        // A microsecond to a minute, with an error below 0.1 %.
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3);
        Ok(Self {
            idle: Vec::new(),
            waiting: VecDeque::new(),
            busy: 0,
            report: LatencyReport {
                latency: latency.context("no memory for a histogram")?,
                statuses: BTreeMap::new(),
                failures: BTreeMap::new(),
                lag: Duration::ZERO,
                elapsed: Duration::ZERO,
            },
        })
    }
}

impl LatencyReport {
    /// How many requests were answered, whatever the status.
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// How many requests got no answer.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The latency that so many percent of the answers did not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(percent / 100.0))
    }

    fn record(&mut self, exchanged: io::Result<u16>, latency: Duration) {
        match exchanged {
            Ok(status) => {
                *self.statuses.entry(status).or_default() += 1;
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                self.latency.saturating_record(micros);
            }
            Err(error) => *self.failures.entry(Failure::of(&error)).or_default() += 1,
        }
    }
}

impl fmt::Display for LatencyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {:?}, ", self.answered(), self.statuses)?;
        write!(f, "{} failed {:?}, latency", self.failed(), self.failures)?;
        for percent in [50.0, 90.0, 99.0, 99.9, 100.0] {
            write!(f, " p{percent} {:?}", self.percentile(percent))?;
        }
        write!(f, ", own lag {:?}, all {:?}", self.lag, self.elapsed)
    }
}
