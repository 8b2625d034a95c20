//! Kubernetes Events about objects: what `kubectl describe` shows of an object's troubles.
//!
//! ```text
//! record, send --> Limiter --> queue of 1024 --> sender: uid of the object, events.k8s.io/v1, retries
//! ```
//!
//! Telling never waits and never fails: an Event is a courtesy, traffic is not.

mod limiter;
mod sender;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use fairway_model::ObjectRef;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

use self::limiter::Limiter;
use self::sender::Sender;
use crate::Connection;

/// Something about an object that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectEvent {
    /// The object.
    pub regarding: ObjectRef,
    /// Whether it is trouble.
    pub severity: Severity,
    /// Why, in one word in upper camel case that tools may look for.
    pub reason: &'static str,
    /// What was being done, in one word likewise.
    pub action: &'static str,
    /// The whole sentence. Cut after 1024 bytes, which is the API's limit.
    pub note: String,
}

/// `type` of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// For information.
    Normal,
    /// Something does not work as was meant.
    Warning,
}

/// Takes Events. Clones share their queue and their limits: the same Event is sent again after ten
/// minutes at the earliest, and about one object ten at once and then one in five minutes.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    limiter: Arc<Mutex<Limiter>>,
    queue: Option<mpsc::Sender<Message>>,
}

#[derive(Debug)]
enum Message {
    /// With the time when it happened, and whether it is the same as one that says the same.
    Event(ObjectEvent, Timestamp, Sameness),
    /// Answered when everything before it is sent or given up.
    Flush(oneshot::Sender<()>),
}

/// What an Event has to do with one that says the same.
#[derive(Clone, Copy, Debug)]
enum Sameness {
    /// It happened once more.
    Another,
    /// It tells of the same again.
    Same,
}

/// What waits while the API server is away. More would be of no help to anybody.
const QUEUE: usize = 1024;

/// What the API takes as a note, in bytes.
const LONGEST_NOTE: usize = 1024;

impl EventRecorder {
    /// Writes to the log alone: there is no API server.
    pub fn log() -> Self {
        Self {
            limiter: Arc::default(),
            queue: None,
        }
    }

    /// Sends to an API server, as the agent of the node of that name. Must be called within a tokio
    /// runtime, on which the sender runs until all clones are gone.
    pub fn api(connection: &Connection, node_name: &str) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        tokio::spawn(Sender::new(connection, node_name).run(messages));
        Self {
            limiter: Arc::default(),
            queue: Some(queue),
        }
    }

    /// Writes an Event to the log and sends it.
    pub fn record(&self, event: ObjectEvent) {
        let ObjectEvent {
            regarding,
            reason,
            note,
            ..
        } = &event;
        match event.severity {
            Severity::Normal => info!(%regarding, reason, "{note}"),
            Severity::Warning => warn!(%regarding, reason, "{note}"),
        }
        self.send(event);
    }

    /// Sends an Event that the log tells of in its own way. Does nothing without an API server.
    pub fn send(&self, event: ObjectEvent) {
        self.queue(event, Sameness::Another);
    }

    /// The same about something that stands. For as long as the API server keeps an Event that says so,
    /// whichever agent sent it, there is no second one.
    pub fn send_standing(&self, event: ObjectEvent) {
        self.queue(event, Sameness::Same);
    }

    fn queue(&self, mut event: ObjectEvent, sameness: Sameness) {
        let Some(queue) = &self.queue else {
            return;
        };
        event
            .note
            .truncate(event.note.floor_char_boundary(LONGEST_NOTE));
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if !limiter.admits(&event, Instant::now()) {
            return;
        }
        drop(limiter);
        if let Err(error) = queue.try_send(Message::Event(event, Timestamp::now(), sameness)) {
            tracing::debug!(%error, "an Event is lost");
        }
    }

    /// Waits until what was sent so far has arrived or is given up; bound it with a timeout, as an API
    /// server that is away is waited for.
    pub async fn flush(&self) {
        let Some(queue) = &self.queue else {
            return;
        };
        let (done, flushed) = oneshot::channel();
        if queue.send(Message::Flush(done)).await.is_ok() {
            // A sender that has ended has nothing left to send.
            let _ = flushed.await;
        }
    }
}

impl Severity {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
