//! HTTP/2 connections of one worker, each for many requests at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use tokio::sync::Notify;

use super::connection::{Connection, Sender};
use super::transport::Transport;
use crate::body::RequestBody;
use crate::clock::{Clock, Tick};

/// Requests at once on one connection, even where the endpoint allows more: further ones get another
/// connection, and with it another of the endpoint's threads. What most servers allow.
pub(super) const STREAMS: usize = 100;

/// A connection to an endpoint, driven by a task of its own.
#[derive(Debug)]
pub(crate) struct Multiplexed {
    pub(super) sender: http2::SendRequest<RequestBody>,
    pub(super) endpoint: SocketAddr,
    pub(super) transport: Transport,
    /// Streams that the endpoint allows, kept up to date by the connection's task.
    allowed: Rc<Cell<usize>>,
    active: Cell<usize>,
    used: Cell<bool>,
    idle_since: Cell<Tick>,
}

impl Multiplexed {
    pub(super) fn new(
        sender: http2::SendRequest<RequestBody>,
        endpoint: SocketAddr,
        transport: Transport,
        allowed: Rc<Cell<usize>>,
    ) -> Self {
        Self {
            sender,
            endpoint,
            transport,
            allowed,
            active: Cell::new(0),
            used: Cell::new(false),
            idle_since: Cell::new(Tick::NEVER),
        }
    }

    fn has_room(&self) -> bool {
        // One that allows none at all would have us open connections without end.
        let allowed = self.allowed.get().clamp(1, STREAMS);
        !self.sender.is_closed() && self.active.get() < allowed
    }
}

/// Room for one request on a connection.
#[derive(Debug)]
pub(crate) struct Share {
    connection: Rc<Multiplexed>,
    clock: Rc<Clock>,
}

impl Share {
    pub(super) fn try_send_request(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        self.connection.sender.clone().try_send_request(request)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.active.set(connection.active.get() - 1);
        connection.idle_since.set(self.clock.now());
    }
}

/// The connections of one worker.
#[derive(Debug)]
pub(crate) struct MultiplexedPool {
    clock: Rc<Clock>,
    keep: Duration,
    connections: RefCell<HashMap<SocketAddr, Vec<Rc<Multiplexed>>, foldhash::fast::RandomState>>,
    opening: RefCell<Vec<Opening>>,
}

/// A connection that somebody is just opening.
#[derive(Debug)]
struct Opening {
    endpoint: SocketAddr,
    transport: Transport,
    over: Rc<Notify>,
}

/// Who opens the next connection to an endpoint. One at a time: a burst of requests shares what the
/// first one opens.
pub(crate) enum Turn {
    /// The caller.
    Ours(OpeningGuard),
    /// Somebody else, who tells when it is there, or is not to be had.
    Theirs(Rc<Notify>),
}

impl MultiplexedPool {
    pub(super) fn new(clock: Rc<Clock>, keep: Duration) -> Self {
        Self {
            clock,
            keep,
            connections: RefCell::default(),
            opening: RefCell::default(),
        }
    }

    /// Room on a connection that is there.
    pub(super) fn take(&self, endpoint: SocketAddr, transport: &Transport) -> Option<Connection> {
        let connections = self.connections.borrow();
        let found = connections
            .get(&endpoint)?
            .iter()
            .find(|connection| connection.transport == *transport && connection.has_room())?;
        Some(self.share(found))
    }

    /// Room on a connection.
    pub(super) fn share(&self, connection: &Rc<Multiplexed>) -> Connection {
        connection.active.set(connection.active.get() + 1);
        Connection {
            endpoint: connection.endpoint,
            transport: connection.transport.clone(),
            reused: connection.used.replace(true),
            sender: Sender::Http2(Share {
                connection: connection.clone(),
                clock: self.clock.clone(),
            }),
        }
    }

    pub(super) fn add(&self, connection: Rc<Multiplexed>) {
        let mut connections = self.connections.borrow_mut();
        let connections = connections.entry(connection.endpoint).or_default();
        connections.push(connection);
    }

    pub(super) fn turn(self: &Rc<Self>, endpoint: SocketAddr, transport: &Transport) -> Turn {
        let mut opening = self.opening.borrow_mut();
        let other = opening
            .iter()
            .find(|other| other.endpoint == endpoint && other.transport == *transport);
        if let Some(other) = other {
            return Turn::Theirs(other.over.clone());
        }
        let over = Rc::new(Notify::new());
        opening.push(Opening {
            endpoint,
            transport: transport.clone(),
            over: over.clone(),
        });
        Turn::Ours(OpeningGuard {
            pool: self.clone(),
            over,
        })
    }

    /// Closes what nobody has used for long, and forgets what was closed.
    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        self.connections.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| {
                let is_idle = connection.active.get() == 0
                    && now.since(connection.idle_since.get()) >= self.keep;
                !connection.sender.is_closed() && !is_idle
            });
            !connections.is_empty()
        });
    }

    /// Gives the endpoint no further request. Those under way hold the connection open to their end.
    pub(super) fn remove(&self, endpoint: SocketAddr) {
        self.connections.borrow_mut().remove(&endpoint);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }
}

/// Tells those who wait, however the opening ends.
pub(crate) struct OpeningGuard {
    pool: Rc<MultiplexedPool>,
    over: Rc<Notify>,
}

impl Drop for OpeningGuard {
    fn drop(&mut self) {
        let mut opening = self.pool.opening.borrow_mut();
        opening.retain(|other| !Rc::ptr_eq(&other.over, &self.over));
        self.over.notify_waiters();
    }
}
