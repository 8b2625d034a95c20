use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crate::config::AccessLog;

/// Batches that may wait for the writer: about 1 MiB.
const WAITING: usize = 64;

/// Who may read a log that we create: requests are nobody else's business.
const MODE: u32 = 0o640;

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
    /// Opens the log and starts the thread; None when the log is off.
    pub(crate) fn start(log: &AccessLog) -> io::Result<Option<Self>> {
        let output = match log {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Output::Stdout(io::stdout()),
            AccessLog::File(path) => Output::File(open(path)?, path.clone()),
            AccessLog::Writer(writer) => Output::Writer(writer.clone()),
        };
        let (sender, batches) = sync_channel(WAITING);
        let asked = Arc::new(AtomicBool::new(false));
        let reopen = Reopen {
            asked: asked.clone(),
            wake: sender.clone(),
        };
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || output.write_all(&batches, &asked))?;
        Ok(Some(Self {
            thread,
            sender,
            reopen,
        }))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(MODE);
    options.open(path).map_err(|error| {
        let problem = format!("cannot open the access log {}: {error}", path.display());
        io::Error::new(error.kind(), problem)
    })
}

enum Output {
    Stdout(io::Stdout),
    File(File, PathBuf),
    Writer(Arc<std::sync::Mutex<dyn Write + Send>>),
}

impl Output {
    fn write_all(mut self, batches: &Receiver<Batch>, reopen: &AtomicBool) {
        let mut failed = false;
        for mut batch in batches {
            if reopen.swap(false, Ordering::Relaxed) {
                self.reopen();
                failed = false;
            }
            // Once is enough: a closed pipe stays closed, and requests go on.
            if let Err(error) = self.write(&batch.text)
                && !std::mem::replace(&mut failed, true)
            {
                tracing::warn!(%error, "cannot write the access log; is its reader gone, or the disk full?");
            }
            if let Some(home) = batch.home.take() {
                // Its worker has enough of them, or is gone.
                let _ = home.try_send(batch.text);
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(text).and_then(|()| stdout.flush())
            }
            Self::File(file, _) => file.write_all(text),
            Self::Writer(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writer.write_all(text).and_then(|()| writer.flush())
            }
        }
    }

    /// A file that cannot be opened leaves the one of before in use.
    fn reopen(&mut self) {
        if let Self::File(file, path) = self {
            match open(path) {
                Ok(new) => *file = new,
                Err(error) => {
                    tracing::warn!(%error, "lines go on to where they went before");
                }
            }
        }
    }
}
