//! `status.loadBalancer` of our Ingresses: where clients reach them.
//!
//! ```text
//! watch (only while this agent leads) --> Ledger (what is wrong) --> Writer (server-side apply)
//! ```
//!
//! Written when it differs and at no other time, with a field manager of its own. Nothing is taken
//! back at a restart, nor while nobody knows the addresses; only from an Ingress that leaves our
//! class, and only what this router has written, whichever of its agents did.

mod address;
mod ledger;
pub(crate) mod manager;
mod refusals;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use fairway_model::ObjectName;
use kube::runtime::watcher;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::info;

pub use self::address::{AddressError, StatusAddress};
use self::ledger::Ledger;
use self::writer::Writer;
use crate::{Connection, Event, Kind, Leadership, Options, Source, StartError, api, manifests};

/// Events between the source and the ledger.
const CHANNEL: usize = 1024;

/// Where the addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Those of a Service: of its load balancer and its external IPs, else its ClusterIPs.
    Service(ObjectName),
    /// These.
    Addresses(Vec<StatusAddress>),
    /// Those of the Nodes that are ready and not excluded from load balancers: external ones, or
    /// internal ones of a Node that has no others.
    Nodes,
}

/// Writes statuses for as long as it lives.
#[derive(Debug)]
pub struct Publisher {
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts to keep the statuses right whenever this agent leads. With manifests there is nothing
    /// to write to: what would be written goes to the log.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the manifest directory cannot be read.
    pub fn start(
        source: &Source,
        options: &Options,
        publish: Publish,
        leadership: Leadership,
    ) -> Result<Self, StartError> {
        let ledger = Ledger::new(options, publish.clone());
        let task = match source {
            Source::Api(connection) => tokio::spawn(lead(
                connection.clone(),
                options.clone(),
                publish,
                leadership,
            )),
            Source::Manifests(directory) => {
                let (sender, events) = mpsc::channel(CHANNEL);
                let watch = manifests::watch(directory, sender, Some)?;
                tokio::spawn(async move {
                    log(ledger, events).await;
                    drop(watch);
                })
            }
        };
        Ok(Self { task })
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches and writes while this agent leads. All others are spared the second watch.
async fn lead(
    connection: Connection,
    options: Options,
    publish: Publish,
    mut leadership: Leadership,
) {
    loop {
        while !leadership.is_held() {
            leadership.changed().await;
        }
        let (sender, events) = mpsc::channel(CHANNEL);
        let select = |kind| selection(kind, &publish);
        let watch = api::watch_selected(&connection.client, select, api::Pace::default(), &sender);
        let ledger = Ledger::new(&options, publish.clone());
        let manager = manager::of(&options);
        Writer::new(&connection, ledger, manager, leadership.clone())
            .run(events)
            .await;
        drop(watch);
    }
}

/// What of a kind is needed to know what should be written, and what is.
fn selection(kind: Kind, publish: &Publish) -> Option<watcher::Config> {
    let everything = watcher::Config::default();
    match (kind, publish) {
        (Kind::Ingress | Kind::IngressClass, _) | (Kind::Node, Publish::Nodes) => Some(everything),
        (Kind::Service, Publish::Service(name)) => Some(everything.fields(&format!(
            "metadata.namespace={},metadata.name={}",
            name.namespace, name.name
        ))),
        _ => None,
    }
}

/// Says what the status would be, whenever that changes.
async fn log(mut ledger: Ledger, mut events: mpsc::Receiver<Event>) {
    let mut said: Option<Arc<[StatusAddress]>> = None;
    while let Some(event) = events.recv().await {
        ledger.apply(event);
        let Some(wanted) = ledger.wanted() else {
            continue;
        };
        if said.as_ref() != Some(wanted) {
            let addresses: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            info!(
                addresses = addresses.join(", "),
                "the status of our Ingresses would be"
            );
            said = Some(wanted.clone());
        }
    }
}
