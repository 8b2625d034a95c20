use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::config::Protocol;
use crate::downstream::connection::Client;
use crate::downstream::watch::Watch;
use crate::downstream::wire::Wire;
use crate::forwarding::Sender;
use crate::observed::Observer;
use crate::tls;
use crate::worker::Worker;

/// Requests that a client has given up before their end. So many, and more than half of all, are not a
/// client that changes its mind but one that has us work for nothing (Envoy's limit is 500).
const CANCELLED: u32 = 500;

/// What the streams of one connection share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) worker: Rc<Worker>,
    /// Of the connection; each stream has its own.
    pub(super) watch: Watch,
    sender: Rc<Sender>,
    tls: Option<Rc<tls::Session>>,
    streams: Cell<u32>,
    requests: Cell<u32>,
    cancelled: Cell<u32>,
    /// The stream whose task comes next: hyper calls the service and then hands over the task.
    accepted: RefCell<Option<Rc<Client>>>,
}

impl Session {
    pub(super) fn new(
        worker: Rc<Worker>,
        sender: Rc<Sender>,
        tls: Option<Rc<tls::Session>>,
    ) -> Self {
        let timeouts = worker.timeouts.clone();
        Self {
            watch: Watch::new(worker.clock.clone(), worker.deadlines.open(), timeouts),
            worker,
            sender,
            tls,
            streams: Cell::new(0),
            requests: Cell::new(0),
            cancelled: Cell::new(0),
            accepted: RefCell::default(),
        }
    }

    /// One more request, as a client of its own.
    pub(super) fn open_stream(&self) -> Rc<Client> {
        self.requests.set(self.requests.get().saturating_add(1));
        let worker = &self.worker;
        let timeouts = worker.timeouts.clone();
        let watch = Watch::of_stream(worker.clock.clone(), worker.deadlines.open(), timeouts);
        let wire = Rc::new(Wire::of_stream(watch));
        let client = Client::new(
            worker.clone(),
            wire,
            self.sender.clone(),
            self.tls.clone(),
            Protocol::Http2,
        );
        let client = Rc::new(client);
        self.accepted.replace(Some(client.clone()));
        client
    }

    /// Whether there was a request.
    pub(super) fn has_served(&self) -> bool {
        self.requests.get() > 0
    }

    /// Whether the client should go on over another connection.
    pub(super) fn is_to_leave(&self) -> bool {
        self.worker.draining().is_some()
            || self.tls.as_ref().is_some_and(|tls| tls.is_outdated())
            || self.requests.get() >= self.worker.config.limits.requests_per_connection
            || self.has_cancelled(CANCELLED)
    }

    /// Whether the client goes on and on after it was told to leave.
    ///
    /// Until it can know it may have begun as many requests as it may have at once, and, as fast as they are
    /// answered, as many again.
    pub(super) fn is_abusive(&self) -> bool {
        let limits = &self.worker.config.limits;
        let limit = limits.requests_per_connection;
        let late = limit.max(limits.streams_per_connection.saturating_mul(2));
        self.requests.get().saturating_sub(limit) > late || self.has_cancelled(2 * CANCELLED)
    }

    fn has_cancelled(&self, count: u32) -> bool {
        let cancelled = self.cancelled.get();
        cancelled >= count && cancelled > self.requests.get() / 2
    }
}

impl Observer for Rc<Session> {
    fn read(&self, _bytes: &[u8]) {}

    fn wrote(
        &self,
        result: Poll<io::Result<usize>>,
        _offered: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch.wrote(&result);
        result
    }
}

/// Runs what hyper wants to run for a connection.
#[derive(Clone, Debug)]
pub(super) struct Streams(pub(super) Rc<Session>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        let Some(client) = self.0.accepted.take() else {
            tokio::task::spawn_local(future);
            return;
        };
        let stream = Stream::new(self.0.clone(), client);
        tokio::task::spawn_local(async move {
            let watch = &stream.client.wire.watch;
            let mut future = pin!(future);
            let supervised = poll_fn(|context| {
                watch.supervise(context, |context| future.as_mut().poll(context))
            });
            if let Err(stall) = supervised.await {
                tracing::debug!(?stall, "reset a stream");
            }
        });
    }
}

/// Counts a stream for as long as it exists, however its task ends.
struct Stream {
    session: Rc<Session>,
    client: Rc<Client>,
}

impl Stream {
    fn new(session: Rc<Session>, client: Rc<Client>) -> Self {
        let streams = session.streams.get();
        session.streams.set(streams + 1);
        if streams == 0 {
            session.watch.occupied(true);
        }
        Self { session, client }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let session = &self.session;
        if !self.client.wire.watch.is_answered() {
            session
                .cancelled
                .set(session.cancelled.get().saturating_add(1));
        }
        session.streams.set(session.streams.get() - 1);
        if session.streams.get() == 0 {
            session.watch.occupied(false);
        }
    }
}
