//! Upstream connections of one worker that take another request.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::connect::Dialer;
use super::connection::Connection;
use super::multiplexed::{MultiplexedPool, Turn};
use super::transport::Transport;
use crate::clock::{Clock, Tick};
use crate::config::{Config, Protocol};

/// Idle for so long, a connection gives back the buffer of its last large body.
const REST: Duration = Duration::from_secs(1);

/// Most recently used first: under light load few connections stay warm and the rest times out.
#[derive(Debug)]
pub(crate) struct Pool {
    clock: Rc<Clock>,
    idle: RefCell<ByEndpoint<VecDeque<Idle>>>,
    multiplexed: Rc<MultiplexedPool>,
    /// The endpoints there are, and how many upstreams each belongs to. A connection that is busy when
    /// its endpoint goes comes back to find it gone.
    current: RefCell<ByEndpoint<usize>>,
    count: Cell<usize>,
    per_endpoint: usize,
    total: usize,
    keep: Duration,
}

type ByEndpoint<T> = HashMap<SocketAddr, T, foldhash::fast::RandomState>;

#[derive(Debug)]
struct Idle {
    /// None when it has something to do again.
    connection: Option<Connection>,
    since: Tick,
    /// Then its endpoint may close it.
    until: Tick,
}

impl Idle {
    fn is(&self, wanted: &Transport) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|it| it.transport == *wanted)
    }

    fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_idle)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.say_goodbye();
        }
    }
}

impl Pool {
    pub(crate) fn new(clock: Rc<Clock>, config: &Config) -> Self {
        Self {
            idle: RefCell::default(),
            multiplexed: Rc::new(MultiplexedPool::new(
                clock.clone(),
                config.timeouts.upstream_idle,
            )),
            current: RefCell::default(),
            count: Cell::new(0),
            per_endpoint: config.limits.idle_per_endpoint,
            total: config.limits.idle_per_worker,
            keep: config.timeouts.upstream_idle,
            clock,
        }
    }

    /// A connection to the endpoint that still looks alive and has nothing to do, or room.
    pub(crate) fn take(&self, endpoint: SocketAddr, transport: &Transport) -> Option<Connection> {
        if transport.protocol == Protocol::Http2 {
            return self.multiplexed.take(endpoint, transport);
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint)?;
        // Nearly always the last one: few endpoints are spoken to in several ways.
        while let Some(at) = connections.iter().rposition(|idle| idle.is(transport)) {
            let mut idle = connections.remove(at)?;
            self.count.set(self.count.get() - 1);
            if idle.is_open() && self.clock.now() < idle.until {
                return idle.connection.take();
            }
        }
        None
    }

    /// Opens a connection to the endpoint, or waits for one that somebody else is just opening.
    pub(crate) async fn open(
        &self,
        dialer: &Dialer,
        endpoint: SocketAddr,
        transport: &Transport,
    ) -> io::Result<Connection> {
        if transport.protocol == Protocol::Http1 {
            return dialer.open(endpoint, transport).await;
        }
        loop {
            if let Some(connection) = self.multiplexed.take(endpoint, transport) {
                return Ok(connection);
            }
            match self.multiplexed.turn(endpoint, transport) {
                Turn::Theirs(over) => over.notified().await,
                Turn::Ours(_guard) => {
                    let opened = dialer.open_multiplexed(endpoint, transport).await?;
                    let opened = Rc::new(opened);
                    if self.current.borrow().contains_key(&endpoint) {
                        self.multiplexed.add(opened.clone());
                    }
                    return Ok(self.multiplexed.share(&opened));
                }
            }
        }
    }

    /// Keeps a connection whose exchange is complete on both sides.
    pub(super) fn put(&self, mut connection: Connection) {
        connection.reused = true;
        let endpoint = connection.endpoint;
        let patience = connection.patience();
        let keep = patience.map_or(self.keep, |it| it.min(self.keep));
        let now = self.clock.now();
        let kept = Idle {
            connection: Some(connection),
            since: now,
            until: now.after(keep),
        };
        if self.per_endpoint == 0 || self.total == 0 {
            return;
        }
        if !self.current.borrow().contains_key(&endpoint) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(endpoint).or_default();
        if connections.len() >= self.per_endpoint {
            connections.pop_front();
        } else if self.count.get() >= self.total {
            return;
        } else {
            self.count.set(self.count.get() + 1);
        }
        connections.push_back(kept);
    }

    /// Closes what has been idle for too long, or was closed by its endpoint.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        let mut count = 0;
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain_mut(|idle| {
                if now.since(idle.since) >= REST
                    && let Some(connection) = &mut idle.connection
                {
                    connection.rest();
                }
                idle.is_open() && now < idle.until
            });
            count += connections.len();
            !connections.is_empty()
        });
        self.count.set(count);
        self.multiplexed.sweep();
    }

    /// An upstream has this endpoint from now on.
    pub(crate) fn add(&self, endpoint: SocketAddr) {
        *self.current.borrow_mut().entry(endpoint).or_default() += 1;
    }

    /// An upstream has this endpoint no more; its idle connections are closed if nobody else has it.
    pub(crate) fn remove(&self, endpoint: SocketAddr) {
        let mut current = self.current.borrow_mut();
        let Some(upstreams) = current.get_mut(&endpoint) else {
            return;
        };
        *upstreams -= 1;
        if *upstreams > 0 {
            return;
        }
        current.remove(&endpoint);
        self.multiplexed.remove(endpoint);
        if let Some(connections) = self.idle.borrow_mut().remove(&endpoint) {
            self.count.set(self.count.get() - connections.len());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0 && self.multiplexed.is_empty()
    }
}
