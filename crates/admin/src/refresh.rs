//! Metrics that are read only when somebody asks for them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Asks for metrics to be brought up to date.
#[derive(Clone, Debug)]
pub struct Refresh(mpsc::Sender<oneshot::Sender<()>>);

/// Those who ask.
#[derive(Debug)]
pub struct RefreshRequests(mpsc::Receiver<oneshot::Sender<()>>);

/// Somebody waits; answered when it is dropped.
#[derive(Debug)]
#[expect(
    dead_code,
    reason = "the end of the sender is what the other side waits for"
)]
pub struct Waiting(oneshot::Sender<()>);

/// How long a scrape waits; what is shown then is of the time before. Prometheus gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// As many as wait at a time are answered by one reading.
const MOST_WAITING: usize = 64;

impl Refresh {
    /// Both sides.
    pub fn new() -> (Self, RefreshRequests) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        (Self(sender), RefreshRequests(receiver))
    }

    /// Comes back when the metrics are up to date, or after 2 s.
    pub async fn refresh(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.try_send(answer).is_ok() {
            // Too late, answered or nobody there: the metrics are shown as they are.
            let _ = timeout(PATIENCE, answered).await;
        }
    }
}

impl RefreshRequests {
    /// Blocks until somebody asks, and returns all that do; None when nobody can any more.
    pub fn wait(&mut self) -> Option<Vec<Waiting>> {
        let mut waiting = vec![Waiting(self.0.blocking_recv()?)];
        while let Ok(another) = self.0.try_recv() {
            waiting.push(Waiting(another));
        }
        Some(waiting)
    }
}
