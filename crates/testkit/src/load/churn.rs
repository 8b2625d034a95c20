use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::retransmissions_here;
use crate::ask::{AskError, Failure, PATIENCE, PortTurns, Reply};
use crate::lab::Namespace;

/// Short conversations with line servers, each on a connection (or socket) of its own.
#[derive(Clone, Debug)]
pub struct Churn {
    servers: Vec<SocketAddr>,
    transport: Transport,
    conversations: u64,
    concurrency: u64,
    per_second: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Udp,
}

/// A churn under way. It stops early when this is dropped.
#[derive(Debug)]
pub struct Churning {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<io::Result<u64>>>,
    start: Instant,
    per_second: Option<u32>,
}

/// What came of a churn.
#[derive(Clone, Debug, Default)]
pub struct ChurnReport {
    /// Conversations that succeeded, by the pod that answered.
    pub by_pod: BTreeMap<String, u64>,
    /// Conversations that failed, by how.
    pub failures: BTreeMap<Failure, u64>,
    /// The first failure, whole.
    pub first_failure: Option<String>,
    /// TCP segments that had to be sent again; they may have been of other connections of the
    /// same namespace too.
    pub retransmissions: u64,
    /// The longest conversation that succeeded.
    pub slowest: Duration,
    /// How long it all took.
    pub elapsed: Duration,
    /// With a rate: how many had become due when the end was decided, by the clock alone.
    pub due: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    progress: Condvar,
    waiting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// How many have begun.
    begun: u64,
    /// How many shall have begun at the end.
    wanted: u64,
    done: u64,
    report: ChurnReport,
}

impl Churn {
    /// Over TCP; several servers take turns.
    pub fn tcp(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::new(servers, Transport::Tcp)
    }

    /// Over UDP; several servers take turns. Nothing is sent twice, so what is lost has failed.
    pub fn udp(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::new(servers, Transport::Udp)
    }

    fn new(servers: impl IntoIterator<Item = SocketAddr>, transport: Transport) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            transport,
            conversations: u64::MAX,
            concurrency: 8,
            per_second: None,
        }
    }

    /// How many; without it, until [`Churning::stop`].
    pub fn conversations(mut self, number: u64) -> Self {
        self.conversations = number;
        self
    }

    /// How many at the same time; 8 unless told otherwise.
    pub fn concurrency(mut self, number: u64) -> Self {
        self.concurrency = number;
        self
    }

    /// So many become due every second, whether or not those before have ended. None is left out: those that find no
    /// room beside the others under way are made as soon as there is, also after [`Churning::stop`].
    pub fn per_second(mut self, number: u32) -> Self {
        self.per_second = Some(number);
        self
    }

    /// Starts it on a thread of its own inside a namespace.
    pub fn start(self, namespace: &Namespace) -> Churning {
        let shared = Arc::new(Shared::default());
        shared.lock().wanted = self.conversations;
        let here = Arc::clone(&shared);
        let start = Instant::now();
        let per_second = self.per_second;
        let client = namespace.clone();
        let thread = namespace.thread(move || {
            let before = retransmissions_here()?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let workers =
                (0..self.concurrency).map(|_| self.converse(&here, client.port_turns(), start));
            runtime.block_on(join_all(workers));
            Ok(retransmissions_here()? - before)
        });
        Churning {
            shared,
            thread: Some(thread),
            start,
            per_second,
        }
    }

    /// Runs it to its end inside a namespace.
    ///
    /// # Errors
    ///
    /// See [`Churning::finish`].
    pub fn run(self, namespace: &Namespace) -> Result<ChurnReport> {
        self.start(namespace).finish()
    }

    /// The next turn, once it is due.
    async fn turn(&self, shared: &Shared, started: Instant) -> Option<u64> {
        let Some(rate) = self.per_second else {
            return shared.begin();
        };
        // One of those that are free waits for the time, the others for that one.
        let _first = shared.waiting.lock().await;
        let turn = shared.begin()?;
        let due = started + Duration::from_secs(turn) / rate;
        tokio::time::sleep_until(due.into()).await;
        shared.wants(turn).then_some(turn)
    }

    async fn converse(&self, shared: &Shared, ports: &PortTurns, started: Instant) {
        while let Some(turn) = self.turn(shared, started).await {
            let Some(server) = self.servers.get(turn as usize % self.servers.len().max(1)) else {
                return;
            };
            let socket = match self.transport {
                Transport::Tcp => None,
                Transport::Udp => Some(ports.fresh_udp(*server).await),
            };
            let start = Instant::now();
            let asked = timeout(PATIENCE, async {
                match socket {
                    None => ask_tcp(*server).await,
                    Some(socket) => ask_udp(socket?).await,
                }
            });
            let line = asked
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let reply = line
                .map_err(|error| AskError::new(*server, error))
                .and_then(|line| Reply::parse(&line, *server));
            shared.end(reply, start.elapsed());
        }
    }
}

impl Churning {
    /// How many conversations have ended.
    pub fn done(&self) -> u64 {
        self.shared.lock().done
    }

    /// Waits until so many conversations have ended, counted from the start.
    ///
    /// # Errors
    ///
    /// When it takes longer than the time given; the message has what happened so far.
    pub fn wait_until(&self, done: u64, within: Duration) -> Result<()> {
        let state = self.shared.lock();
        let early = |state: &mut State| state.done < done;
        let waited = self
            .shared
            .progress
            .wait_timeout_while(state, within, early);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let State { done, report, .. } = &*state;
            bail!("only {done} conversations within {within:?}: {report}");
        }
        Ok(())
    }

    /// Waits until so many more conversations have ended than now: enough to notice a change
    /// that was made before the call.
    ///
    /// # Errors
    ///
    /// As [`wait_until`](Self::wait_until).
    pub fn wait_for_more(&self, more: u64, within: Duration) -> Result<()> {
        self.wait_until(self.done() + more, within)
    }

    /// Begins no further conversation (with a rate, but those that are due by now), waits for those under way, and
    /// reports.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn stop(self) -> Result<ChurnReport> {
        let due = self.per_second.map(|rate| due(self.start, rate));
        {
            let mut state = self.shared.lock();
            state.wanted = due.unwrap_or(0).min(state.wanted);
            state.report.due = due;
        }
        self.finish()
    }

    /// Waits until all conversations have ended, and reports.
    ///
    /// # Errors
    ///
    /// When the load itself could not be made. Failed conversations are in the report.
    pub fn finish(mut self) -> Result<ChurnReport> {
        let thread = self.thread.take().ok_or_else(|| anyhow!("it has ended"))?;
        let ended = thread.join().map_err(|_| anyhow!("the churn panicked"))?;
        let mut report = self.shared.lock().report.clone();
        report.retransmissions = ended?;
        report.elapsed = self.start.elapsed();
        Ok(report)
    }
}

impl Drop for Churning {
    fn drop(&mut self) {
        self.shared.lock().wanted = 0;
    }
}

impl ChurnReport {
    /// How many conversations succeeded.
    pub fn succeeded(&self) -> u64 {
        self.by_pod.values().sum()
    }

    /// How many conversations failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

impl fmt::Display for ChurnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} succeeded {:?}, ", self.succeeded(), self.by_pod)?;
        write!(f, "{} failed {:?}", self.failed(), self.failures)?;
        if let Some(failure) = &self.first_failure {
            write!(f, " (first {failure})")?;
        }
        write!(f, ", {} retransmissions", self.retransmissions)?;
        write!(f, ", slowest {:?}, all {:?}", self.slowest, self.elapsed)
    }
}

impl Shared {
    /// Takes a turn, and its number, from 0.
    fn begin(&self) -> Option<u64> {
        let mut state = self.lock();
        let turn = state.begun;
        (turn < state.wanted).then(|| {
            state.begun += 1;
            turn
        })
    }

    /// Whether this turn is still to be made: none that was not due when the end was decided.
    fn wants(&self, turn: u64) -> bool {
        turn < self.lock().wanted
    }

    fn end(&self, reply: Result<Reply, AskError>, took: Duration) {
        let mut state = self.lock();
        state.done += 1;
        let report = &mut state.report;
        match reply {
            Ok(reply) => {
                *report.by_pod.entry(reply.pod).or_default() += 1;
                report.slowest = report.slowest.max(took);
            }
            Err(error) => {
                *report.failures.entry(error.failure()).or_default() += 1;
                report
                    .first_failure
                    .get_or_insert_with(|| format!("{:#}", anyhow::Error::from(error)));
            }
        }
        self.progress.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many have become due by now, the first at the start.
fn due(start: Instant, per_second: u32) -> u64 {
    let passed = start.elapsed() * per_second;
    passed.as_secs() + 1
}

async fn ask_tcp(server: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"who\n").await?;
    let mut line = Vec::with_capacity(128);
    while line.last() != Some(&b'\n') {
        if stream.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

async fn ask_udp(socket: UdpSocket) -> io::Result<String> {
    socket.send(b"who\n").await?;
    let mut line = Vec::with_capacity(512);
    socket.recv_buf(&mut line).await?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}
