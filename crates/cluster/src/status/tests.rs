//! Against a fake API server in the same process, on paused time.

use std::time::Duration;

use fairway_testkit::apiserver::{ApiServer, Effect, Failure, Fault, Verb};
use serde_json::{Value, json};
use tokio::time::sleep;

use kube::Client;

use super::*;
use crate::Candidate;

const SETTLED: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);

struct Bench {
    server: ApiServer,
    connection: Connection,
    candidate: Candidate,
    publisher: Publisher,
}

impl Bench {
    async fn start(publish: Publish, prepare: impl FnOnce(&ApiServer)) -> Self {
        let server = ApiServer::start().unwrap();
        class(&server, "fairway", "fairway.dev/ingress");
        class(&server, "other", "example.com/other");
        prepare(&server);
        Self::lead(server, "fairway", &Options::default(), publish).await
    }

    async fn lead(server: ApiServer, lease: &str, options: &Options, publish: Publish) -> Self {
        let connection = Connection::from(Client::new(server.service(), "fairway"));
        let candidate = Candidate::stand(&connection, lease, "node-1");
        let source = Source::Api(connection.clone());
        let publisher = Publisher::start(&source, options, publish, candidate.leadership());
        let bench = Self {
            server,
            connection,
            candidate,
            publisher: publisher.unwrap(),
        };
        sleep(SETTLED).await;
        assert!(bench.candidate.leadership().is_held());
        bench
    }

    async fn step_down(self) -> ApiServer {
        drop(self.publisher);
        self.candidate.step_down().await;
        self.server
    }

    async fn change(&self, change: impl FnOnce(&ApiServer)) {
        change(&self.server);
        sleep(SETTLED).await;
    }

    /// What an Ingress says, in one line.
    fn says(&self, name: &str) -> String {
        let ingress = self.server.get("Ingress", "default", name).unwrap();
        let entries = ingress["status"]["loadBalancer"]["ingress"].as_array();
        let entries = entries.into_iter().flatten();
        let texts: Vec<_> = entries
            .map(|entry| match (&entry["ip"], &entry["hostname"]) {
                (Value::String(ip), _) => ip.clone(),
                (_, Value::String(hostname)) => hostname.clone(),
                _ => panic!("{entry}"),
            })
            .collect();
        texts.join(" ")
    }

    fn writes(&self) -> usize {
        self.server.count(Verb::Patch, "ingresses")
    }
}

fn class(server: &ApiServer, name: &str, controller: &str) {
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": { "name": name }, "spec": { "controller": controller },
    });
    server.apply(class).unwrap();
}

fn ingress(server: &ApiServer, name: &str, class: &str) {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "ingressClassName": class },
    });
    server.apply(ingress).unwrap();
}

/// Leaves the status as it is.
fn change_class(server: &ApiServer, name: &str, class: &str) {
    let mut object = server.get("Ingress", "default", name).unwrap();
    object["spec"]["ingressClassName"] = class.into();
    server.apply(object).unwrap();
}

fn balancer(server: &ApiServer, ingress: Value) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "balancer", "namespace": "fairway" },
        "spec": { "type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"] },
        "status": { "loadBalancer": { "ingress": ingress } },
    });
    server.apply(service).unwrap();
}

fn node(server: &ApiServer, name: &str, ready: &str, addresses: Value) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
        "status": { "conditions": [{ "type": "Ready", "status": ready }], "addresses": addresses },
    });
    server.apply(node).unwrap();
}

fn addresses(texts: &[&str]) -> Publish {
    Publish::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn of_balancer() -> Publish {
    Publish::Service(ObjectName::new("fairway", "balancer"))
}

#[tokio::test(start_paused = true)]
async fn ours_and_only_ours_are_written_once() {
    let publish = addresses(&["203.0.113.7", "edge.example.com"]);
    let bench = Bench::start(publish, |server| {
        ingress(server, "ours", "fairway");
        ingress(server, "theirs", "other");
    })
    .await;
    assert_eq!(bench.says("ours"), "203.0.113.7 edge.example.com");
    assert_eq!(bench.says("theirs"), "");
    assert_eq!(bench.writes(), 1);

    sleep(60 * MINUTE).await;
    assert_eq!(bench.writes(), 1, "nothing changed");

    bench
        .change(|server| ingress(server, "late", "fairway"))
        .await;
    assert_eq!(bench.says("late"), "203.0.113.7 edge.example.com");
    assert_eq!(bench.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
        ingress(server, "ours", "fairway");
    })
    .await;
    let server = bench.step_down().await;
    assert_eq!(server.count(Verb::Patch, "ingresses"), 1);

    let options = Options::default();
    let bench = Bench::lead(server, "fairway", &options, addresses(&["203.0.113.7"])).await;
    sleep(MINUTE).await;
    assert_eq!(bench.writes(), 1);
}

/// Who led before may have written what the next leader has to take back.
#[tokio::test(start_paused = true)]
async fn what_leaves_our_class_is_let_go_by_whoever_leads_then() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
        for name in ["stays", "leaves", "left"] {
            ingress(server, name, "fairway");
        }
    })
    .await;
    let server = bench.step_down().await;
    change_class(&server, "left", "other");
    // Of another router, which has other classes and the same address.
    let router = Options {
        ingress_class: "internal".to_owned(),
        controllers: vec!["example.com/internal".to_owned()],
        ..Options::default()
    };
    let other = Bench::lead(server, "internal", &router, addresses(&["203.0.113.7"])).await;
    assert_eq!(other.says("left"), "203.0.113.7");
    let server = other.step_down().await;

    let options = Options::default();
    let bench = Bench::lead(server, "fairway", &options, addresses(&["203.0.113.7"])).await;
    assert_eq!(bench.says("left"), "");
    bench
        .change(|server| change_class(server, "leaves", "other"))
        .await;
    assert_eq!(bench.says("leaves"), "");
    sleep(10 * MINUTE).await;
    assert_eq!(bench.says("stays"), "203.0.113.7");
    assert_eq!(bench.writes(), 5, "three, and two taken back");
}

#[tokio::test(start_paused = true)]
async fn the_addresses_of_a_service_are_followed() {
    let bench = Bench::start(of_balancer(), |server| {
        ingress(server, "ours", "fairway");
        balancer(server, json!([]));
    })
    .await;
    assert_eq!(bench.writes(), 0, "a balancer that is still being made");

    bench
        .change(|server| balancer(server, json!([{ "ip": "203.0.113.7" }])))
        .await;
    assert_eq!(bench.says("ours"), "203.0.113.7");
    bench
        .change(|server| balancer(server, json!([{ "hostname": "lb.example.com" }])))
        .await;
    assert_eq!(bench.says("ours"), "lb.example.com");

    bench
        .change(|server| assert!(server.delete("Service", "fairway", "balancer")))
        .await;
    assert_eq!(bench.says("ours"), "lb.example.com", "the last ones stay");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_can_take_traffic_are_published() {
    let bench = Bench::start(Publish::Nodes, |server| {
        ingress(server, "ours", "fairway");
        let external = json!([
            { "type": "InternalIP", "address": "10.0.0.1" },
            { "type": "ExternalIP", "address": "203.0.113.1" },
        ]);
        node(server, "a", "True", external);
        let internal = json!([{ "type": "InternalIP", "address": "10.0.0.2" }]);
        node(server, "b", "True", internal.clone());
        node(server, "c", "False", internal);
    })
    .await;
    assert_eq!(bench.says("ours"), "10.0.0.2 203.0.113.1");
    let internal = json!([{ "type": "InternalIP", "address": "10.0.0.2" }]);
    bench
        .change(|server| node(server, "b", "False", internal))
        .await;
    assert_eq!(bench.says("ours"), "203.0.113.1");
}

#[tokio::test(start_paused = true)]
async fn what_leaves_our_class_is_let_go() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
        ingress(server, "ours", "fairway");
    })
    .await;
    assert_eq!(bench.says("ours"), "203.0.113.7");
    bench
        .change(|server| change_class(server, "ours", "other"))
        .await;
    assert_eq!(bench.says("ours"), "");
    bench
        .change(|server| change_class(server, "ours", "fairway"))
        .await;
    sleep(MINUTE).await;
    assert_eq!(bench.says("ours"), "203.0.113.7");
}

#[tokio::test(start_paused = true)]
async fn a_fight_is_not_fought_at_full_speed() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
        ingress(server, "ours", "fairway");
    })
    .await;
    let theirs = |server: &ApiServer| {
        let mut object = server.get("Ingress", "default", "ours").unwrap();
        object["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "198.51.100.1" }] } });
        server.apply(object).unwrap();
    };
    for _ in 0..20 {
        bench.change(theirs).await;
    }
    assert_eq!(bench.writes(), 1, "within a minute");
    sleep(MINUTE).await;
    assert_eq!(bench.writes(), 2);
    assert_eq!(bench.says("ours"), "203.0.113.7");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_tried_again_and_hold_up_nothing_else() {
    // More than are written at once.
    let refused: Vec<_> = (0..17).map(|number| format!("a-{number}")).collect();
    for failure in [
        Failure::forbidden("admission webhook \"policy.example.com\" denied the request: not now"),
        Failure::internal("failed calling webhook \"policy.example.com\": connection refused"),
        Failure::invalid("the status has nothing to say here"),
        Failure::internal("etcdserver: request is too large"),
    ] {
        let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
            for name in &refused {
                let fault = Fault::new(Effect::Answer(failure.clone())).of("ingresses");
                server.inject(fault.on(Verb::Patch).named(name));
                ingress(server, name, "fairway");
            }
            ingress(server, "z", "fairway");
        })
        .await;
        sleep(2 * MINUTE).await;
        assert_eq!(bench.says("z"), "203.0.113.7", "{failure}");
        assert!(bench.connection.report.forbidden().is_empty(), "{failure}");

        let before = bench.writes();
        sleep(60 * MINUTE).await;
        let hourly = (bench.writes() - before) / refused.len();
        assert!((25..=60).contains(&hourly), "{hourly} attempts each");
        ingress(&bench.server, "b", "fairway");
        sleep(2 * MINUTE).await;
        assert_eq!(bench.says("b"), "203.0.113.7", "{failure}");

        bench.server.heal();
        sleep(2 * MINUTE).await;
        for name in &refused {
            assert_eq!(bench.says(name), "203.0.113.7", "{failure}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_neither_watches_nor_writes() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |_| {}).await;
    let lists = bench.server.count(Verb::List, "ingresses");
    let connection = Connection::from(Client::new(bench.server.service(), "fairway"));
    let candidate = Candidate::stand(&connection, "fairway", "node-2");
    let source = Source::Api(connection);
    let publish = addresses(&["198.51.100.1"]);
    let _publisher = Publisher::start(
        &source,
        &Options::default(),
        publish,
        candidate.leadership(),
    )
    .unwrap();
    bench
        .change(|server| ingress(server, "ours", "fairway"))
        .await;
    assert_eq!(bench.says("ours"), "203.0.113.7");
    assert_eq!(bench.server.count(Verb::List, "ingresses"), lists);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_write_says_so() {
    let bench = Bench::start(addresses(&["203.0.113.7"]), |server| {
        server.inject(Fault::forbid("ingresses").on(Verb::Patch));
        ingress(server, "ours", "fairway");
    })
    .await;
    assert_eq!(bench.says("ours"), "");
    let forbidden = || bench.connection.report.forbidden();
    assert_eq!(forbidden(), ["ingresses.networking.k8s.io/status"]);
    bench.server.heal();
    sleep(Duration::from_secs(8)).await;
    assert_eq!(bench.says("ours"), "203.0.113.7");
    assert!(forbidden().is_empty());
}

#[test]
fn what_is_neither_address_nor_name_is_refused() {
    for text in ["", "*.example.com", "a b", "10.0.0.1:80", "-", "http://a"] {
        assert_eq!(text.parse::<StatusAddress>(), Err(AddressError), "{text}");
    }
    let address: StatusAddress = "2001:db8::7".parse().unwrap();
    assert_eq!(address.to_string(), "2001:db8::7");
}
