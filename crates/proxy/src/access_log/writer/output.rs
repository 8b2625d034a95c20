use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::AccessLog;

/// Who may read a log that we create: requests are nobody else's business.
const MODE: u32 = 0o640;

/// Where lines go, and what of them got there.
pub(super) struct Output {
    sink: Sink,
    /// The end of a line whose beginning was written before an error.
    rest: Vec<u8>,
}

enum Sink {
    /// Not Rust's own standard output: its buffer does not tell what an error has cost.
    Stdout(File),
    File(File, PathBuf),
    Writer(Arc<Mutex<dyn Write + Send>>),
}

/// Lines that were not written.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) lines: u64,
    pub(super) error: io::Error,
}

impl Output {
    /// None when the log is off.
    pub(super) fn open(log: &AccessLog) -> io::Result<Option<Self>> {
        let sink = match log {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Sink::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()),
            AccessLog::File(path) => Sink::File(open(path)?, path.clone()),
            AccessLog::Writer(writer) => Sink::Writer(writer.clone()),
        };
        Ok(Some(Self {
            sink,
            rest: Vec::new(),
        }))
    }

    /// Writes complete lines. One that an error cuts is finished before the next ones, so that it is not lost
    /// and no line is glued to it.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<(), Lost> {
        if let Err(error) = self.finish() {
            let lines = lines(text);
            return Err(Lost { lines, error });
        }
        let (written, result) = self.sink.write(text);
        let Err(error) = result else {
            return Ok(());
        };
        let (begun, unwritten) = text.split_at(written);
        let is_whole = begun.last().is_none_or(|last| *last == b'\n');
        let end = match unwritten.iter().position(|byte| *byte == b'\n') {
            Some(at) if !is_whole => at + 1,
            _ => 0,
        };
        self.rest = unwritten[..end].to_vec();
        let lines = lines(&unwritten[end..]);
        Err(Lost { lines, error })
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let (written, result) = self.sink.write(&self.rest);
        self.rest.drain(..written);
        result
    }

    /// Opens a file anew and returns how many lines that has cost. A file that cannot be opened leaves the
    /// one of before in use.
    pub(super) fn reopen(&mut self) -> u64 {
        let Sink::File(_, path) = &self.sink else {
            return 0;
        };
        let (new, path) = match open(path) {
            Ok(new) => (new, path.clone()),
            Err(error) => {
                tracing::warn!(%error, "lines go on to where they went before");
                return 0;
            }
        };
        // It belongs where its beginning is.
        let cut = self.finish().is_err();
        self.rest.clear();
        self.sink = Sink::File(new, path);
        u64::from(cut)
    }
}

impl Sink {
    /// Writes all, or as much as it tells.
    fn write(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        match self {
            Self::Stdout(file) | Self::File(file, _) => write(file, bytes),
            Self::Writer(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let (written, result) = write(&mut *writer, bytes);
                (written, result.and_then(|()| writer.flush()))
            }
        }
    }
}

/// As [`Write::write_all`], which does not tell how far it came.
fn write(writer: &mut (impl Write + ?Sized), bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match writer.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(MODE);
    options.open(path).map_err(|error| {
        let problem = format!("cannot open the access log {}: {error}", path.display());
        io::Error::new(error.kind(), problem)
    })
}

fn lines(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}
