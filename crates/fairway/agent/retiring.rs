//! Routers of earlier configurations, on whose connections requests are still open.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, warn};

use super::ingress::{Ingress, Retired};
use super::signals::Reopens;

/// Most of them at once. With one WebSocket each took 240 KiB and two threads when this was written, and a
/// WebSocket may stay for days: whoever changes the configuration every minute would otherwise run out of
/// memory.
const MOST: usize = 32;

/// Lets them finish, whatever happens to the configuration meanwhile, and however long it takes.
#[derive(Debug)]
pub(crate) struct Retiring {
    /// When each is to be over, oldest first. Those that are have no receiver.
    deadlines: Vec<watch::Sender<Option<Instant>>>,
    /// Of those that are still to come, too.
    deadline: Option<Instant>,
    /// Each thread has one, for as long as it runs.
    guard: Option<mpsc::Sender<()>>,
    finished: mpsc::Receiver<()>,
}

impl Default for Retiring {
    fn default() -> Self {
        let (guard, finished) = mpsc::channel(1);
        Self {
            deadlines: Vec::new(),
            deadline: None,
            guard: Some(guard),
            finished,
        }
    }
}

impl Retiring {
    /// Lets what is open at a router finish. It accepts no more. Where there are too many already, the
    /// oldest has no more than `grace` left.
    pub(crate) fn add(&mut self, ingress: Ingress, reopens: Reopens, grace: Duration) {
        self.deadlines.retain(|deadline| !deadline.is_closed());
        let last = Instant::now() + grace;
        let surplus = (self.deadlines.len() + 1).saturating_sub(MOST);
        for deadline in &self.deadlines[..surplus] {
            if bring_forward(deadline, last) {
                let seconds = grace.as_secs();
                warn!(
                    most = MOST,
                    seconds,
                    "the configuration changes so often that connections of long ago have to end; \
                     let several changes come together"
                );
            }
        }
        let (deadline, is_over) = watch::channel(self.deadline);
        self.deadlines.push(deadline);
        let guard = self.guard.clone();
        let retired = ingress.retire();
        // A thread: the runtime of a configuration ends with the next change.
        let thread = std::thread::Builder::new().name("retiring".to_owned());
        let spawned = thread.spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(finish(retired, is_over, reopens)),
                Err(error) => error!(%error, "cannot let open requests finish: they are cut off"),
            }
            drop(guard);
        });
        if let Err(error) = spawned {
            error!(%error, "cannot let open requests finish: they are cut off");
        }
    }

    /// What is still open then is cut off.
    pub(crate) fn end_by(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        for of_one in &self.deadlines {
            bring_forward(of_one, deadline);
        }
    }

    /// Waits for all of them.
    pub(crate) async fn all(&mut self) {
        self.guard = None;
        while self.finished.recv().await.is_some() {}
    }
}

/// False if it is as early already.
fn bring_forward(deadline: &watch::Sender<Option<Instant>>, to: Instant) -> bool {
    deadline.send_if_modified(|deadline| {
        let is_earlier = deadline.is_none_or(|deadline| to < deadline);
        if is_earlier {
            *deadline = Some(to);
        }
        is_earlier
    })
}

async fn finish(
    retired: Retired,
    mut deadline: watch::Receiver<Option<Instant>>,
    reopens: Reopens,
) {
    let cut = async {
        loop {
            let due = *deadline.borrow_and_update();
            let over = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                changed = deadline.changed() => match (changed, due) {
                    (Ok(()), _) => {}
                    // Nobody can set another one.
                    (Err(_), Some(due)) => return sleep_until(due).await,
                    (Err(_), None) => return,
                },
            }
        }
    };
    retired.finish(cut, reopens).await;
}
