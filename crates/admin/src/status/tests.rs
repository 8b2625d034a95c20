//! The room by its two addresses.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fairway_model::{
    Action, Backend, BackendPort, Conditions, Endpoint, HostPattern, HostRoutes, ObjectName,
    ObjectRef, PathMatch, Protocol, RequestMatch, Rule, RuleId, Service, ServicePort, Snapshot,
};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::server::{Asked, Body};
use crate::{Health, Site};

/// Markup where objects have text.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>";

fn service(name: &str) -> Service {
    let mut service = Service::new(ObjectName::new("shop", name));
    let mut port = ServicePort::new(Protocol::Tcp, 80.try_into().unwrap());
    let endpoint = |last: u8| Endpoint::ready([10, 0, 0, last].into(), 8080.try_into().unwrap());
    let mut gone = endpoint(2);
    gone.conditions = Conditions {
        ready: false,
        serving: true,
        terminating: true,
    };
    port.endpoints = [endpoint(1), gone].into();
    service.cluster_ips = vec![[10, 96, 0, 1].into()];
    service.ports = vec![port];
    service
}

fn rule(path: &str) -> Rule {
    let id = RuleId {
        object: ObjectRef {
            kind: "Ingress",
            name: ObjectName::new("shop", "web"),
        },
        field: "spec.rules[0].http.paths[0]".into(),
    };
    let backend = Backend {
        service: ObjectName::new("shop", "web"),
        port: BackendPort::Number(80.try_into().unwrap()),
        weight: 1,
    };
    let matches = RequestMatch::path(PathMatch::Prefix(path.into()));
    Rule::new(id, matches, Action::Forward(vec![backend]))
}

fn status() -> Status {
    let mut snapshot = Snapshot::default();
    for name in ["api", "web"] {
        let service = service(name);
        snapshot
            .services
            .insert_mut(service.name.clone(), Arc::new(service));
    }
    let routes = HostRoutes {
        rules: vec![rule("/"), rule("/cart")],
        ..HostRoutes::default()
    };
    let host = HostPattern::Exact("web.example".into());
    snapshot.routes.hosts.insert_mut(host, Arc::new(routes));
    Status {
        version: "1.2.3",
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
        since: SystemTime::UNIX_EPOCH,
        snapshot: Arc::new(snapshot),
        judge: |_, port, _| {
            let judged = port.endpoints.iter().map(|endpoint| Judgement {
                used: endpoint.conditions.ready,
                why: format!("because of {}", endpoint.address),
            });
            judged.collect()
        },
        certificates: vec![ShownCertificate {
            host: Some("web.example".to_owned()),
            secret: ObjectName::new("shop", "tls"),
            not_after: 0,
        }],
        problems: vec![ReportedProblem {
            object: "Ingress shop/web".to_owned(),
            field: "spec".to_owned(),
            reason: "Invalid",
            message: HOSTILE.to_owned(),
        }],
        problem_count: 1,
        traffic: vec![RouteTraffic {
            host: "web.example".to_owned(),
            path: "/cart".to_owned(),
            ingress: ObjectNameText {
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
            },
            requests: 7,
            server_errors: 2,
            ..RouteTraffic::default()
        }],
    }
}

/// A site whose agent answers with this.
async fn site(status: Status) -> StatusSite {
    let (feed, mut requests) = StatusFeed::new();
    let site = StatusSite::new(feed, Health::default());
    let answer = async {
        requests.next().await.answer(status);
    };
    tokio::join!(site.refresh("/status.json"), answer);
    site
}

fn get(site: &StatusSite, path: &str, query: &str, host: &str) -> Response<Body> {
    let host = Some(host);
    site.answer(&Asked { path, query, host }).unwrap()
}

async fn json_of(site: &StatusSite, query: &str) -> Value {
    let response = get(site, "/status.json", query, "127.0.0.1:10249");
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn each_view_lists_what_there_is() {
    let site = site(status()).await;
    let overview = json_of(&site, "").await;
    assert!(overview.get("list").is_none());
    assert_eq!(
        overview["overview"]["counts"],
        json!({
            "services": 2, "endpoints": 4, "endpoints_ready": 2, "hosts": 1, "routes": 2,
            "certificates": 1, "problems": 1
        })
    );
    assert_eq!(overview["overview"]["traffic"]["requests"], 7);
    assert_eq!(overview["overview"]["at_ms"], 1500);

    let services = json_of(&site, "view=services&filter=we").await["list"].take();
    assert_eq!(
        (services["total"].as_u64(), &services["items"][0]["name"]),
        (Some(1), &json!("web"))
    );
    let port = &services["items"][0]["ports"][0];
    assert_eq!(
        (port["ready"].as_u64(), port["total"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(port["endpoints"][1]["state"], "draining");
    assert_eq!(port["endpoints"][0]["used"], true);
    assert_eq!(port["endpoints"][1]["used"], false);
    assert_eq!(port["endpoints"][1]["why"], "because of 10.0.0.2");

    let routes = json_of(&site, "view=routes&offset=1").await["list"].take();
    assert_eq!(
        (
            routes["total"].as_u64(),
            routes["items"].as_array().unwrap().len()
        ),
        (Some(2), 1)
    );
    let route = &routes["items"][0];
    assert_eq!(
        (&route["path"], &route["to"]),
        (&json!("/cart"), &json!(["shop/web:80"]))
    );
    assert_eq!(route["traffic"]["server_errors"], 2);

    let certificates = json_of(&site, "view=certificates").await["list"].take();
    assert!(certificates["items"][0]["days_left"].as_i64().unwrap() < 0);
    let problems = json_of(&site, "view=problems").await["list"].take();
    assert_eq!(
        problems["items"][0]["message"], HOSTILE,
        "as it is; the page sets it as text"
    );
}

#[tokio::test]
async fn a_large_cluster_is_shown_a_page_at_a_time() {
    let mut status = status();
    let mut snapshot = Snapshot::clone(&status.snapshot);
    for number in 0..30_000 {
        let service = service(&format!("s{number:05}"));
        snapshot
            .services
            .insert_mut(service.name.clone(), Arc::new(service));
    }
    status.snapshot = Arc::new(snapshot);
    let site = site(status).await;
    let started = Instant::now();
    let list = json_of(&site, "view=services&offset=29000&limit=100000").await["list"].take();
    assert_eq!(list["total"], 30_002);
    assert_eq!(list["items"].as_array().unwrap().len(), 500);
    let found = json_of(&site, "view=services&filter=s29999").await["list"].take();
    assert_eq!(found["items"][0]["name"], "s29999");
    // Milliseconds, were this not a debug build on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_page_allows_nothing_but_itself() {
    let site = site(status()).await;
    let [one, two] = [(); 2].map(|()| get(&site, "/status", "", "localhost:10249"));
    let policy = one.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_ne!(
        policy,
        two.headers()["content-security-policy"],
        "a nonce is used once"
    );
    assert!(
        policy.starts_with("default-src 'none'; script-src 'nonce-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let nonce = policy
        .split(['\'', ';'])
        .find_map(|it| it.strip_prefix("nonce-"))
        .unwrap();
    let body = one.into_body().collect().await.unwrap().to_bytes();
    let page = std::str::from_utf8(&body).unwrap();
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!page.contains("{{"), "everything is filled in");
    // Text of objects never becomes markup.
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!page.contains(sink), "{sink}");
    }
    let outside = page.matches("http://").count() + page.matches("https://").count();
    assert_eq!(outside, page.matches("http://www.w3.org/2000/svg").count());
}

#[tokio::test]
async fn names_that_anybody_could_own_are_refused() {
    let site = site(status()).await;
    for (host, expected) in [
        ("127.0.0.1:10249", 200),
        ("[::1]:10249", 200),
        ("localhost", 200),
        ("attacker.example:10249", 403),
        ("127.0.0.1.attacker.example", 403),
        ("", 403),
    ] {
        for path in ["/status", "/status.json"] {
            assert_eq!(
                get(&site, path, "", host).status(),
                expected,
                "{host} {path}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_busy_is_not_waited_for_for_ever() {
    let (feed, requests) = StatusFeed::new();
    let site = StatusSite::new(feed, Health::default());
    site.refresh("/status.json").await;
    let response = get(&site, "/status.json", "", "127.0.0.1");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = get(&site, "/status.json", "view=secrets", "127.0.0.1");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    drop(requests);
}

#[tokio::test]
async fn it_is_a_part_of_the_metrics_port() {
    let (feed, _requests) = StatusFeed::new();
    let (_sender, config) = tokio::sync::watch::channel(Value::Null);
    let site = crate::MetricsSite::new(Arc::default(), config).telling(feed, Health::default());
    let ask = |path| {
        let host = Some("127.0.0.1");
        let answer = site.answer(&Asked {
            path,
            query: "",
            host,
        });
        answer.map(|answer| answer.status())
    };
    assert_eq!(ask("/status"), Some(StatusCode::OK));
    assert_eq!(ask("/healthz"), Some(StatusCode::OK));
    assert_eq!(ask("/"), None);
}
