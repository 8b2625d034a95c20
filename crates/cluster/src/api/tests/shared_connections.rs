//! Watches that share connections, over sockets and TLS, with the client that `run` makes.

use std::io::Write;

use fairway_testkit::apiserver::{Fault, Secure};
use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::*;
use crate::api::client::client_with;
use crate::api::transport::Limits;

const DEADLINE: Duration = Duration::from_secs(20);

/// What is watched whole.
const KINDS: [&str; 6] = [
    "services",
    "endpointslices",
    "nodes",
    "ingresses",
    "ingressclasses",
    "servicecidrs",
];

/// A server with Secrets, and a client that follows them.
pub(super) struct Shop {
    pub(super) server: ApiServer,
    client: Client,
    events: mpsc::Receiver<Event>,
    secrets: tokio::sync::watch::Sender<BTreeSet<ObjectName>>,
    _watch: Watch,
}

fn secret(number: usize, text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": format!("host-{number:03}"), "namespace": "shop" },
        "type": "kubernetes.io/tls", "stringData": {}, "data": { "tls.crt": text, "tls.key": "a2V5" },
    })
}

impl Shop {
    /// Follows so many Secrets and has seen each of them.
    async fn open(secure: Secure, count: usize) -> Self {
        let server = ApiServer::start_secure(secure).unwrap();
        Self::open_with(server, crate::api::client::LIMITS, count).await
    }

    pub(super) async fn open_with(server: ApiServer, limits: Limits, count: usize) -> Self {
        for number in 0..count {
            server.apply(secret(number, "b2xk")).unwrap();
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(server.kubeconfig().as_bytes()).unwrap();
        let client = client_with(Some(file.path()), limits).await.unwrap();
        let pace = Pace {
            shortest: Duration::from_millis(2),
            longest: Duration::from_millis(20),
            ..Pace::default()
        };
        let (sender, events) = mpsc::channel(64);
        let (secrets, wanted) = tokio::sync::watch::channel(BTreeSet::new());
        let watch = watch(&client.clone().into(), &both(), pace, &sender, wanted);
        let mut shop = Self {
            server,
            client,
            events,
            secrets,
            _watch: watch,
        };
        // The kinds come first, and so have the first places.
        shop.watched(0).await;
        shop.want((0..count).collect());
        assert_eq!(shop.seen(count).await, count);
        shop.watched(count).await;
        shop
    }

    /// Follows these Secrets and no others.
    fn want(&self, numbers: Vec<usize>) {
        let names = numbers
            .iter()
            .map(|number| ObjectName::new("shop", format!("host-{number:03}")));
        self.secrets.send_replace(names.collect());
    }

    /// Waits for events about so many different Secrets.
    pub(super) async fn seen(&mut self, count: usize) -> usize {
        let mut seen = BTreeSet::new();
        let deadline = Instant::now() + DEADLINE;
        while seen.len() < count {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Apply(object))) if object.kind() == Kind::Secret => {
                    seen.insert(name(&object));
                }
                Ok(Some(Event::Delete(Kind::Secret, name))) => panic!("{name} was lost"),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        seen.len()
    }

    /// Waits until the server has so many watches on Secrets, and all on other kinds.
    async fn watched(&self, count: usize) {
        let open = |plural: &str| self.server.watchers(plural);
        level("watches", || {
            open("secrets") == count && KINDS.iter().all(|plural| open(plural) == 1)
        })
        .await;
    }

    /// Every request is answered, wherever it goes.
    async fn ask_until_a_connection_is_opened(&self) {
        let before = self.server.accepted();
        self.ask_until("another connection", || self.server.accepted() > before)
            .await;
    }

    /// Connections are looked through when somebody asks.
    async fn ask_until(&self, what: &str, reached: impl Fn() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !reached() {
            assert!(Instant::now() < deadline, "{what} in time");
            self.client.apiserver_version().await.unwrap();
        }
    }

    pub(super) fn change_all(&self, count: usize, text: &str) {
        for number in 0..count {
            self.server.apply(secret(number, text)).unwrap();
        }
    }
}

async fn level(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < deadline, "{what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn two_hundred_watches_need_one_connection() {
    let mut shop = Shop::open(Secure::Http2 { streams: 250 }, 200).await;
    assert_eq!((shop.server.accepted(), shop.server.connections()), (1, 1));
    shop.change_all(200, "bmV3");
    assert_eq!(shop.seen(200).await, 200);
}

#[tokio::test]
async fn a_full_connection_has_nobody_wait() {
    // Six kinds are watched as well.
    let shop = Shop::open(Secure::Http2 { streams: 10 }, 94).await;
    // A list or two may have had to go elsewhere while all were taken.
    let connections = shop.server.connections();
    assert!((10..=12).contains(&connections), "{connections}");
    // All places of the first ones are taken for minutes; whoever else asks is answered nevertheless.
    for _ in 0..20 {
        let version = shop.client.apiserver_version();
        let answer = tokio::time::timeout(DEADLINE, version).await;
        answer.expect("in time").expect("an answer");
    }
    assert!(shop.server.connections() <= 12);
    // Nobody wants them any more: what is empty is closed, but for one.
    shop.want(vec![]);
    shop.watched(0).await;
    shop.ask_until("closed connections", || shop.server.connections() <= 3)
        .await;
}

#[tokio::test]
async fn a_cut_connection_takes_no_secret_with_it() {
    let mut shop = Shop::open(Secure::Http2 { streams: 10 }, 40).await;
    let before = shop.server.accepted();
    shop.server.drop_connections();
    // While nobody watches.
    shop.change_all(40, "bmV3");
    assert_eq!(shop.seen(40).await, 40);
    shop.watched(40).await;
    // From where they were: nothing is listed again.
    assert_eq!(shop.server.count(Verb::List, "secrets"), 40);
    let opened = shop.server.accepted() - before;
    assert!(opened <= 7, "{opened} connections for 46 watches");
}

#[tokio::test]
async fn who_is_told_to_go_away_loses_and_lists_nothing() {
    let mut shop = Shop::open(Secure::Http2 { streams: 100 }, 40).await;
    assert_eq!(shop.server.accepted(), 1);
    shop.server.send_goaway();
    shop.ask_until_a_connection_is_opened().await;
    assert_eq!((shop.server.accepted(), shop.server.connections()), (2, 2));
    // What was under way goes on where it is.
    shop.change_all(40, "bmV3");
    assert_eq!(shop.seen(40).await, 40);
    assert_eq!(shop.server.count(Verb::Watch, "secrets"), 40);
    // Watches end after minutes, and go on from where they were.
    shop.server.end_watches();
    level("watches begun again", || {
        shop.server.count(Verb::Watch, "secrets") == 80
    })
    .await;
    shop.watched(40).await;
    level("the old connection's end", || {
        shop.server.connections() == 1
    })
    .await;
    shop.change_all(40, "bmV4");
    assert_eq!(shop.seen(40).await, 40);
    assert_eq!(shop.server.accepted(), 2);
    assert_eq!(shop.server.count(Verb::List, "secrets"), 40);
    assert_eq!(shop.server.count(Verb::List, "services"), 1);
}

#[tokio::test]
async fn many_connections_that_are_told_to_go_away_fail_no_request() {
    let shop = Shop::open(Secure::Http2 { streams: 2 }, 20).await;
    assert!(shop.server.connections() >= 13);
    // Half of them have a place to spare.
    shop.want((0..20).step_by(2).collect());
    shop.watched(10).await;
    shop.server.send_goaway();
    shop.ask_until_a_connection_is_opened().await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    let mut shop = Shop::open(Secure::Http2 { streams: 100 }, 20).await;
    shop.server.go_away();
    let mut reason = String::new();
    // The first request may be on its way when the connection breaks.
    for _ in 0..2 {
        let error = shop.client.apiserver_version().await.unwrap_err();
        reason = super::super::reason::chain(&error);
        if reason.contains("Connection refused") {
            break;
        }
    }
    assert!(
        reason.contains(&shop.server.url()) && reason.contains("Connection refused"),
        "{reason}"
    );
    shop.change_all(20, "bmV3");
    shop.server.come_back();
    assert_eq!(shop.seen(20).await, 20);
    shop.watched(20).await;
}

#[tokio::test]
async fn without_http2_each_watch_has_a_connection() {
    let mut shop = Shop::open(Secure::Http1, 20).await;
    let connections = shop.server.connections();
    assert!(connections >= 26, "{connections}");
    shop.server.drop_connections();
    shop.change_all(20, "bmV3");
    assert_eq!(shop.seen(20).await, 20);
    // Who comes back is asked again which protocol it speaks, and the answer holds.
    shop.server.go_away();
    shop.server.come_back();
    shop.watched(20).await;
    shop.client.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_reset_disturbs_no_other() {
    let shop = Shop::open(Secure::Http2 { streams: 100 }, 20).await;
    shop.server
        .inject(Fault::new(fairway_testkit::apiserver::Effect::Disconnect).of("nodes"));
    let nodes: kube::Api<Node> = kube::Api::all(shop.client.clone());
    nodes.list(&Default::default()).await.unwrap_err();
    shop.watched(20).await;
    assert_eq!(shop.server.accepted(), 1);
}
