//! Routers of earlier configurations, on whose connections requests are still open.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tracing::error;

use super::ingress::Ingress;

/// Lets them finish, whatever happens to the configuration meanwhile.
#[derive(Debug)]
pub(crate) struct Retiring {
    /// Each thread has one, for as long as it runs.
    guard: Option<mpsc::Sender<()>>,
    finished: mpsc::Receiver<()>,
}

impl Default for Retiring {
    fn default() -> Self {
        let (guard, finished) = mpsc::channel(1);
        Self {
            guard: Some(guard),
            finished,
        }
    }
}

impl Retiring {
    /// Lets the open requests of a router finish, for as long as `grace`. It accepts no more.
    pub(crate) fn add(&self, ingress: Ingress, grace: Duration) {
        let guard = self.guard.clone();
        // A thread: the runtime of a configuration ends with the next change.
        let thread = std::thread::Builder::new().name("retiring".to_owned());
        let spawned = thread.spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(ingress.drain(grace)),
                Err(error) => error!(%error, "cannot let open requests finish: they are cut off"),
            }
            drop(guard);
        });
        if let Err(error) = spawned {
            error!(%error, "cannot let open requests finish: they are cut off");
        }
    }

    /// Waits for all of them.
    pub(crate) async fn all(&mut self) {
        self.guard = None;
        while self.finished.recv().await.is_some() {}
    }
}
