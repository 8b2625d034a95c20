use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::ObjectRef;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::{Message, ObjectEvent, Sameness};
use crate::api::{Backoff, Pace, Report};
use crate::{Connection, Right};

/// `reportingController`.
const CONTROLLER: &str = "fairway";

/// What the API takes as `reportingInstance`, in bytes.
const LONGEST_INSTANCE: usize = 128;

/// Of the 253 bytes of a name, what is left beside a dot and sixteen digits.
const LONGEST_PREFIX: usize = 253 - 17;

/// At most so often, as a node's agent is one of thousands; kube-proxy's client allows 5 a second.
const PAUSE: Duration = Duration::from_millis(200);

/// With growing pauses: some two minutes, in which an API server is restarted.
const ATTEMPTS: u32 = 8;

/// Where Events about objects without a namespace go.
const DEFAULT_NAMESPACE: &str = "default";

/// Sends Events one after the other.
pub(super) struct Sender {
    client: Client,
    instance: String,
    report: Arc<Report>,
}

/// What became of an Event.
enum Outcome {
    /// It is sent, or can never be.
    Done,
    /// The API server may take it later.
    Later(kube::Error),
}

impl Sender {
    pub(super) fn new(connection: &Connection, node_name: &str) -> Self {
        let mut instance = format!("{CONTROLLER}-{node_name}");
        instance.truncate(instance.floor_char_boundary(LONGEST_INSTANCE));
        Self {
            client: connection.client.clone(),
            instance,
            report: connection.report.clone(),
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut next = Instant::now();
        while let Some(message) = messages.recv().await {
            match message {
                Message::Event(event, time, sameness) => {
                    sleep_until(next).await;
                    self.deliver(&event, time, sameness).await;
                    next = Instant::now() + PAUSE;
                }
                // Nobody waits any more.
                Message::Flush(done) => drop(done.send(())),
            }
        }
    }

    async fn deliver(&mut self, event: &ObjectEvent, time: Timestamp, sameness: Sameness) {
        let mut backoff = Backoff::new(Pace::default());
        for _ in 0..ATTEMPTS {
            match self.attempt(event, time, sameness).await {
                Outcome::Done => return,
                Outcome::Later(error) => {
                    debug!(%error, object = %event.regarding, "an Event has to wait");
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn attempt(
        &mut self,
        event: &ObjectEvent,
        time: Timestamp,
        sameness: Sameness,
    ) -> Outcome {
        let uid = match self.uid(&event.regarding).await {
            Ok(Uid::Known(uid)) => Some(uid),
            Ok(Uid::Unknown) => None,
            // Nobody will look for it.
            Ok(Uid::Gone) => return Outcome::Done,
            Err(error) => return Outcome::Later(error),
        };
        let namespace = match &*event.regarding.name.namespace {
            "" => DEFAULT_NAMESPACE,
            namespace => namespace,
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let id = match sameness {
            Sameness::Another => format!("{:x}", time.as_nanosecond()),
            Sameness::Same => format!("{:016x}", digest(&(&uid, event))),
        };
        let event = self.document(event, namespace, uid, time, &id);
        let created = events.create(&PostParams::default(), &event).await;
        self.report.wrote(Right::Events, &created);
        match created {
            Ok(_) => Outcome::Done,
            // Another agent was first, or we before a restart; it may be read for as long as it is kept.
            Err(kube::Error::Api(status)) if status.code == 409 => Outcome::Done,
            // 429 and what concerns the server itself pass.
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                debug!(
                    reason = status.message,
                    "the API server takes no such Event"
                );
                Outcome::Done
            }
            Err(error) => Outcome::Later(error),
        }
    }

    /// `kubectl describe` finds the Events of an object by it.
    async fn uid(&self, object: &ObjectRef) -> Result<Uid, kube::Error> {
        let resource = match object.kind {
            // As the kubelet and kube-proxy do; `kubectl describe` knows of it.
            "Node" => return Ok(Uid::Known(object.name.name.to_string())),
            "Service" => ApiResource::erase::<Service>(&()),
            "Ingress" => ApiResource::erase::<Ingress>(&()),
            "IngressClass" => ApiResource::erase::<IngressClass>(&()),
            _ => return Ok(Uid::Unknown),
        };
        let client = self.client.clone();
        let api: Api<DynamicObject> = match &*object.name.namespace {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        };
        match api.get_metadata(&object.name.name).await {
            Ok(object) => Ok(object.metadata.uid.map_or(Uid::Unknown, Uid::Known)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Uid::Gone),
            // Not permitted, perhaps: better without than not at all.
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                Ok(Uid::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    fn document(
        &self,
        event: &ObjectEvent,
        namespace: &str,
        uid: Option<String>,
        time: Timestamp,
        id: &str,
    ) -> Event {
        let object = &event.regarding;
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let prefix = &object.name.name;
        let prefix = &prefix[..prefix.floor_char_boundary(LONGEST_PREFIX)];
        Event {
            metadata: ObjectMeta {
                namespace: text(namespace),
                name: Some(format!("{prefix}.{id}")),
                ..ObjectMeta::default()
            },
            regarding: Some(ObjectReference {
                api_version: Some(api_version(object.kind)),
                kind: text(object.kind),
                namespace: text(&object.name.namespace),
                name: text(&object.name.name),
                uid,
                ..ObjectReference::default()
            }),
            type_: text(event.severity.as_str()),
            reason: text(event.reason),
            action: text(event.action),
            note: text(&event.note),
            event_time: Some(MicroTime(time)),
            reporting_controller: text(CONTROLLER),
            reporting_instance: text(&self.instance),
            ..Event::default()
        }
    }
}

/// The same in every agent of one version.
fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

enum Uid {
    Known(String),
    Unknown,
    Gone,
}

fn api_version(kind: &str) -> String {
    fn of<K: k8s_openapi::Resource>() -> String {
        K::API_VERSION.to_owned()
    }
    match kind {
        "Ingress" => of::<Ingress>(),
        "IngressClass" => of::<IngressClass>(),
        _ => of::<Node>(),
    }
}
