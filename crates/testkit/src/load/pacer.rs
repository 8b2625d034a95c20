use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// Says when something is due, at a fixed rate.
///
/// From a thread of its own, which the kernel wakes within some fifty microseconds: the runtime's
/// timer rounds up to milliseconds, which would be most of what a latency benchmark measures.
pub(super) fn pace(rate: f64, total: u64) -> io::Result<mpsc::UnboundedReceiver<Instant>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::Builder::new().name("pacer".into()).spawn(move || {
        let start = Instant::now();
        for number in 0..total {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
