//! Idle upstream connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;

use crate::body::RequestBody;
use crate::clock::{Clock, Tick};
use crate::config::Config;

/// A connection to an endpoint, driven by a task of its own.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) link: Rc<Link>,
    pub(crate) endpoint: SocketAddr,
    /// It has carried a request before, so the endpoint may be about to close it.
    pub(crate) reused: bool,
}

/// What a connection's socket tells about the current request.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// At least one byte of an answer has arrived.
    pub(crate) answered: Cell<bool>,
}

/// Most recently used first: under light load few connections stay warm and the rest times out.
#[derive(Debug)]
pub(crate) struct Pool {
    clock: Rc<Clock>,
    idle: RefCell<ByEndpoint<VecDeque<Idle>>>,
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
    connection: Connection,
    since: Tick,
}

impl Pool {
    pub(crate) fn new(clock: Rc<Clock>, config: &Config) -> Self {
        Self {
            clock,
            idle: RefCell::default(),
            current: RefCell::default(),
            count: Cell::new(0),
            per_endpoint: config.limits.idle_per_endpoint,
            total: config.limits.idle_per_worker,
            keep: config.timeouts.upstream_idle,
        }
    }

    /// An idle connection to the endpoint that still looks alive.
    pub(crate) fn take(&self, endpoint: SocketAddr) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint)?;
        while let Some(Idle { connection, since }) = connections.pop_back() {
            self.count.set(self.count.get() - 1);
            if connection.sender.is_ready() && self.clock.now().since(since) < self.keep {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is complete on both sides. Anything else is closed.
    fn put(&self, mut connection: Connection) {
        if !connection.sender.is_ready() || self.per_endpoint == 0 || self.total == 0 {
            return;
        }
        if !self.current.borrow().contains_key(&connection.endpoint) {
            return;
        }
        connection.reused = true;
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(connection.endpoint).or_default();
        if connections.len() >= self.per_endpoint {
            connections.pop_front();
        } else if self.count.get() >= self.total {
            return;
        } else {
            self.count.set(self.count.get() + 1);
        }
        connections.push_back(Idle {
            connection,
            since: self.clock.now(),
        });
    }

    /// Closes what has been idle for too long, or was closed by its endpoint.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        let mut count = 0;
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(|idle| {
                !idle.connection.sender.is_closed() && now.since(idle.since) < self.keep
            });
            count += connections.len();
            !connections.is_empty()
        });
        self.count.set(count);
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
        if let Some(connections) = self.idle.borrow_mut().remove(&endpoint) {
            self.count.set(self.count.get() - connections.len());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }
}

/// The right to give a connection back when its response has been read.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Connection,
    pool: Rc<Pool>,
}

impl Lease {
    pub(crate) fn new(connection: Connection, pool: Rc<Pool>) -> Self {
        Self { connection, pool }
    }

    /// The response is complete. The connection is kept if the request is, too: hyper is only then
    /// ready for another one, and stays closed to us if either side asked for that.
    pub(crate) fn release(self) {
        self.pool.put(self.connection);
    }
}
