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
use super::refusals::{LONGEST_PAUSE, Refusals, SHORTEST_PAUSE};
use crate::api::{Report, is_denied};
use crate::problem::OneLine;
use crate::{Connection, Event, Leadership, Right};

/// Patches on their way at a time. At a few milliseconds each, 10,000 Ingresses take seconds.
const AT_ONCE: usize = 16;

/// How long after a write the same Ingress is written again if somebody else has changed it back:
/// two controllers that fight over a status should not do so at full speed.
const TRUCE: Duration = Duration::from_secs(60);

/// Does what the ledger finds due.
pub(super) struct Writer {
    client: Client,
    report: Arc<Report>,
    ledger: Ledger,
    /// Who the API server is to say wrote these fields.
    manager: String,
    leadership: Leadership,
    /// When something was last written to an Ingress, for as long as that matters.
    recent: BTreeMap<ObjectName, (Instant, Addresses)>,
    refusals: Refusals,
    /// Nothing before this.
    resume: Instant,
    pause: Duration,
    complaint: Option<String>,
}

impl Writer {
    pub(super) fn new(
        connection: &Connection,
        ledger: Ledger,
        manager: String,
        leadership: Leadership,
    ) -> Self {
        Self {
            client: connection.client.clone(),
            report: connection.report.clone(),
            ledger,
            manager,
            leadership,
            recent: BTreeMap::new(),
            refusals: Refusals::default(),
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
        let due = self.ledger.due();
        let mut due: Vec<_> = due
            .map(|(name, task)| (self.waits_until(name, task), name, task))
            .collect();
        // First who need not wait, then who has waited longest.
        due.sort_by_key(|(until, ..)| *until);
        let Some((first, ..)) = due.first() else {
            return Next::Idle;
        };
        let earliest = first.map_or(self.resume, |first| first.max(self.resume));
        if earliest > now {
            return Next::At(earliest);
        }
        let ready = due
            .iter()
            .filter(|(until, ..)| until.is_none_or(|it| it <= now));
        let work = ready.take(AT_ONCE);
        Next::Work(
            work.map(|(_, name, task)| ((*name).clone(), (*task).clone()))
                .collect(),
        )
    }

    /// Why a task may have to wait: a truce, or a refusal.
    fn waits_until(&self, name: &ObjectName, task: &Task) -> Option<Instant> {
        let recent = self.recent.get(name);
        let same = recent.filter(|(_, addresses)| *task == Task::Write(addresses.clone()));
        let truce = same.map(|(written, _)| *written + TRUCE);
        truce.max(self.refusals.until(name))
    }

    async fn work(&mut self, due: Vec<(ObjectName, Task)>) {
        let patches = due.iter().map(|(name, task)| self.patch(name, task));
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
                    self.done(&name, &task);
                }
                // Deleted meanwhile; the watch will tell.
                Err(kube::Error::Api(status)) if status.code == 404 => self.done(&name, &task),
                Err(error) if concerns_all(&error) => {
                    // What lies with this one after all must not stand before others for ever.
                    self.refusals.add(&name, String::new());
                    failure = Some((name, error));
                }
                Err(error) => {
                    let why = OneLine(&error.to_string()).to_string();
                    if self.refusals.add(&name, why.clone()) {
                        warn!(ingress = %name, reason = why, "cannot write the status");
                    }
                }
            }
        }
        self.refusals.retain(|name| self.ledger.is_due(name));
        match failure {
            Some((name, error)) => self.halt(&name, &error),
            None => {
                self.pause = SHORTEST_PAUSE;
                self.complaint = None;
            }
        }
    }

    /// Server-side apply: takes over what another controller left behind, and touches nothing else.
    async fn patch(&self, name: &ObjectName, task: &Task) -> Result<(), kube::Error> {
        let api: Api<Ingress> = Api::namespaced(self.client.clone(), &name.namespace);
        let mut parameters = PatchParams::apply(&self.manager);
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

    fn done(&mut self, name: &ObjectName, task: &Task) {
        self.refusals.end(name);
        self.ledger.done(name, task);
    }

    /// Leaves the API server alone for a while.
    fn halt(&mut self, name: &ObjectName, error: &kube::Error) {
        self.resume = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        if is_denied(error) {
            // The report has said it.
            return;
        }
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            warn!(ingress = %name, reason = complaint, "cannot write statuses");
            self.complaint = Some(complaint);
        }
    }
}

/// Whether the next Ingress would very likely fare the same.
fn concerns_all(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => match status.code {
            401 | 429 => true,
            // One that is away may be asked about some namespaces only.
            500.. => !status.message.contains("webhook"),
            _ => is_denied(error),
        },
        _ => true,
    }
}

enum Next {
    Work(Vec<(ObjectName, Task)>),
    At(Instant),
    Idle,
}
