use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Status;

/// Who asks again so soon gets the same answer: however many pages are open, the agent is asked as often.
const FRESH: Duration = Duration::from_secs(1);

/// How long the agent may take, while it programs a large cluster say. What is shown then is of the time
/// before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the agent for its status. Clones share what they were told.
#[derive(Clone, Debug)]
pub struct StatusFeed {
    ask: mpsc::Sender<StatusRequest>,
    last: Arc<Mutex<Last>>,
}

/// What was told, and when.
type Last = Option<(Instant, Arc<Status>)>;

/// Those who ask.
#[derive(Debug)]
pub struct StatusRequests(mpsc::Receiver<StatusRequest>);

/// Somebody who asks.
#[derive(Debug)]
pub struct StatusRequest(oneshot::Sender<Status>);

impl StatusFeed {
    /// Both sides.
    pub fn new() -> (Self, StatusRequests) {
        let (ask, asked) = mpsc::channel(1);
        let last = Arc::default();
        (Self { ask, last }, StatusRequests(asked))
    }

    /// Comes back when [`Self::last`] is of now, or after 2 s.
    pub(super) async fn refresh(&self) {
        let is_fresh = |(at, _): &(Instant, _)| at.elapsed() < FRESH;
        if self.lock().as_ref().is_some_and(is_fresh) {
            return;
        }
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            // Where somebody else waits for the agent, this waits for the place behind that.
            self.ask.send(StatusRequest(answer)).await.ok()?;
            answered.await.ok()
        };
        if let Ok(Some(status)) = timeout(PATIENCE, exchange).await {
            *self.lock() = Some((Instant::now(), Arc::new(status)));
        }
    }

    /// What the agent said last; None before it knows anything.
    pub(super) fn last(&self) -> Option<Arc<Status>> {
        self.lock().as_ref().map(|(_, status)| status.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatusRequests {
    /// Waits for somebody who asks; for ever when nobody can any more. Cancel safe.
    pub async fn next(&mut self) -> StatusRequest {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl StatusRequest {
    /// Tells them, if they still want to know.
    pub fn answer(self, status: Status) {
        let _ = self.0.send(status);
    }
}
