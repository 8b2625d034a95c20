//! One line per request, as JSON or as nginx writes it.
//!
//! A worker formats lines into a buffer of its own and hands full buffers, or whatever there is once a
//! second, to a thread that writes and gives the buffers back. When the reader of the log is too slow,
//! lines are dropped and counted; a request never waits for the log.

mod format;
mod json;
mod line;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod variable;
mod writer;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::SystemTime;

use crate::metrics::Shard;
use format::Style;
pub(crate) use format::Wanted;
pub use format::{FormatError, LogFormat};
pub(crate) use json::route as json_route;
pub(crate) use line::{Line, Request, Route};
use time::Clock;
pub(crate) use writer::{Batch, Reopen, Writer};

/// A buffer of this size is handed over: what a pipe holds, because each time the thread that writes is woken.
const FULL: usize = 64 * 1024;

/// Buffers of one worker that the writer may have, or have given back, at once.
const BUFFERS: usize = 4;

/// Longest text of a field that clients choose.
const LONG: usize = 1024;

/// A worker's end of the log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    sender: Option<SyncSender<Batch>>,
    format: LogFormat,
    pending: RefCell<Pending>,
    /// Where written buffers come back.
    returned: Receiver<Vec<u8>>,
    home: SyncSender<Vec<u8>>,
    shard: Arc<Shard>,
}

#[derive(Debug, Default)]
struct Pending {
    text: Vec<u8>,
    lines: u64,
    time: Clock,
}

impl AccessLog {
    pub(crate) fn new(
        sender: Option<SyncSender<Batch>>,
        format: LogFormat,
        shard: Arc<Shard>,
    ) -> Self {
        let (home, returned) = sync_channel(BUFFERS);
        Self {
            sender,
            format,
            pending: RefCell::default(),
            returned,
            home,
            shard,
        }
    }

    /// What lines need to know; None where the log is off.
    pub(crate) fn wanted(&self) -> Option<&Wanted> {
        self.sender.as_ref().map(|_| &self.format.wanted)
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut pending = self.pending.borrow_mut();
        let pending = &mut *pending;
        if pending.text.capacity() == 0 {
            pending.text = self.returned.try_recv().unwrap_or_default();
            pending.text.clear();
            pending.text.reserve(FULL + 2048);
        }
        pending.time.set(SystemTime::now());
        match &self.format.style {
            Style::Json => json::format(line, &pending.time, &mut pending.text),
            Style::Text(parts, escape) => {
                text::format(line, &pending.time, parts, *escape, &mut pending.text);
            }
        }
        pending.lines += 1;
        if pending.text.len() >= FULL {
            self.hand_over(pending);
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        self.hand_over(&mut self.pending.borrow_mut());
    }

    fn hand_over(&self, pending: &mut Pending) {
        let Some(sender) = &self.sender else {
            return;
        };
        let lines = std::mem::take(&mut pending.lines);
        if lines == 0 {
            return;
        }
        let text = std::mem::take(&mut pending.text);
        let home = Some(self.home.clone());
        let batch = Batch { text, lines, home };
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            sender.try_send(batch)
        {
            self.shard.log_lines_dropped.add(batch.lines);
            pending.text = batch.text;
            pending.text.clear();
        }
    }

    /// Whether everything has been handed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.borrow().lines == 0
    }
}
