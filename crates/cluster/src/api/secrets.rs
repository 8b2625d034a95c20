//! Secrets, each by its name.
//!
//! A list of a namespace's Secrets, or a watch on them, would bring keys and passwords here that are
//! nobody's business. So each one that an Ingress names gets a list and a watch of its own, restricted
//! by `metadata.name`: RBAC can grant that for single names, and it is how kubelets do it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use fairway_model::ObjectName;
use futures_util::StreamExt;
use http::Request;
use kube::client::Body;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::service_fn;

use super::backoff::Backoff;
use super::notice::Resource;
use super::rate::Rate;
use super::reason::{Reason, Verb};
use super::report::Report;
use super::{Pace, paced};
use crate::tls::Secret;
use crate::{Event, Kind, Object};

/// Secrets that are asked for at the same time: at start there may be thousands, and a server that takes
/// its time gets fewer.
const AT_ONCE: usize = 16;

/// Requests a second, and at once. A Secret needs two, so that 10,000 are there after 20 s. client-go's
/// own limit, 5 a second, is meant for programs that list; a kubelet, which fetches Secrets by name as we
/// do, may ask 50 times a second, but has 110 pods.
const PER_SECOND: u32 = 1_000;
const BURST: u32 = 1_000;

/// Follows those Secrets that are wanted.
pub(super) struct Follower {
    pub(super) client: Client,
    pub(super) pace: Pace,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) report: Arc<Report>,
    pub(super) wanted: watch::Receiver<BTreeSet<ObjectName>>,
}

/// A task that ends when nobody holds it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Follower {
    /// Runs until nobody wants any Secret ever again.
    pub(super) async fn run(mut self) {
        let client = {
            let report = Arc::clone(&self.report);
            let client = limited(self.client.clone());
            paced::client(client, self.pace.shortest, move || {
                say(report.succeeded(Kind::Secret, &secrets()));
            })
        };
        let mut tasks: BTreeMap<ObjectName, Task> = BTreeMap::new();
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            tasks.retain(|name, _| wanted.contains(name));
            for name in wanted {
                tasks.entry(name.clone()).or_insert_with(|| {
                    let one = One {
                        client: client.clone(),
                        pace: self.pace,
                        events: self.events.clone(),
                        report: Arc::clone(&self.report),
                        name,
                    };
                    Task(tokio::spawn(Box::pin(one.run())))
                });
            }
            if self.wanted.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Follows one Secret.
struct One {
    client: Client,
    pace: Pace,
    events: mpsc::Sender<Event>,
    report: Arc<Report>,
    name: ObjectName,
}

/// Nobody receives the events any more.
type Closed = SendError<Event>;

impl One {
    async fn run(self) {
        tokio::select! {
            () = self.events.closed() => {}
            Err(_closed) = self.follow() => {}
        }
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Closed> {
        let resource = secrets();
        let mut backoff = Backoff::new(self.pace);
        loop {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.name.namespace);
            let selection = format!("metadata.name={}", self.name.name);
            let mut steps = pin!(watcher(api, watcher::Config::default().fields(&selection)));
            let mut listed = None;
            let mut refused = false;
            loop {
                // kube says nothing when a watch begins. Where one seems to stand after all, a list tells
                // that the Secret can be had.
                let step = match refused {
                    true => timeout(self.pace.longest, steps.next()).await,
                    false => Ok(steps.next().await),
                };
                let Ok(Some(step)) = step else {
                    break;
                };
                let event = match step {
                    Ok(watcher::Event::Init) => {
                        listed = None;
                        continue;
                    }
                    Ok(watcher::Event::InitApply(secret)) => {
                        listed = self.accept(secret).or(listed);
                        continue;
                    }
                    Ok(watcher::Event::InitDone) => {
                        say(self.report.succeeded(Kind::Secret, &resource));
                        refused = false;
                        Some(listed.take().unwrap_or_else(|| self.absent()))
                    }
                    Ok(watcher::Event::Apply(secret)) => self.accept(secret),
                    Ok(watcher::Event::Delete(secret)) => {
                        self.is_it(&secret).then(|| self.absent())
                    }
                    Err(error) => {
                        let reason = Reason::of(&error);
                        tracing::debug!(secret = %self.name, ?reason, "watcher failed");
                        self.tell(&resource, &reason).await?;
                        refused |= reason.refused() == Some(Verb::Watch);
                        sleep(backoff.pause()).await;
                        if reason == Reason::Expired {
                            break;
                        }
                        continue;
                    }
                };
                if let Some(event) = event {
                    self.events.send(event).await?;
                }
            }
        }
    }

    /// Says why the Secret cannot be had. That the server is away concerns all kinds, and is said once.
    async fn tell(&self, resource: &Resource, reason: &Reason) -> Result<(), Closed> {
        let why = match reason {
            Reason::Forbidden(verb) => self.permission(*verb),
            Reason::Absent(verb, text) | Reason::Refused(verb, text) => {
                format!("the API server refuses to {verb} it: {text}")
            }
            Reason::Unreachable(_)
            | Reason::Credentials(_)
            | Reason::Expired
            | Reason::Interrupted(_) => {
                say(self.report.failed(Kind::Secret, resource, reason));
                return Ok(());
            }
        };
        let name = self.name.clone();
        self.events
            .send(Event::Unavailable(Kind::Secret, name, why))
            .await
    }

    fn permission(&self, verb: Verb) -> String {
        format!(
            "not allowed to {verb} it: a Role of fairway in namespace {} needs the rule {{apiGroups: [\"\"], \
             resources: [\"secrets\"], resourceNames: [\"{}\"], verbs: [\"get\", \"list\", \"watch\"]}}",
            self.name.namespace, self.name.name
        )
    }

    fn accept(&self, mut secret: Secret) -> Option<Event> {
        if !self.is_it(&secret) {
            return None;
        }
        secret.prune();
        Some(Event::Apply(Object::Secret(Box::new(secret))))
    }

    fn absent(&self) -> Event {
        Event::Delete(Kind::Secret, self.name.clone())
    }

    /// A server that does not honour the selector must not foist another Secret on us.
    fn is_it(&self, secret: &Secret) -> bool {
        secret.metadata.name.as_deref() == Some(&*self.name.name)
            && secret.metadata.namespace.as_deref() == Some(&*self.name.namespace)
    }
}

fn secrets() -> Resource {
    Resource {
        group: String::new(),
        plural: "secrets".to_owned(),
    }
}

/// A client that has only so many requests under way, and begins only so many a second. Watches count
/// until they have begun.
fn limited(inner: Client) -> Client {
    let namespace = inner.default_namespace().to_owned();
    let turns = Arc::new((Semaphore::new(AT_ONCE), Rate::new(PER_SECOND, BURST)));
    let service = service_fn(move |request: Request<Body>| {
        let (inner, turns) = (inner.clone(), Arc::clone(&turns));
        async move {
            let (places, rate) = &*turns;
            let _place = places.acquire().await; // never closed
            rate.turn().await;
            inner.send(request).await
        }
    });
    Client::new(service, namespace)
}

fn say(notices: impl IntoIterator<Item = super::notice::Notice>) {
    notices.into_iter().for_each(|notice| notice.log());
}
