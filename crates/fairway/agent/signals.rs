//! SIGTERM from the kubelet, SIGINT from a keyboard: both mean stop.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The signals that end the agent. They are taken on a thread of their own, because they concern the
/// process whatever runs in it, and none may be lost between two configurations.
#[derive(Debug)]
pub(crate) struct Signals {
    received: watch::Receiver<u64>,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let [mut terminate, mut interrupt] = {
            let _entered = runtime.enter();
            let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()];
            [signal(terminate)?, signal(interrupt)?]
        };
        let (sender, received) = watch::channel(0);
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    sender.send_modify(|number| *number += 1);
                }
            });
        })?;
        Ok(Self { received })
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn stop(&mut self) {
        if self.received.changed().await.is_err() {
            // The thread never ends.
            std::future::pending().await
        }
    }
}
