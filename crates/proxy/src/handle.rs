use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fairway_router::Index;
use tokio::sync::{mpsc, watch};

use crate::access_log::{Reopen, Writer};
use crate::downstream::client_connections::ClientConnections;
use crate::listen::{Bound, ListeningSockets};
use crate::metrics::Metrics;
use crate::tls::TlsTable;
use crate::worker::{self, Command, Seed};

/// How long the log's reader may take for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The proxy's threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the proxy; check the access log's file and the limits of processes and open files"
)]
pub struct ServeError(#[from] io::Error);

impl Bound {
    /// Starts to serve. Each request is routed by what `routes` holds when it arrives, and each TLS
    /// handshake takes its certificate from what `tls` holds then; storing others there touches no open
    /// connection.
    pub fn serve(
        self,
        routes: Arc<ArcSwap<Index>>,
        tls: Arc<ArcSwap<TlsTable>>,
        metrics: Metrics,
    ) -> Result<Handle, ServeError> {
        let (commands, listen) = watch::channel(Command::Run);
        let (done, finished) = mpsc::channel(1);
        let log = Writer::start(&self.config.access_log, metrics.shard())?;
        let batches = log.as_ref().map(|log| log.sender.clone());
        let limit = self.config.limits.connections_per_client;
        let client_connections = limit.map(|limit| Arc::new(ClientConnections::new(limit)));
        let mut threads = Vec::new();
        let workers = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
        for (number, listeners) in self.listeners.into_iter().enumerate() {
            let seed = Seed {
                config: self.config.clone(),
                routes: routes.clone(),
                tls: tls.clone(),
                client_connections: client_connections.clone(),
                listeners,
                workers,
                shard: metrics.shard(),
                log: batches.clone(),
                commands: listen.clone(),
                done: done.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("traffic-{number}"))
                .spawn(move || worker::run(seed))?;
            threads.push(thread);
        }
        Ok(Handle {
            commands,
            finished,
            threads,
            log: log.map(|log| (log.thread, log.reopen)),
            sockets: self.sockets,
        })
    }
}

/// The running proxy. Dropped without a drain, it stops at once.
#[derive(Debug)]
pub struct Handle {
    commands: watch::Sender<Command>,
    finished: mpsc::Receiver<()>,
    threads: Vec<JoinHandle<()>>,
    log: Option<(JoinHandle<()>, Reopen)>,
    sockets: ListeningSockets,
}

impl Handle {
    /// What the proxy after this one can go on with, until this one drains.
    pub fn listening_sockets(&self) -> ListeningSockets {
        self.sockets.clone()
    }

    /// Opens the access log's file anew, where it is one: somebody has moved it away.
    pub fn reopen_access_log(&self) {
        if let Some((_, reopen)) = &self.log {
            reopen.ask();
        }
    }

    /// Stops accepting, lets running requests and tunnels finish, however long they take, and says
    /// `Connection: close` to clients meanwhile. Idle connections get two seconds for a last request.
    pub fn begin_drain(&self) {
        self.commands.send_if_modified(|command| {
            let begins = *command == Command::Run;
            if begins {
                *command = Command::Drain;
            }
            begins
        });
    }

    /// Cuts what a drain has left.
    pub fn cut(&self) {
        self.commands.send_replace(Command::Cut);
    }

    /// Waits until a drain has left nothing. Cancel safe.
    pub async fn drained(&mut self) {
        while self.finished.recv().await.is_some() {}
    }

    /// Drains, and cuts what is left after `grace`.
    pub async fn drain(mut self, grace: Duration) {
        self.begin_drain();
        if tokio::time::timeout(grace, self.drained()).await.is_err() {
            self.cut();
        }
        self.close().await;
    }

    /// Waits until nothing is left of a drain, and until the access log is complete.
    pub async fn close(mut self) {
        self.drained().await;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a traffic thread had panicked; please report what it printed");
            }
        }
        let Some((log, reopen)) = self.log.take() else {
            return;
        };
        // It ends when nobody can ask for anything any more.
        drop(reopen);
        let deadline = Instant::now() + LAST_LINES;
        while !log.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
