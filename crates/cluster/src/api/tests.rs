//! The watchers against a fake API server in the same process, on paused time: a second of waiting is
//! over when everything that could happen in that second has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use fairway_testkit::apiserver::{ApiServer, Verb};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::*;
use crate::Object;

mod answers;
mod away;
mod client;
mod lists;
mod memory;
mod said;
mod secrets;
mod shared_connections;
mod silent_connections;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    server: ApiServer,
    events: mpsc::Receiver<Event>,
    /// Of lists that are not complete.
    parts: BTreeMap<Kind, Vec<Object>>,
    secrets: tokio::sync::watch::Sender<BTreeSet<ObjectName>>,
    _watch: Watch,
}

impl Bench {
    /// Watches a server that `prepare` has had its hands on.
    fn start(options: &Options, prepare: impl FnOnce(&ApiServer)) -> Self {
        let server = ApiServer::start().unwrap();
        prepare(&server);
        let client = Client::new(server.service(), "default");
        let (sender, events) = mpsc::channel(64);
        let (secrets, wanted) = tokio::sync::watch::channel(BTreeSet::new());
        let watch = watch(
            &client.clone().into(),
            options,
            Pace::default(),
            &sender,
            wanted,
        );
        Self {
            server,
            events,
            parts: BTreeMap::new(),
            secrets,
            _watch: watch,
        }
    }

    /// The same, with the first lists over and forgotten.
    async fn started(options: &Options, prepare: impl FnOnce(&ApiServer)) -> Self {
        let mut bench = Self::start(options, prepare);
        let events = bench.after(SECOND).await;
        assert_eq!(events.len(), Kind::LISTED.len(), "{events:#?}");
        bench
    }

    /// What arrives within a time.
    async fn after(&mut self, time: Duration) -> Vec<String> {
        self.whole(time).await.iter().map(summary).collect()
    }

    /// What arrives within a time, the parts of complete lists put together.
    async fn whole(&mut self, time: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        for event in self.raw(time).await {
            match event {
                Event::Part(kind, objects) => {
                    self.parts.entry(kind).or_default().extend(objects);
                }
                Event::Void(kind) => {
                    let parts = self.parts.remove(&kind);
                    assert!(parts.is_some(), "only what was begun is void: {kind:?}");
                }
                Event::Replace(kind, objects) => {
                    let mut list = self.parts.remove(&kind).unwrap_or_default();
                    list.extend(objects);
                    events.push(Event::Replace(kind, list));
                }
                event => events.push(event),
            }
        }
        events
    }

    async fn raw(&mut self, time: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        let deadline = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(deadline, self.events.recv()).await {
            events.push(event.expect("the watchers live"));
        }
        events
    }

    fn lists(&self, plural: &str) -> usize {
        self.server.count(Verb::List, plural)
    }
}

/// An event in one line: `=` replace, `+` apply, `-` delete, `?` withheld.
fn summary(event: &Event) -> String {
    match event {
        Event::Replace(kind, objects) => {
            let names: Vec<String> = objects.iter().map(name).collect();
            format!("= {} {}", kind.as_str(), names.join(" "))
                .trim_end()
                .to_owned()
        }
        Event::Apply(object) => format!("+ {} {}", object.kind().as_str(), name(object)),
        Event::Delete(kind, name) => format!("- {} {name}", kind.as_str()),
        Event::Withheld(kind) => format!("? {}", kind.as_str()),
        other => panic!("the API source does not send {other:?}"),
    }
}

fn name(object: &Object) -> String {
    metadata(object).name.clone().unwrap_or_default()
}

fn metadata(object: &Object) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    object.metadata()
}

fn both() -> Options {
    Options {
        node_name: "node-1".into(),
        ..Options::default()
    }
}

fn service_proxy_only() -> Options {
    Options {
        ingress: false,
        ..both()
    }
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": {
            "clusterIP": "10.96.0.1", "selector": { "app": name },
            "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    })
}

/// A Service with one field of its metadata set.
fn labelled(name: &str, label: &str) -> Value {
    let mut service = service(name);
    service["metadata"]["labels"] = json!({ label: "" });
    service
}

fn cluster_scoped(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}

/// Changes something that nobody watches, so that the server's version moves on.
fn change_elsewhere(server: &ApiServer) {
    let data = BTreeMap::from([("revision", format!("{:?}", std::time::Instant::now()))]);
    let mut object = cluster_scoped("v1", "ConfigMap", "elsewhere");
    object["data"] = json!(data);
    server.apply(object).unwrap();
}

/// For a watch without Secrets.
fn nothing_wanted() -> tokio::sync::watch::Receiver<BTreeSet<ObjectName>> {
    tokio::sync::watch::channel(BTreeSet::new()).1
}
