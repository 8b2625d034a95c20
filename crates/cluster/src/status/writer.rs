use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::ObjectName;
use futures_util::future::join_all;
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::ledger::{Addresses, Ledger, Task};
use crate::api::Report;
use crate::{Connection, Event, Leadership, Right};

/// Patches on their way at a time. At a few milliseconds each, 10,000 Ingresses take seconds.
const AT_ONCE: usize = 16;

/// How long after a write the same Ingress is written again if somebody else has changed it back:
/// two controllers that fight over a status should not do so at full speed.
const TRUCE: Duration = Duration::from_secs(60);

/// After a failure, doubled up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Who the API server says wrote these fields.
const MANAGER: &str = "fairway-ingress-status";

/// Does what the ledger finds due.
pub(super) struct Writer {
    client: Client,
    report: Arc<Report>,
    ledger: Ledger,
    leadership: Leadership,
    /// When something was last written to an Ingress, for as long as that matters.
    recent: BTreeMap<ObjectName, (Instant, Addresses)>,
    /// Not before this.
    resume: Instant,
    pause: Duration,
    complaint: Option<String>,
}

impl Writer {
    pub(super) fn new(connection: &Connection, ledger: Ledger, leadership: Leadership) -> Self {
        Self {
            client: connection.client.clone(),
            report: connection.report.clone(),
            ledger,
            leadership,
            recent: BTreeMap::new(),
            resume: Instant::now(),
            pause: SHORTEST_PAUSE,
            complaint: None,
        }
    }

    /// Returns when this agent no longer leads, or when there are no more events.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while self.leadership.is_held() {
            while let Ok(event) = events.try_recv() {
                self.ledger.apply(event);
            }
            let wake = match self.next() {
                Next::Work(work) => {
                    self.work(work).await;
                    continue;
                }
                Next::At(at) => Some(at),
                Next::Idle => None,
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.ledger.apply(event),
                    None => return,
                },
                () = self.leadership.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    fn next(&mut self) -> Next {
        let now = Instant::now();
        self.recent.retain(|_, (written, _)| *written + TRUCE > now);
        // Those in a truce may stand before others.
        let mut due = self.ledger.due(AT_ONCE + self.recent.len());
        if due.is_empty() {
            return Next::Idle;
        }
        if self.resume > now {
            return Next::At(self.resume);
        }
        due.retain(|(name, task)| {
            let recent = self.recent.get(name);
            !recent.is_some_and(|(_, addresses)| *task == Task::Write(addresses.clone()))
        });
        due.truncate(AT_ONCE);
        match due.is_empty() {
            false => Next::Work(due),
            true => {
                let ends = self.recent.values().map(|(written, _)| *written + TRUCE);
                ends.min().map_or(Next::Idle, Next::At)
            }
        }
    }

    async fn work(&mut self, due: Vec<(ObjectName, Task)>) {
        let patches = due
            .iter()
            .map(|(name, task)| patch(&self.client, name, task));
        let results = join_all(patches).await;
        let mut failure = None;
        for ((name, task), result) in due.into_iter().zip(results) {
            self.report.wrote(Right::IngressStatus, &result);
            match result {
                Ok(()) => {
                    if let Task::Write(addresses) = &task {
                        info!(ingress = %name, "wrote the status");
                        let written = (Instant::now(), addresses.clone());
                        self.recent.insert(name.clone(), written);
                    }
                    self.ledger.done(&name, &task);
                }
                // Deleted meanwhile; the watch will tell.
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    self.ledger.done(&name, &task);
                }
                Err(error) => failure = Some((name, error)),
            }
        }
        let Some((name, error)) = failure else {
            self.pause = SHORTEST_PAUSE;
            self.complaint = None;
            return;
        };
        self.resume = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        if matches!(&error, kube::Error::Api(status) if status.code == 403) {
            // The report has said it.
            return;
        }
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            warn!(
                ingress = %name,
                reason = complaint,
                "cannot write statuses"
            );
            self.complaint = Some(complaint);
        }
    }
}

enum Next {
    Work(Vec<(ObjectName, Task)>),
    At(Instant),
    Idle,
}

/// Server-side apply: takes over what another controller left behind, and touches nothing else.
async fn patch(client: &Client, name: &ObjectName, task: &Task) -> Result<(), kube::Error> {
    let api: Api<Ingress> = Api::namespaced(client.clone(), &name.namespace);
    let mut parameters = PatchParams::apply(MANAGER);
    let mut body = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress" });
    if let Task::Write(addresses) = task {
        let addresses = addresses.iter();
        let ingress: Vec<_> = addresses.map(IngressLoadBalancerIngress::from).collect();
        body["status"] = json!({ "loadBalancer": { "ingress": ingress } });
        parameters = parameters.force();
    }
    let patch = Patch::Apply(&body);
    api.patch_status(&name.name, &parameters, &patch).await?;
    Ok(())
}
