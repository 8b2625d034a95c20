use std::io::{self, Write};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::config::AccessLog;

/// Batches that may wait for the writer: about 1 MiB.
const WAITING: usize = 64;

/// Complete lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) text: Vec<u8>,
    pub(crate) lines: u64,
}

/// The thread that may block on the log's reader, so that nobody else does.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Ends when all senders are gone.
    pub(crate) thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread; None when the log is off.
    pub(crate) fn start(log: &AccessLog) -> io::Result<Option<(Self, SyncSender<Batch>)>> {
        if matches!(log, AccessLog::Off) {
            return Ok(None);
        }
        let (sender, batches) = sync_channel(WAITING);
        let log = log.clone();
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&log, &batches))?;
        Ok(Some((Self { thread }, sender)))
    }
}

fn write_all(log: &AccessLog, batches: &Receiver<Batch>) {
    let mut failed = false;
    for batch in batches {
        let written = match log {
            AccessLog::Off => Ok(()),
            AccessLog::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&batch.text).and_then(|()| stdout.flush())
            }
            AccessLog::Writer(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writer.write_all(&batch.text).and_then(|()| writer.flush())
            }
        };
        // Once is enough: a closed pipe stays closed, and requests go on.
        if let Err(error) = written
            && !std::mem::replace(&mut failed, true)
        {
            tracing::warn!(%error, "cannot write the access log; is the reader of standard output gone?");
        }
    }
}
