use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::retransmissions_here;
use crate::ask::{AskError, Failure, PATIENCE, Reply};
use crate::lab::Namespace;

/// Short conversations with line servers, each on a connection (or socket) of its own.
#[derive(Clone, Debug)]
pub struct Churn {
    servers: Vec<SocketAddr>,
    transport: Transport,
    conversations: u64,
    concurrency: u64,
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
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Conversations not yet begun.
    left: u64,
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

    /// Starts it on a thread of its own inside a namespace.
    pub fn start(self, namespace: &Namespace) -> Churning {
        let shared = Arc::new(Shared::default());
        shared.lock().left = self.conversations;
        let here = Arc::clone(&shared);
        let thread = namespace.thread(move || {
            let before = retransmissions_here()?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let workers = (0..self.concurrency).map(|_| self.converse(&here));
            runtime.block_on(join_all(workers));
            Ok(retransmissions_here()? - before)
        });
        Churning {
            shared,
            thread: Some(thread),
            start: Instant::now(),
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

    async fn converse(&self, shared: &Shared) {
        while let Some(turn) = shared.begin() {
            let Some(server) = self.servers.get(turn % self.servers.len().max(1)) else {
                return;
            };
            let start = Instant::now();
            let asked = timeout(PATIENCE, async {
                match self.transport {
                    Transport::Tcp => ask_tcp(*server).await,
                    Transport::Udp => ask_udp(*server).await,
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

    /// Begins no further conversation, waits for those under way, and reports.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn stop(self) -> Result<ChurnReport> {
        self.shared.lock().left = 0;
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
        self.shared.lock().left = 0;
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
    /// Takes a turn, and its number.
    fn begin(&self) -> Option<usize> {
        let mut state = self.lock();
        state.left = state.left.checked_sub(1)?;
        // Only its remainder matters.
        Some(state.left as usize)
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

async fn ask_udp(server: SocketAddr) -> io::Result<String> {
    // It does not matter who answers, so any port is as good.
    let any = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(b"who\n").await?;
    let mut line = Vec::with_capacity(512);
    socket.recv_buf(&mut line).await?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}
