//! SIGTERM from the kubelet, SIGINT from a keyboard: both mean stop. SIGUSR1 from whoever rotates logs: open
//! them anew.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Which signal it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// Each SIGUSR1.
#[derive(Debug)]
pub(crate) struct Reopens(watch::Receiver<u64>);

impl Reopens {
    /// Without signals.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The thread never ends.
            std::future::pending::<()>().await;
        }
    }
}

/// The signals that end the agent. They are taken on a thread of their own, because they concern the
/// process whatever runs in it, and none may be lost between two configurations.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Changed by each one.
    received: watch::Receiver<Stop>,
    /// Counts each SIGUSR1.
    reopened: watch::Receiver<u64>,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let [mut terminate, mut interrupt, mut reopen] = {
            let _entered = runtime.enter();
            let reopen = SignalKind::user_defined1();
            let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()];
            [signal(terminate)?, signal(interrupt)?, signal(reopen)?]
        };
        let (sender, received) = watch::channel(Stop::Terminate);
        let (reopen_sender, reopened) = watch::channel(0);
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || {
            runtime.block_on(async {
                loop {
                    let stop = tokio::select! {
                        _ = terminate.recv() => Stop::Terminate,
                        _ = interrupt.recv() => Stop::Interrupt,
                        _ = reopen.recv() => {
                            reopen_sender.send_modify(|count| *count += 1);
                            continue;
                        }
                    };
                    sender.send_replace(stop);
                }
            });
        })?;
        Ok(Self { received, reopened })
    }

    /// Wishes that logs be opened anew.
    pub(crate) fn reopens(&self) -> Reopens {
        Reopens(self.reopened.clone())
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn stop(&mut self) -> Stop {
        if self.received.changed().await.is_err() {
            // The thread never ends.
            return std::future::pending().await;
        }
        *self.received.borrow_and_update()
    }
}
