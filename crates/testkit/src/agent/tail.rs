use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The end of what a stream has said so far, read by a thread until the stream ends.
#[derive(Debug)]
pub(super) struct Tail(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    last: VecDeque<u8>,
    ended: bool,
}

impl Tail {
    /// Enough for the log of a long test, little enough for a flood of messages.
    const CAPACITY: usize = 256 * 1024;

    pub(super) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let reader = Arc::clone(&shared);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let mut said = reader.lock();
                said.last.extend(buffer.iter().take(length));
                let surplus = said.last.len().saturating_sub(Self::CAPACITY);
                said.last.drain(..surplus);
                reader.more.notify_all();
            }
            reader.lock().ended = true;
            reader.more.notify_all();
        });
        Self(shared)
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().text()
    }

    /// Waits until the text is there; if it does not come, returns what is there instead.
    pub(super) fn wait_for(&self, text: &str, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        let mut said = self.0.lock();
        loop {
            let now = said.text();
            if now.contains(text) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || said.ended {
                return Err(now);
            }
            let waited = self.0.more.wait_timeout(said, left);
            said = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Said> {
        // A panic cannot leave it half changed.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn text(&self) -> String {
        let bytes: Vec<_> = self.last.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn keeps_the_end_and_finds_what_comes_later() {
        let (reader, mut writer) = io::pipe().unwrap();
        let tail = Tail::of(reader);
        let late = thread::spawn(move || {
            for _ in 0..3 {
                io::Write::write_all(&mut writer, &[b'x'; Tail::CAPACITY]).unwrap();
            }
            io::Write::write_all(&mut writer, b"the end").unwrap();
        });
        tail.wait_for("the end", Duration::from_secs(10)).unwrap();
        late.join().unwrap();
        assert_eq!(tail.text().len(), Tail::CAPACITY);
        let missing = tail.wait_for("something else", Duration::from_secs(10));
        assert!(missing.unwrap_err().ends_with("the end"));
    }
}
