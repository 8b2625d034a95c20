mod output;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use self::output::Output;
use crate::config::AccessLog;
use crate::metrics::Shard;

/// Batches that may wait for the writer: about 1 MiB.
const WAITING: usize = 64;

/// Complete lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) text: Vec<u8>,
    pub(crate) lines: u64,
    /// Where the buffer goes when it has been written.
    pub(crate) home: Option<SyncSender<Vec<u8>>>,
}

/// The thread that may block on the log's reader, so that nobody else does.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Ends when all senders are gone.
    pub(crate) thread: JoinHandle<()>,
    pub(crate) sender: SyncSender<Batch>,
    pub(crate) reopen: Reopen,
}

/// Asks for the log's file to be opened anew, after somebody has moved it away.
#[derive(Clone, Debug)]
pub(crate) struct Reopen {
    asked: Arc<AtomicBool>,
    wake: SyncSender<Batch>,
}

impl Reopen {
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        // Where lines are waiting, the writer is about to look anyway.
        let _ = self.wake.try_send(Batch::default());
    }
}

impl Writer {
    /// Opens the log and starts the thread, which counts in a shard of its own; None when the log is off.
    pub(crate) fn start(log: &AccessLog, shard: Arc<Shard>) -> io::Result<Option<Self>> {
        let Some(output) = Output::open(log)? else {
            return Ok(None);
        };
        let (sender, batches) = sync_channel(WAITING);
        let asked = Arc::new(AtomicBool::new(false));
        let reopen = Reopen {
            asked: asked.clone(),
            wake: sender.clone(),
        };
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(output, &batches, &asked, &shard))?;
        Ok(Some(Self {
            thread,
            sender,
            reopen,
        }))
    }
}

fn write_all(mut output: Output, batches: &Receiver<Batch>, reopen: &AtomicBool, shard: &Shard) {
    let mut failed = false;
    for mut batch in batches {
        if reopen.swap(false, Ordering::Relaxed) {
            shard.log_lines_dropped.add(output.reopen());
            failed = false;
        }
        match output.write(&batch.text) {
            Ok(()) if batch.lines > 0 && failed => {
                failed = false;
                tracing::info!("the access log is written again");
            }
            Ok(()) => {}
            Err(lost) => {
                shard.log_lines_dropped.add(lost.lines);
                // Once is enough until it works again: requests go on.
                if !std::mem::replace(&mut failed, true) {
                    let error = lost.error;
                    tracing::warn!(%error, "cannot write the access log; is its reader gone, or the disk full?");
                }
            }
        }
        if let Some(home) = batch.home.take() {
            // Its worker has enough of them, or is gone.
            let _ = home.try_send(batch.text);
        }
    }
}
