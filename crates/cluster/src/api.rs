//! Objects from an API server: one watcher a kind, bridged to [`Event`]s.
//!
//! ```text
//! list, page by page ---------------------->  Part, Part, ... Replace
//! watch ----------------------------------->  Apply, Delete
//! connection lost, error, silence --> wait --> watch again from where it was, or list after 410
//! ```
//!
//! Nothing is published half-way through a list, and losing the server publishes nothing at all:
//! what is programmed stays until the server says otherwise.

mod about;
mod annotations;
mod backoff;
mod bridge;
mod client;
mod follow;
mod guard;
mod kinds;
mod lacking;
mod notice;
mod paced;
mod prune;
mod rate;
mod reason;
mod report;
mod right;
mod secrets;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::ObjectName;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, ServiceCIDR};
use kube::Client;
use kube::runtime::watcher;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::options::Options;
use crate::{Connection, Event, Kind};

pub use about::{AboutServer, about_server};
pub(crate) use backoff::Backoff;
pub use client::{ClientError, client};
use follow::Follower;
use kinds::Watched;
pub use lacking::{Lack, LackingKind, lacking_kinds};
pub(crate) use report::Report;
pub use report::Trouble;
pub(crate) use right::is_denied;
pub use right::{Right, denied_verbs};

/// Waiting times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// After the first failure, and at least between two watches of a kind.
    pub(crate) shortest: Duration,
    /// However often it failed.
    pub(crate) longest: Duration,
    /// Until a kind that the API server does not know is asked for again.
    pub(crate) absent: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // client-go's reflector waits 0.8 s to 30 s: kind to an API server that comes back to
            // thousands of nodes, and short enough for people.
            shortest: Duration::from_millis(800),
            longest: Duration::from_secs(30),
            // An API server gains a kind when it is upgraded.
            absent: Duration::from_secs(15 * 60),
        }
    }
}

/// The running watchers. They end when this is dropped, or when nobody receives their events.
#[derive(Debug)]
pub(crate) struct Watch {
    _tasks: JoinSet<()>,
}

/// Starts to watch everything but Secrets, and of those the ones that `secrets` names. Sends
/// [`Event::Replace`] for every kind as soon as its list is complete (for kinds
/// that the options do not need at once, and empty), then every change. A full channel slows the
/// watchers down and loses nothing.
///
/// Must be called within a tokio runtime.
pub(crate) fn watch(
    connection: &Connection,
    options: &Options,
    pace: Pace,
    events: &mpsc::Sender<Event>,
    secrets: watch::Receiver<BTreeSet<ObjectName>>,
) -> Watch {
    let Connection { client, report } = connection;
    let select = |kind| kinds::selection(kind, options);
    let mut tasks = listed(client, select, pace, events, report);
    let secrets = secrets::Follower {
        client: client.clone(),
        pace,
        events: events.clone(),
        report: Arc::clone(report),
        wanted: secrets,
    };
    tasks.spawn(secrets.run());
    Watch { _tasks: tasks }
}

/// The same for what is selected of each kind, `None` being nothing, and for no Secrets.
pub(crate) fn watch_selected(
    client: &Client,
    select: impl Fn(Kind) -> Option<watcher::Config>,
    pace: Pace,
    events: &mpsc::Sender<Event>,
) -> Watch {
    // Of its own: the same kinds are watched twice, and either may fail alone.
    let report = Arc::default();
    Watch {
        _tasks: listed(client, select, pace, events, &report),
    }
}

fn listed(
    client: &Client,
    select: impl Fn(Kind) -> Option<watcher::Config>,
    pace: Pace,
    events: &mpsc::Sender<Event>,
    report: &Arc<Report>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for kind in Kind::LISTED {
        let Some(selection) = select(kind) else {
            let events = events.clone();
            // A receiver that is gone has no use for it either.
            tasks.spawn(async move { drop(events.send(Event::Replace(kind, Vec::new())).await) });
            continue;
        };
        let follower = Follower {
            client: client.clone(),
            selection,
            pace,
            events: events.clone(),
            report: Arc::clone(report),
        };
        match kind {
            Kind::Service => start::<Service>(&mut tasks, follower),
            Kind::EndpointSlice => start::<EndpointSlice>(&mut tasks, follower),
            Kind::Node => start::<Node>(&mut tasks, follower),
            Kind::ServiceCidr => start::<ServiceCIDR>(&mut tasks, follower),
            Kind::Ingress => start::<Ingress>(&mut tasks, follower),
            Kind::IngressClass => start::<IngressClass>(&mut tasks, follower),
            Kind::Secret => {} // not one of those that are listed
        }
    }
    tasks
}

fn start<K: Watched>(tasks: &mut JoinSet<()>, follower: Follower) {
    // Boxed: the state of a list in progress is large, and kept once a kind.
    tasks.spawn(Box::pin(follower.run::<K>()));
}
