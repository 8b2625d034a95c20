//! A traffic thread: one runtime, one listener per address, and everything a request needs, unshared.

mod accept;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairway_router::Index;
use http::HeaderValue;
use hyper::server;
use tokio::net::TcpListener;
use tokio::runtime::{self, LocalOptions, LocalRuntime};
use tokio::sync::{Notify, mpsc, watch};

use crate::access_log::{AccessLog, Batch};
use crate::clock::{Clock, Tick};
use crate::config::{Config, Hsts, Timeouts};
use crate::deadline::{Deadlines, SWEEP};
use crate::downstream::client_connections::ClientConnections;
use crate::listen::Listener;
use crate::metrics::{RouteLabels, RouteSeries, Shard};
use crate::random::Random;
use crate::route_state::RouteStates;
use crate::tls::TlsTable;
use crate::trace::Trace;
use crate::upstream::balance::Balancer;
use crate::upstream::client_tls::ClientTlsCache;
use crate::upstream::connect::Dialer;
use crate::upstream::group::Tools;
use crate::upstream::pool::Pool;

/// One connection of so many is closed at each sweep while too much memory is in use, if it is idle: all
/// within some seconds, and the oldest first.
const SHED_SHARE: usize = 16;

/// How often one worker complains about it.
const COMPLAINT: Duration = Duration::from_secs(10);

/// What the workers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Run,
    /// Stop accepting, end connections in an orderly way.
    Drain,
    /// Cut what is left.
    Cut,
}

/// What a worker is made from; this part crosses the thread boundary.
pub(crate) struct Seed {
    pub(crate) config: Arc<Config>,
    pub(crate) routes: Arc<ArcSwap<Index>>,
    pub(crate) tls: Arc<ArcSwap<TlsTable>>,
    pub(crate) client_connections: Option<Arc<ClientConnections>>,
    pub(crate) listeners: Vec<Listener>,
    /// How many there are.
    pub(crate) workers: u32,
    pub(crate) shard: Arc<Shard>,
    pub(crate) log: Option<SyncSender<Batch>>,
    pub(crate) commands: watch::Receiver<Command>,
    /// Dropped when the worker is done.
    pub(crate) done: mpsc::Sender<()>,
}

/// The state of one worker. Nothing in it is shared with another core, except routes and certificates.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) routes: Arc<ArcSwap<Index>>,
    pub(crate) tls: Arc<ArcSwap<TlsTable>>,
    /// Shared by the workers, where clients have a limit.
    pub(crate) client_connections: Option<Arc<ClientConnections>>,
    pub(crate) timeouts: Rc<Timeouts>,
    pub(crate) clock: Rc<Clock>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) random: Rc<Random>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) balancer: Balancer,
    pub(crate) route_states: RouteStates,
    pub(crate) shard: Arc<Shard>,
    /// Counts requests that met no route.
    pub(crate) unrouted: Arc<RouteSeries>,
    pub(crate) log: AccessLog,
    /// What browsers are told of hosts that have a certificate.
    pub(crate) strict_transport_security: Option<HeaderValue>,
    pub(crate) to_client: server::conn::http1::Builder,
    pub(crate) dialer: Dialer,
    pub(crate) client_tls: ClientTlsCache,
    /// Requests under way.
    pub(crate) requests: Cell<usize>,
    /// More memory is in use than may be.
    memory_exceeded: Cell<bool>,
    draining: Cell<Option<Tick>>,
    /// The drain is over, and with it what is left.
    cut: Cell<bool>,
    connections: Cell<usize>,
    /// When it was last said that connections cannot be accepted.
    complained: Cell<Option<Tick>>,
    /// A connection came or went.
    changed: Notify,
}

/// The runtime that [`run`] needs, built where an error can still be reported.
pub(crate) fn runtime() -> io::Result<LocalRuntime> {
    runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
}

/// Runs a worker until it has drained.
pub(crate) fn run(seed: Seed) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start a traffic thread; check the limit of open files");
            return;
        }
    };
    let done = seed.done.clone();
    let worker = runtime.block_on(work(seed));
    // Cuts whatever is still open; each cut request writes its line.
    drop(runtime);
    worker.log.flush();
    drop(worker);
    drop(done);
}

async fn work(seed: Seed) -> Rc<Worker> {
    let mut commands = seed.commands.clone();
    let (worker, listeners) = Worker::new(seed);
    tokio::task::spawn_local(worker.clone().keep_house());
    let accepting: Vec<_> = listeners
        .into_iter()
        .filter_map(|listener| {
            let socket = listener.socket.try_clone().and_then(TcpListener::from_std);
            let socket = socket.inspect_err(|error| {
                tracing::error!(%error, "cannot watch a listener; check the limit of open files");
            });
            Some(tokio::task::spawn_local(
                worker.clone().accept(socket.ok()?, listener),
            ))
        })
        .collect();

    // Here and below, a handle that was dropped cannot say anything any more: all is cut.
    let _ = commands.wait_for(|command| *command != Command::Run).await;
    worker.begin_drain();
    for task in accepting {
        let _ = task.await;
    }
    let all_closed = async {
        while worker.connections.get() > 0 {
            worker.changed.notified().await;
        }
    };
    tokio::select! {
        biased;
        () = all_closed => {}
        _ = commands.wait_for(|command| *command == Command::Cut) => {
            worker.cut.set(true);
            let left = worker.connections.get();
            tracing::info!(left, "cutting the connections that outlived the drain");
        }
    }
    worker
}

impl Worker {
    fn new(seed: Seed) -> (Rc<Self>, Vec<Listener>) {
        let config = seed.config;
        let clock = Rc::new(Clock::new());
        let random = Rc::new(Random::new());
        let pool = Rc::new(Pool::new(clock.clone(), &config));
        let mut to_client = server::conn::http1::Builder::new();
        to_client
            .max_header_size(config.limits.head_bytes)
            .max_buf_size(config.limits.head_bytes);
        let worker = Self {
            routes: seed.routes,
            tls: seed.tls,
            client_connections: seed.client_connections,
            deadlines: Rc::default(),
            balancer: Balancer::new(Tools {
                clock: clock.clone(),
                random: random.clone(),
                pool: pool.clone(),
                shard: seed.shard.clone(),
                workers: seed.workers,
            }),
            route_states: RouteStates::new(clock.clone(), seed.shard.clone()),
            unrouted: seed.shard.route(RouteLabels::default()),
            log: AccessLog::new(seed.log, config.log_format.clone(), seed.shard.clone()),
            shard: seed.shard,
            strict_transport_security: config.hsts.map(Hsts::header),
            to_client,
            dialer: Dialer::new(&config),
            client_tls: ClientTlsCache::new(),
            timeouts: Rc::new(config.timeouts.clone()),
            config,
            clock,
            random,
            pool,
            requests: Cell::new(0),
            memory_exceeded: Cell::new(false),
            draining: Cell::new(None),
            cut: Cell::new(false),
            complained: Cell::new(None),
            connections: Cell::new(0),
            changed: Notify::new(),
        };
        (Rc::new(worker), seed.listeners)
    }

    /// Whether anybody wants the request's span.
    pub(crate) fn records(&self, trace: &Trace) -> bool {
        trace.is_ours && trace.context.sampled && self.config.tracing.spans.is_some()
    }

    /// Since when the worker drains.
    pub(crate) fn draining(&self) -> Option<Tick> {
        self.draining.get()
    }

    /// Whether what ends now ends because the drain is over.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Whether a request, already counted, is one too many for the memory that is left.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        let memory = self.config.memory.as_ref();
        self.memory_exceeded.get()
            && memory.is_some_and(|memory| self.requests.get() > memory.requests_in_any_case)
    }

    /// Whether a connection, already counted, is one too many for it.
    pub(crate) fn is_short_of_memory_to_connect(&self) -> bool {
        let memory = self.config.memory.as_ref();
        self.memory_exceeded.get()
            && memory.is_some_and(|memory| self.connections.get() > memory.requests_in_any_case)
    }

    /// Looks how much memory is in use; where that is too much, idle connections go first.
    fn watch_memory(&self) {
        let Some(memory) = &self.config.memory else {
            return;
        };
        let exceeded = memory.is_exceeded();
        if exceeded {
            self.shed(self.connections.get().div_ceil(SHED_SHARE));
        }
        if exceeded && !self.memory_exceeded.replace(exceeded) && self.may_complain() {
            let limit = memory.bytes;
            tracing::warn!(
                limit,
                "too much memory is in use; closing idle connections and refusing requests"
            );
        }
        self.memory_exceeded.set(exceeded);
    }

    fn shed(&self, count: usize) {
        let shed = self.deadlines.shed(count);
        self.shard.shed_connections.add(shed as u64);
    }

    /// Whether the last complaint was long enough ago.
    fn may_complain(&self) -> bool {
        let now = self.clock.now();
        let due = |last: Tick| now.since(last) >= COMPLAINT;
        let may = self.complained.get().is_none_or(due);
        if may {
            self.complained.set(Some(now));
        }
        may
    }

    fn begin_drain(&self) {
        self.clock.refresh();
        self.draining.set(Some(self.clock.now()));
        self.deadlines.wake_all();
        self.changed.notify_waiters();
    }

    /// What has to happen regularly. Sleeps while there is nothing to look after.
    async fn keep_house(self: Rc<Self>) {
        let mut interval = tokio::time::interval(SWEEP);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in 0_u64.. {
            if self.deadlines.is_empty() && self.pool.is_empty() && self.log.is_empty() {
                self.changed.notified().await;
                interval.reset();
            }
            interval.tick().await;
            self.clock.refresh();
            self.watch_memory();
            self.deadlines.sweep(self.clock.now());
            if round % 4 == 0 {
                self.log.flush();
                self.balancer.sweep();
                self.pool.sweep();
                self.route_states.sweep();
                self.client_tls.sweep();
            }
        }
    }
}
