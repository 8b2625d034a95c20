use std::time::Duration;

use fairway_model::ObjectName;
use fairway_testkit::apiserver::{ApiServer, Effect, Failure, Fault, Verb};
use serde_json::{Value, json};
use tokio::time::{advance, timeout};

use kube::Client;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn event(kind: &'static str, name: ObjectName, note: &str) -> ObjectEvent {
    ObjectEvent {
        regarding: ObjectRef { kind, name },
        severity: Severity::Warning,
        reason: "Broken",
        action: "Test",
        note: note.to_owned(),
    }
}

fn about_web(note: &str) -> ObjectEvent {
    event("Service", ObjectName::new("shop", "web"), note)
}

/// A server that has `shop/web`.
fn server() -> ApiServer {
    let server = ApiServer::start().unwrap();
    let web = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"}});
    server.apply(web).unwrap();
    server
}

fn connection(server: &ApiServer) -> Connection {
    Client::new(server.service(), "default").into()
}

fn recorder(server: &ApiServer) -> EventRecorder {
    EventRecorder::api(&connection(server), "node-1")
}

fn notes(server: &ApiServer) -> Vec<String> {
    let mut events = server.events("Broken");
    events.sort_by_key(|event| event["eventTime"].to_string());
    let notes = events
        .iter()
        .map(|event| event["note"].as_str().unwrap_or_default().to_owned());
    notes.collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_has_what_kubectl_looks_for() {
    let server = server();
    let recorder = recorder(&server);
    recorder.record(about_web("it broke"));
    recorder.flush().await;
    let [event] = &server.events("Broken")[..] else {
        panic!("{:?}", server.events("Broken"));
    };
    let service = server.get("Service", "shop", "web").unwrap();
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": "shop",
        "name": "web",
        "uid": service["metadata"]["uid"],
    });
    assert_eq!(event["regarding"], expected);
    for (field, value) in [
        ("type", "Warning"),
        ("reason", "Broken"),
        ("action", "Test"),
        ("note", "it broke"),
        ("reportingController", "fairway"),
        ("reportingInstance", "fairway-node-1"),
    ] {
        assert_eq!(event[field], value, "{event}");
    }
    assert_eq!(event["metadata"]["namespace"], "shop");
}

#[tokio::test(start_paused = true)]
async fn names_and_notes_of_any_length_fit() {
    let server = server();
    let recorder = recorder(&server);
    let long = "é".repeat(1000);
    recorder.record(about_web(&long));
    let node = "n".repeat(253);
    recorder.record(event("Node", ObjectName::new("", node.as_str()), "node"));
    recorder.flush().await;
    let events = server.events("Broken");
    let [of_node, of_web] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(of_web["note"].as_str().unwrap(), &long[..1024]);
    assert_eq!(of_node["metadata"]["namespace"], "default");
    assert_eq!(of_node["regarding"]["uid"], node);
    assert_eq!(of_node["regarding"]["namespace"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_same_is_sent_once_in_ten_minutes() {
    let server = server();
    let recorder = recorder(&server);
    for _ in 0..100 {
        recorder.record(about_web("a"));
        recorder.clone().record(about_web("b"));
        advance(Duration::from_secs(1)).await;
    }
    recorder.flush().await;
    assert_eq!(notes(&server), ["a", "b"]);
    advance(10 * MINUTE).await;
    recorder.record(about_web("a"));
    recorder.flush().await;
    assert_eq!(notes(&server).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_object_cannot_flood_the_server() {
    let server = server();
    let recorder = recorder(&server);
    for number in 0..1000 {
        recorder.record(about_web(&number.to_string()));
    }
    recorder.record(event("Node", ObjectName::new("", "node-1"), "mine"));
    recorder.flush().await;
    assert_eq!(notes(&server).len(), 11);
    advance(5 * MINUTE).await;
    recorder.record(about_web("later"));
    recorder.record(about_web("too soon"));
    recorder.flush().await;
    assert_eq!(notes(&server).len(), 12);
}

#[tokio::test(start_paused = true)]
async fn objects_without_end_need_no_memory_without_end() {
    let server = server();
    let recorder = recorder(&server);
    for number in 0..10 * QUEUE {
        let name = format!("node-{number}");
        recorder.record(event("Node", ObjectName::new("", name), "broke"));
    }
    let limiter = format!("{:?}", recorder.limiter.lock().unwrap());
    assert!(limiter.matches("regarding").count() <= QUEUE);
    recorder.flush().await;
    assert_eq!(server.count(Verb::Create, "events"), QUEUE);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_waited_for_but_holds_up_nobody() {
    let server = server();
    let recorder = recorder(&server);
    server.go_away();
    recorder.record(about_web("a"));
    assert!(
        timeout(Duration::from_secs(5), recorder.flush())
            .await
            .is_err()
    );
    server.come_back();
    let busy = Effect::Answer(Failure::internal("busy"));
    server.inject(Fault::new(busy).on(Verb::Create).of("events").times(2));
    recorder.flush().await;
    assert_eq!(notes(&server), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_given_up() {
    let server = server();
    let connection = connection(&server);
    let recorder = EventRecorder::api(&connection, "node-1");
    server.inject(Fault::forbid("events"));
    recorder.record(about_web("a"));
    recorder.record(about_web("b"));
    recorder.flush().await;
    assert_eq!(server.count(Verb::Create, "events"), 2);
    assert_eq!(connection.report.forbidden(), ["events.events.k8s.io"]);
    server.heal();
    // An object that is gone needs no Events; one that may not be read has them without its uid.
    recorder.record(event("Service", ObjectName::new("shop", "gone"), "c"));
    recorder.flush().await;
    server.inject(Fault::forbid("services"));
    recorder.record(about_web("d"));
    recorder.flush().await;
    let events = server.events("Broken");
    assert_eq!(notes(&server), ["d"]);
    assert_eq!(events[0]["regarding"]["uid"], Value::Null);
    assert!(connection.report.troubles().is_empty());
}

/// As agents do that come to lead one after the other.
#[tokio::test(start_paused = true)]
async fn what_stands_is_told_once_by_all_of_them() {
    let server = server();
    for _ in 0..3 {
        let recorder = recorder(&server);
        recorder.send_standing(about_web("a"));
        recorder.send_standing(about_web("b"));
        recorder.send(about_web("happened"));
        recorder.flush().await;
    }
    assert_eq!(server.count(Verb::Create, "events"), 9);
    let mut notes = notes(&server);
    notes.sort();
    assert_eq!(notes, ["a", "b", "happened", "happened", "happened"]);
    // Another object of the same name.
    let web = server.get("Service", "shop", "web").unwrap();
    assert!(server.delete("Service", "shop", "web"));
    server.apply(web).unwrap();
    let recorder = recorder(&server);
    recorder.send_standing(about_web("a"));
    recorder.flush().await;
    assert_eq!(server.events("Broken").len(), 6);
}

/// As it is when a namespace goes away with all it has.
#[tokio::test(start_paused = true)]
async fn what_admission_refuses_is_no_missing_permission() {
    let server = server();
    let connection = connection(&server);
    let recorder = EventRecorder::api(&connection, "node-1");
    for message in [
        "events.events.k8s.io \"web.1\" is forbidden: unable to create new content in namespace shop because it is \
         being terminated",
        "admission webhook \"quota.example.com\" denied the request: enough",
    ] {
        let refusal = Effect::Answer(Failure::forbidden(message));
        server.inject(Fault::new(refusal).of("events").once());
        recorder.record(about_web(message));
        recorder.flush().await;
        assert!(connection.report.troubles().is_empty(), "{message}");
    }
    assert_eq!(
        server.count(Verb::Create, "events"),
        2,
        "neither is tried again"
    );
    assert!(notes(&server).is_empty());
}
