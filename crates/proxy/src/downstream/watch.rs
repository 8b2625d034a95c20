//! Which limit a client connection is under right now.
//!
//! Every party leaves a mark when it starts to wait for another one; [`Watch::overdue`] looks at the
//! marks when the connection's deadline fires. Marks are plain stores, so that a fast request pays
//! nothing for all the ways in which a slow one can be slow. Each stream of an HTTP/2 connection has a
//! watch of its own, and so has the connection.

mod due;
mod pace;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Clock, Tick};
use crate::config::Timeouts;
use crate::deadline::Deadline;
use pace::Pace;

/// Whose silence ended an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// No next request.
    Idle,
    /// The request head is not complete.
    Head,
    /// No connection to the endpoint.
    Connect,
    /// The client does not go on with its body.
    RequestBody,
    /// The endpoint does not accept the body.
    UpstreamWrite,
    /// The endpoint does not answer.
    UpstreamRead,
    /// The client does not accept the response.
    ClientWrite,
}

/// Where a connection is in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle {
        since: Tick,
    },
    Head {
        since: Tick,
    },
    /// The request is being judged and routed; this never waits.
    Accepted,
    Connecting {
        since: Tick,
        limit: Duration,
    },
    Exchanging {
        answer: Answer,
    },
    /// HTTP is over, and whoever goes on with the connection minds its own time.
    Retired,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The upstream is to send the next byte, since then.
    Upstream(Tick),
    /// The client is to take what there is, since then.
    Client(Tick),
    /// Complete.
    Complete,
}

/// How far the request body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// There is none, or it is complete, since then.
    Complete(Tick),
    /// The client is to send the next byte.
    Client(Tick),
    /// The upstream is to take what there is.
    Upstream(Tick),
    /// Given up before its end, since then: nobody reads the rest.
    Abandoned(Tick),
}

/// The marks of one client connection.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Rc<Clock>,
    deadline: Deadline,
    timeouts: Rc<Timeouts>,
    phase: Cell<Phase>,
    upload: Cell<Upload>,
    /// For one stream of several on a socket, which then tells nothing about this one.
    multiplexed: bool,
    given_up: Cell<bool>,
    client_read: Cell<Duration>,
    /// Of this request's body.
    sending: Pace,
    /// Of its response: what the socket took or, of several streams, what was made ready for it.
    taking: Pace,
    upstream_read: Cell<Duration>,
    upstream_write: Cell<Duration>,
    write_blocked: Cell<Option<Tick>>,
    stall: Cell<Option<Stall>>,
    /// The client was given up on because of how it reads.
    cut: Cell<bool>,
}

impl Watch {
    pub(crate) fn new(clock: Rc<Clock>, deadline: Deadline, timeouts: Rc<Timeouts>) -> Self {
        deadline.idle(true);
        Self::of_stream_or_socket(clock, deadline, timeouts, false)
    }

    fn of_stream_or_socket(
        clock: Rc<Clock>,
        deadline: Deadline,
        timeouts: Rc<Timeouts>,
        multiplexed: bool,
    ) -> Self {
        let now = clock.now();
        let watch = Self {
            clock,
            deadline,
            phase: Cell::new(Phase::Idle { since: now }),
            upload: Cell::new(Upload::Complete(now)),
            multiplexed,
            given_up: Cell::new(false),
            client_read: Cell::new(timeouts.body),
            sending: Pace::default(),
            taking: Pace::default(),
            upstream_read: Cell::new(timeouts.body),
            upstream_write: Cell::new(timeouts.body),
            timeouts,
            write_blocked: Cell::new(None),
            stall: Cell::new(None),
            cut: Cell::new(false),
        };
        watch.rearm();
        watch
    }

    /// For one stream of a connection.
    pub(crate) fn of_stream(clock: Rc<Clock>, deadline: Deadline, timeouts: Rc<Timeouts>) -> Self {
        Self::of_stream_or_socket(clock, deadline, timeouts, true)
    }

    /// Bytes came from the client.
    pub(crate) fn received(&self) {
        if let Phase::Idle { .. } = self.phase.get() {
            let since = self.clock.now();
            self.busy();
            self.phase.set(Phase::Head { since });
            self.deadline.arm(since.after(self.timeouts.head));
        }
    }

    /// The client accepted bytes, or did not.
    pub(crate) fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(result) => {
                if let Some(since) = self.write_blocked.take() {
                    self.taking.waited(self.clock.now().since(since));
                }
                self.taking.moved(*result.as_ref().unwrap_or(&0));
            }
            Poll::Pending if self.write_blocked.get().is_none() => {
                let since = self.clock.now();
                self.write_blocked.set(Some(since));
                self.deadline.arm(self.write_due(since));
            }
            Poll::Pending => {}
        }
    }

    /// A request head is complete.
    pub(crate) fn accepted(&self, has_body: bool) {
        let now = self.clock.now();
        self.busy();
        self.phase.set(Phase::Accepted);
        self.sending.restart();
        self.taking.restart();
        self.upload.set(if has_body {
            Upload::Upstream(now)
        } else {
            Upload::Complete(now)
        });
    }

    /// The first of several streams that share the connection opened, or the last one ended.
    pub(crate) fn occupied(&self, occupied: bool) {
        self.deadline.idle(!occupied);
        self.phase.set(match occupied {
            true => Phase::Accepted,
            false => Phase::Idle {
                since: self.clock.now(),
            },
        });
        self.rearm();
    }

    /// The request's body may be silent for as long as it likes.
    pub(crate) fn be_patient(&self) {
        self.client_read.set(Duration::MAX);
    }

    pub(crate) fn connecting(&self, limit: Duration) {
        let since = self.clock.now();
        self.phase.set(Phase::Connecting { since, limit });
        self.deadline.arm(since.after(limit));
    }

    /// The request is on its way.
    pub(crate) fn sent(&self, read: Duration, write: Duration) {
        let now = self.clock.now();
        self.upstream_read.set(read);
        self.upstream_write.set(write);
        match self.upload.get() {
            Upload::Upstream(_) => self.upload(Upload::Upstream(now)),
            Upload::Client(_) => self.upload(Upload::Client(now)),
            Upload::Complete(_) | Upload::Abandoned(_) => {}
        }
        self.answer(Answer::Upstream(now));
    }

    /// What this request's body has brought so far, in bytes.
    pub(crate) fn received_body(&self) -> u64 {
        self.sending.bytes()
    }

    /// The client sent so many bytes of the request body.
    pub(crate) fn brought(&self, bytes: usize) {
        self.sending.moved(bytes);
    }

    /// The request body moved on.
    pub(crate) fn upload(&self, upload: Upload) {
        if let Upload::Client(since) = self.upload.replace(upload) {
            self.sending.waited(self.clock.now().since(since));
        }
        match upload {
            Upload::Client(since) => self.deadline.arm(self.body_due(since)),
            Upload::Upstream(since) => self.deadline.arm(since.after(self.upstream_write.get())),
            Upload::Complete(_) | Upload::Abandoned(_) => self.settle(),
        }
    }

    pub(crate) fn upload_state(&self) -> Upload {
        self.upload.get()
    }

    /// The response waits for the upstream's next bytes.
    pub(crate) fn awaiting_upstream(&self) {
        let waiting = matches!(
            self.phase.get(),
            Phase::Exchanging {
                answer: Answer::Upstream(_)
            }
        );
        if !waiting {
            self.answer(Answer::Upstream(self.clock.now()));
        }
    }

    /// The response has so many more bytes that wait for the client.
    pub(crate) fn awaiting_client(&self, bytes: usize) {
        if self.multiplexed {
            self.taking.moved(bytes);
        }
        self.answer(Answer::Client(self.clock.now()));
    }

    /// The response is complete, or as much of it as there will be.
    pub(crate) fn answered(&self) {
        self.answer(Answer::Complete);
    }

    /// Nobody reads the rest of the response.
    pub(crate) fn give_up(&self) {
        self.given_up.set(true);
        self.answer(Answer::Complete);
    }

    /// Whether the response reached its end.
    pub(crate) fn is_answered(&self) -> bool {
        let is_over = match self.phase.get() {
            Phase::Idle { .. } => true,
            Phase::Exchanging { answer } => answer == Answer::Complete,
            Phase::Head { .. } | Phase::Accepted | Phase::Connecting { .. } | Phase::Retired => {
                false
            }
        };
        is_over && !self.given_up.get()
    }

    /// HTTP is over on the connection.
    pub(crate) fn retire(&self) {
        self.busy();
        self.phase.set(Phase::Retired);
    }

    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// Since when it has been between requests, or before the first byte of the first one.
    pub(crate) fn idle_since(&self) -> Option<Tick> {
        match self.phase.get() {
            Phase::Idle { since } => Some(since),
            _ => None,
        }
    }

    /// Whether nothing has moved for so long that the connection need not be ready for more at once. Looks
    /// again when that may be so.
    pub(crate) fn is_quiet(&self, quiet: Duration) -> bool {
        let Some(since) = self.idle_since() else {
            return false;
        };
        let at = since.after(quiet);
        if self.clock.now() < at {
            self.deadline.arm(at);
            return false;
        }
        self.write_blocked.get().is_none()
    }

    fn answer(&self, answer: Answer) {
        if self.multiplexed
            && let Phase::Exchanging {
                answer: Answer::Client(since),
            } = self.phase.get()
        {
            self.taking.waited(self.clock.now().since(since));
        }
        self.phase.set(Phase::Exchanging { answer });
        match answer {
            Answer::Upstream(since) => self.deadline.arm(since.after(self.upstream_read.get())),
            Answer::Client(since) if self.multiplexed => {
                self.deadline.arm(self.write_due(since));
            }
            Answer::Client(_) | Answer::Complete => {}
        }
        self.settle();
    }

    /// Looks again no later than `at`.
    pub(crate) fn look_at(&self, at: Tick) {
        self.deadline.arm(at);
    }

    /// When both directions are complete, the connection waits for its next request.
    fn settle(&self) {
        let answered = Phase::Exchanging {
            answer: Answer::Complete,
        };
        let sending = matches!(self.upload.get(), Upload::Client(_) | Upload::Upstream(_));
        if self.phase.get() == answered && !sending {
            self.phase.set(Phase::Idle {
                since: self.clock.now(),
            });
            if !self.multiplexed {
                self.deadline.idle(true);
            }
            self.rearm();
        }
    }

    /// The connection is no longer idle, if it was.
    fn busy(&self) {
        if self.idle_since().is_some() && !self.multiplexed {
            self.deadline.idle(false);
        }
    }
}
