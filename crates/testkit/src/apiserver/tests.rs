//! The server over its socket, as any HTTP client sees it. What kube-rs makes of it is tested where
//! fairway uses kube-rs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::*;

/// Sends one request on its own connection and returns the reader of the answer and its status.
fn send(server: &ApiServer, method: &str, path: &str, body: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let content_type = match method {
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: fake\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).unwrap();
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    (status, reader)
}

fn request(server: &ApiServer, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
    let (status, mut reader) = send(server, method, path, body);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

fn get(server: &ApiServer, path: &str) -> serde_json::Value {
    let (status, document) = request(server, "GET", path, "");
    assert_eq!(status, 200, "{document}");
    document
}

fn service(name: &str, labels: serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "labels": labels }, "spec": { "clusterIP": "10.0.0.1" },
    })
}

fn names(list: &serde_json::Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn lists_in_pages_show_one_moment() {
    let server = ApiServer::start().unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        server.apply(service(name, json!({}))).unwrap();
    }
    let first = get(&server, "/api/v1/services?limit=2");
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);

    server.delete("Service", "default", "c");
    server.apply(service("bb", json!({}))).unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = get(
        &server,
        &format!("/api/v1/services?limit=5&continue={token}"),
    );
    assert_eq!(names(&rest), ["c", "d", "e"]);
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert!(rest["metadata"]["continue"].is_null());

    server.compact();
    let (status, failure) = request(
        &server,
        "GET",
        &format!("/api/v1/services?continue={token}"),
        "",
    );
    assert_eq!((status, &failure["reason"]), (410, &json!("Expired")));
}

#[test]
fn a_watch_sees_objects_come_into_and_out_of_its_selection() {
    let server = ApiServer::start().unwrap();
    server.apply(service("web", json!({}))).unwrap();
    let (_, mut watch) = send(
        &server,
        "GET",
        "/api/v1/services?watch=true&resourceVersion=1&labelSelector=%21hidden&allowWatchBookmarks=true",
        "",
    );
    let mut next = || {
        let mut line = String::new();
        watch.read_line(&mut line).unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let version = event["object"]["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
        (event["type"].as_str().unwrap().to_owned(), version)
    };
    let event = |kind: &str, version: &str| (kind.to_owned(), version.to_owned());

    server
        .apply(service("web", json!({ "app": "web" })))
        .unwrap();
    assert_eq!(next(), event("MODIFIED", "2"));
    server
        .apply(service("web", json!({ "hidden": "" })))
        .unwrap();
    assert_eq!(next(), event("DELETED", "3"));
    server
        .apply(service("web", json!({ "hidden": "yes" })))
        .unwrap();
    server.apply(service("web", json!({}))).unwrap();
    assert_eq!(next(), event("ADDED", "5"));
    server
        .apply(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } }))
        .unwrap();
    server.send_bookmarks();
    assert_eq!(next(), event("BOOKMARK", "6"));
    server.delete("Service", "default", "web");
    assert_eq!(next(), event("DELETED", "7"));
    assert_eq!(server.watchers("services"), 1);
}

#[test]
fn a_watch_from_a_forgotten_version_has_expired() {
    let server = ApiServer::start().unwrap();
    server.apply(service("a", json!({}))).unwrap();
    server.apply(service("b", json!({}))).unwrap();
    server.compact();
    let event = get(&server, "/api/v1/services?watch=true&resourceVersion=1");
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
}

#[test]
fn a_streaming_list_says_where_it_ends() {
    let server = ApiServer::start().unwrap();
    server.apply(service("a", json!({}))).unwrap();
    let (_, watch) = send(
        &server,
        "GET",
        "/api/v1/services?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=0",
        "",
    );
    let events: Vec<serde_json::Value> = watch
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["type"], "ADDED");
    let mark = &events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!(mark, "true");
}

#[test]
fn writes_check_versions_and_keep_the_status_apart() {
    let server = ApiServer::start().unwrap();
    let path = "/api/v1/namespaces/default/services";
    let mut created = service("web", json!({}));
    created["status"] = json!({ "loadBalancer": "from the client" });
    let (status, mut object) = request(&server, "POST", path, &created.to_string());
    assert_eq!(status, 201);
    assert!(object["status"].is_null());
    assert_eq!(request(&server, "POST", path, &created.to_string()).0, 409);

    let path = format!("{path}/web");
    let body =
        json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } }, "spec": {} });
    let (_, patched) = request(
        &server,
        "PATCH",
        &format!("{path}/status"),
        &body.to_string(),
    );
    assert_eq!(patched["status"], body["status"]);
    assert_eq!(patched["spec"]["clusterIP"], "10.0.0.1");

    object["spec"]["clusterIP"] = "10.0.0.2".into();
    let (status, failure) = request(&server, "PUT", &path, &object.to_string());
    assert_eq!((status, &failure["reason"]), (409, &json!("Conflict")));
    object["metadata"]["resourceVersion"] = patched["metadata"]["resourceVersion"].clone();
    let (status, updated) = request(&server, "PUT", &path, &object.to_string());
    assert_eq!(status, 200);
    assert_eq!(updated["status"], body["status"], "kept");
    assert_eq!(updated["metadata"]["generation"], 2);

    assert_eq!(request(&server, "DELETE", &path, "").0, 200);
    assert_eq!(request(&server, "DELETE", &path, "").0, 404);
}

#[test]
fn stays_away_and_comes_back_with_everything() {
    let server = ApiServer::start().unwrap();
    server.apply(service("web", json!({}))).unwrap();
    let (_, mut watch) = send(
        &server,
        "GET",
        "/api/v1/services?watch=true&resourceVersion=1",
        "",
    );
    server.go_away();
    assert_eq!(
        watch.read_to_string(&mut String::new()).unwrap_or(0),
        0,
        "the watch is cut"
    );
    assert!(TcpStream::connect(server.address()).is_err());
    server.come_back();
    assert_eq!(names(&get(&server, "/api/v1/services")), ["web"]);
}

#[test]
fn misbehaves_as_told_and_heals() {
    let server = ApiServer::start().unwrap();
    server.apply(service("web", json!({}))).unwrap();
    let status = |path: &str| request(&server, "GET", path, "").0;
    let length = |path: &str| {
        let mut text = String::new();
        // A connection that breaks is an error or the end, depending on when it is noticed.
        drop(send(&server, "GET", path, "").1.read_to_string(&mut text));
        text.len()
    };
    let whole = length("/api/v1/services");

    server.inject(Fault::new(Effect::Answer(Failure::too_many_requests(3))).once());
    assert_eq!(status("/api/v1/services"), 429);
    server.inject(Fault::new(Effect::Cut).of("services").on(Verb::List).once());
    assert!(length("/api/v1/services") < whole);
    server.inject(Fault::forbid("services"));
    assert_eq!(
        (status("/api/v1/services"), status("/api/v1/nodes")),
        (403, 200)
    );
    server.heal();
    server.inject(Fault::new(Effect::Slow {
        chunk: 100,
        pause: Duration::ZERO,
    }));
    assert_eq!(length("/api/v1/services"), whole);
    assert_eq!(server.count(Verb::List, "services"), 5);
}

#[test]
fn reads_manifests() {
    let server = ApiServer::start().unwrap();
    server
        .apply_yaml("---\nkind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: one}}\n---\n\n")
        .unwrap();
    assert!(server.get("Node", "", "one").is_some());
    assert_eq!(server.list("Node").len(), 1);
    assert!(
        server
            .apply_yaml("{apiVersion: v1, kind: Unicorn, metadata: {name: x}}")
            .is_err()
    );
    assert!(
        server
            .apply_yaml("{apiVersion: v1, kind: Node, metadata: {}}")
            .is_err()
    );
}
