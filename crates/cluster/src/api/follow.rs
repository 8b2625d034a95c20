use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::bridge::Bridge;
use super::guard::Guarded;
use super::kinds::Watched;
use super::notice::{Notice, Resource};
use super::reason::Reason;
use super::report::Report;
use super::{Pace, paced};
use crate::Event;

/// Follows one kind for as long as somebody receives its events.
pub(super) struct Follower {
    pub(super) client: Client,
    pub(super) selection: watcher::Config,
    pub(super) pace: Pace,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) report: Arc<Report>,
}

/// Nobody receives the events any more.
type Closed = SendError<Event>;

/// How to go on after a failure.
enum Next {
    /// From where the watcher was.
    Resume,
    /// With a new list.
    List { paged: bool },
}

impl Follower {
    pub(super) async fn run<K: Watched>(self) {
        tokio::select! {
            () = self.events.closed() => {}
            Err(_closed) = self.follow::<K>() => {}
        }
    }

    async fn follow<K: Watched>(&self) -> Result<std::convert::Infallible, Closed> {
        let resource = Resource::of::<K>();
        let client = {
            let (report, resource) = (Arc::clone(&self.report), resource.clone());
            paced::client(self.client.clone(), self.pace.shortest, move || {
                say(report.succeeded(K::KIND, &resource));
            })
        };
        let mut backoff = Backoff::new(self.pace);
        let mut bridge = Bridge::default();
        let mut paged = true;
        loop {
            let api: Api<Guarded<K>> = Api::all(client.clone());
            let mut selection = self.selection.clone();
            selection.page_size = selection.page_size.filter(|_| paged);
            let mut steps = pin!(watcher(api, selection));
            while let Some(step) = steps.next().await {
                match step {
                    Ok(step) => {
                        let Some(event) = bridge.step(step) else {
                            continue;
                        };
                        if matches!(event, Event::Replace(..)) {
                            say(self.report.succeeded(K::KIND, &resource));
                        }
                        self.events.send(event).await?;
                    }
                    Err(error) => {
                        let next = self
                            .recover::<K>(&error, &resource, &mut bridge, &mut backoff)
                            .await?;
                        if let Next::List { paged: next } = next {
                            paged = next;
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Reports a failure and waits.
    async fn recover<K: Watched>(
        &self,
        error: &watcher::Error,
        resource: &Resource,
        bridge: &mut Bridge,
        backoff: &mut Backoff,
    ) -> Result<Next, Closed> {
        let reason = Reason::of(error);
        tracing::debug!(%resource, ?reason, "watcher failed");
        if let Some(void) = bridge.forget_list(K::KIND) {
            self.events.send(void).await?;
        }

        if K::OPTIONAL && matches!(reason, Reason::Absent(..)) && !bridge.listed() {
            if bridge.absent() {
                say([Notice::Absent(resource.clone())]);
                self.events
                    .send(Event::Replace(K::KIND, Vec::new()))
                    .await?;
            }
            sleep(self.pace.absent).await;
            return Ok(Next::Resume);
        }

        say(self.report.failed(K::KIND, resource, &reason));
        if matches!(reason, Reason::Forbidden(_)) && bridge.withheld() {
            self.events.send(Event::Withheld(K::KIND)).await?;
        }
        let asked = retry_after(error).min(self.pace.longest);
        sleep(backoff.pause().max(asked)).await;
        Ok(match (error, reason) {
            // The pages took longer than the server keeps a version: ask for all at once.
            (watcher::Error::InitialListFailed(_), Reason::Expired) => Next::List { paged: false },
            // kube lists again when the version expired in the stream, but not when a watch is
            // refused for it.
            (_, Reason::Expired) => Next::List { paged: true },
            _ => Next::Resume,
        })
    }
}

/// How long the server asks to be left alone.
fn retry_after(error: &watcher::Error) -> std::time::Duration {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return std::time::Duration::ZERO;
    };
    let seconds = status.details.as_ref().map(|d| d.retry_after_seconds);
    std::time::Duration::from_secs(seconds.unwrap_or(0).into())
}

fn say(notices: impl IntoIterator<Item = Notice>) {
    notices.into_iter().for_each(|notice| notice.log());
}
