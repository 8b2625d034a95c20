//! One JSON line per request.
//!
//! A worker formats lines into a buffer of its own and hands full buffers, or whatever there is once a
//! second, to a thread that writes. When the reader of the log is too slow, lines are dropped and counted;
//! a request never waits for the log.

mod json;
mod writer;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, SystemTime};

use fairway_model::RuleId;

use crate::metrics::Shard;
use json::Object;
pub(crate) use writer::{Batch, Writer};

/// A buffer of this size is handed over: large enough for few system calls, small beside a pipe's 64 KiB.
const FULL: usize = 16 * 1024;

/// What a line tells.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: &'a [u8],
    pub(crate) method: Option<&'a str>,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) path: Option<&'a str>,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
    pub(crate) route: Option<&'a RuleId>,
    pub(crate) service: &'a str,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) tries: u8,
    pub(crate) request_id: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) reason: Option<&'static str>,
}

/// A worker's end of the log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    sender: Option<SyncSender<Batch>>,
    pending: RefCell<Batch>,
    shard: Arc<Shard>,
}

impl AccessLog {
    pub(crate) fn new(sender: Option<SyncSender<Batch>>, shard: Arc<Shard>) -> Self {
        Self {
            sender,
            pending: RefCell::default(),
            shard,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut pending = self.pending.borrow_mut();
        if pending.text.capacity() == 0 {
            pending.text.reserve(FULL + 2048);
        }
        format(line, SystemTime::now(), &mut pending.text);
        pending.lines += 1;
        let full = pending.text.len() >= FULL;
        drop(pending);
        if full {
            self.flush();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        let Some(sender) = &self.sender else {
            return;
        };
        let batch = self.pending.take();
        if batch.lines == 0 {
            return;
        }
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            sender.try_send(batch)
        {
            self.shard.log_lines_dropped.add(batch.lines);
        }
    }

    /// Whether everything has been handed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.borrow().lines == 0
    }
}

/// Longest text of a field that clients choose.
const LONG: usize = 1024;

fn format(line: &Line<'_>, now: SystemTime, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.time("time", now);
    object.text("client", line.client, LONG);
    object.optional("method", line.method.map(str::as_bytes), LONG);
    object.optional("host", line.host, LONG);
    object.optional("path", line.path.map(str::as_bytes), LONG);
    object.number("status", u64::from(line.status));
    object.number("bytes", line.bytes);
    object.seconds("duration", line.duration);
    if let Some(route) = line.route {
        object.text("namespace", route.object.name.namespace.as_bytes(), LONG);
        object.text("route", route.object.name.name.as_bytes(), LONG);
        object.text("rule", route.field.as_bytes(), LONG);
    }
    object.optional(
        "service",
        (!line.service.is_empty()).then_some(line.service.as_bytes()),
        LONG,
    );
    if let Some(endpoint) = line.endpoint {
        object.display("endpoint", endpoint);
    }
    if line.tries > 0 {
        object.number("tries", u64::from(line.tries));
    }
    object.optional("request_id", line.request_id, LONG);
    object.optional("user_agent", line.user_agent, LONG);
    object.optional("reason", line.reason.map(str::as_bytes), LONG);
    object.end();
}

#[cfg(test)]
mod tests;
