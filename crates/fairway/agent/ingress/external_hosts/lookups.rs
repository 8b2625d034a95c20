use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Between two lookups: the longest time for which CoreDNS keeps an answer in its default configuration.
const EVERY: Duration = Duration::from_secs(30);

/// Before one that failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// For how long the last good answer is used while there is no other one.
pub(super) const STALE: Duration = Duration::from_secs(300);

/// The last good answer about a host.
#[derive(Clone, Debug)]
pub(in crate::agent::ingress) struct Answer {
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) since: Instant,
}

impl Answer {
    pub(super) fn is_stale(&self) -> bool {
        self.since.elapsed() >= STALE
    }
}

/// Looks a host up for as long as somebody wants to know, and tells when the answer is another one than what
/// was known before, which is told at once.
pub(super) async fn watch(
    host: Box<str>,
    lookup: impl AsyncFn() -> io::Result<BTreeSet<IpAddr>>,
    answer: Sender<Option<Answer>>,
    sender: mpsc::Sender<(Box<str>, Vec<IpAddr>)>,
) {
    let tell = async |addresses: &BTreeSet<IpAddr>| {
        let addresses = addresses.iter().copied().collect();
        sender.send((host.clone(), addresses)).await
    };
    let mut known = answer.borrow().as_ref().map(|it| it.addresses.clone());
    if let Some(known) = &known
        && tell(known).await.is_err()
    {
        return;
    }
    loop {
        let (found, pause) = match lookup().await {
            Ok(found) => {
                answer.send_replace(Some(Answer {
                    addresses: found.clone(),
                    since: Instant::now(),
                }));
                (Some(found), EVERY)
            }
            Err(error) => {
                if known.is_none() {
                    warn!(%host, %error, "cannot find the host of an ExternalName: requests for it are answered with 503");
                }
                let is_stale = answer.borrow().as_ref().is_none_or(Answer::is_stale);
                (is_stale.then(BTreeSet::new), AGAIN)
            }
        };
        if let Some(found) = found.filter(|found| known.as_ref() != Some(found)) {
            if tell(&found).await.is_err() {
                return;
            }
            known = Some(found);
        }
        sleep(pause).await;
    }
}
