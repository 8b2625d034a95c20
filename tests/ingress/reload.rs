//! Requests while the configuration changes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, OpenLoop, ask, nft};
use rustix::process::Signal;
use tempfile::TempDir;

use super::conversation::Conversation;
use super::http2;
use super::site::Site;
use super::streaming::{echo_a_megabyte, finish_mirror, start_mirror, upgrade};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    no_request_notices_that_the_configuration_changes,
    a_connection_that_is_just_opening_is_served,
    what_is_open_stays_until_the_agent_ends,
    what_is_open_stays_counted,
);

/// Which clients are believed can be seen by what a pod is told of them.
pub(crate) fn configuration(trusted: &str) -> String {
    format!(
        "apiVersion: fairway.dev/v1alpha1\n\
         kind: FairwayConfiguration\n\
         ingressH2c: true\n\
         drainSeconds: 1\n\
         drainDelaySeconds: 0\n\
         trustedProxies: [{trusted}]\n"
    )
}

/// A router whose configuration is in a file.
struct Configured {
    site: Site,
    directory: TempDir,
}

impl Configured {
    /// One that serves, without a log of requests.
    fn start(feed: Feed) -> Self {
        Self::start_with(feed, |_| Vec::new())
    }

    /// One with more flags, which may name files in the configuration's directory.
    fn start_with(feed: Feed, flags: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fairway.yaml");
        fs::write(&file, configuration("")).unwrap();
        let more = flags(directory.path());
        let mut flags = vec!["--config", file.to_str().unwrap()];
        flags.extend(more.iter().map(String::as_str));
        let lab = Lab::builder().nodes(1).pod("web", "node-1");
        let site = Site::new(Cluster::new(feed, lab).with_flags(&flags));
        site.apply_apps(&["web"]);
        let web = ingress("web").class("fairway");
        site.apply("web", [web.prefix("web", "/", "web", 80)]);
        site.start();
        site.becomes("web", "/", "web");
        Self { site, directory }
    }

    fn write(&self, configuration: String) {
        fs::write(self.directory.path().join("fairway.yaml"), configuration).unwrap();
    }

    /// Until it has started with so many configurations.
    fn has_started(&self, count: usize) {
        let agent = self.site.agent("node-1");
        let starts = || agent.stderr().matches("fairway::agent: ready").count();
        becomes(count, "started with so many configurations", starts);
    }

    fn client(&self) -> &Namespace {
        self.site.lab().client().ns()
    }

    fn router(&self) -> SocketAddr {
        self.site.router("node-1")
    }
}

fn no_request_notices_that_the_configuration_changes(feed: Feed) {
    let configured = Configured::start(feed);
    let (client, router) = (configured.client(), configured.router());
    let claims = || {
        let request = http::Request::get("/").header("host", "web");
        let request = request.header("x-forwarded-proto", "https");
        let response = ask::http(client, router, request.body(bytes::Bytes::new()).unwrap());
        let answer = response.unwrap().answer().expect("the pod's answer");
        answer.header("x-forwarded-proto")[0].to_owned()
    };
    becomes("http".to_owned(), "a stranger's claim", claims);

    let [mut websocket, mut mirror] = [(); 2].map(|()| Conversation::open(client, router));
    upgrade(&mut websocket);
    start_mirror(&mut mirror);
    let load = OpenLoop {
        server: router,
        host: "web".to_owned(),
        path: "/".to_owned(),
        rate: 500.0,
        duration: Duration::from_millis(1500),
        connections: 4,
    };
    let enough = AtomicBool::new(false);
    let (kept, fresh, streams) = std::thread::scope(|scope| {
        let kept = scope.spawn(|| load.run(client).unwrap());
        let fresh = scope.spawn(|| {
            let mut asked = 0;
            while !enough.load(Ordering::Acquire) {
                let response = ask::http_get(client, router, "web", "/").unwrap();
                assert_eq!(response.status, 200);
                asked += 1;
            }
            asked
        });
        let streams =
            scope.spawn(|| http2::ask_until(&enough, client, router, "http://web/?delay=5"));
        // To and fro, so that whoever takes over is replaced as well.
        for (trusted, expected) in [("0.0.0.0/0", "https"), ("", "http"), ("0.0.0.0/0", "https")] {
            configured.write(configuration(trusted));
            becomes(expected.to_owned(), "the client's claim", claims);
        }
        let kept = kept.join().unwrap();
        enough.store(true, Ordering::Release);
        (kept, fresh.join().unwrap(), streams.join().unwrap())
    });
    assert_eq!(kept.failed(), 0, "{kept}");
    assert_eq!(kept.statuses.get(&200), Some(&750), "{kept}");
    assert!(fresh > 0 && streams.requests > 0);
    assert!(streams.connections > 1, "{streams:?}: others took over");

    // What was open is finished by whoever accepted it.
    finish_mirror(&mut mirror);
    echo_a_megabyte(websocket);
    assert_eq!(configured.site.agent("node-1").exit_status(), None);
}

/// The end of a handshake may come after the change, also where fewer threads accept from then on.
fn a_connection_that_is_just_opening_is_served(feed: Feed) {
    let configured = Configured::start(feed);
    let (client, router) = (configured.client(), configured.router());
    let hold = "table inet hold { chain output {
        type filter hook output priority 0;
        tcp flags & (syn | ack) == ack drop;
    }; }";
    nft::apply(client, hold).unwrap();
    // Enough for every listener to have some. What they wait for is on its way, for all that they know.
    let opening = [(); 16].map(|()| Conversation::open(client, router));
    for (count, workers) in [(2, 1), (3, 3)] {
        configured.write(configuration("") + &format!("workers: {workers}\n"));
        configured.has_started(count);
    }
    nft::apply(client, "delete table inet hold").unwrap();
    for mut conversation in opening {
        conversation.send("GET / HTTP/1.1\r\nhost: web\r\n\r\n");
        assert_eq!(conversation.head().status, 200);
    }
}

/// The time that open requests have begins with SIGTERM, not with a change of the configuration.
fn what_is_open_stays_until_the_agent_ends(feed: Feed) {
    let configured = Configured::start_with(feed, |directory| {
        let log = directory.join("access.log");
        vec!["--access-log".to_owned(), log.to_str().unwrap().to_owned()]
    });
    let (client, router) = (configured.client(), configured.router());
    let [log, moved] =
        ["access.log", "access.log.1"].map(|name| configured.directory.path().join(name));
    let [mut ends, mut stays] = [(); 2].map(|()| Conversation::open(client, router));
    upgrade(&mut ends);
    upgrade(&mut stays);

    for (count, trusted) in [(2, "0.0.0.0/0"), (3, "")] {
        configured.write(configuration(trusted));
        configured.has_started(count);
    }
    // Longer than drainSeconds: whoever counts them has cut the connections by then.
    std::thread::sleep(Duration::from_millis(1200));
    let ends = echo_a_megabyte(ends);
    let stays = echo_a_megabyte(stays);

    // A router that only waits for its last connections opens its log anew, too.
    fs::rename(&log, &moved).unwrap();
    let agent = configured.site.agent("node-1");
    agent.signal(Signal::USR1);
    let logs = || {
        let files = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
        let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        files.filter(|file| *file == log).count()
    };
    becomes(2, "logs that are open: of now, and of then", logs);
    drop(ends);
    becomes(true, "the line of the WebSocket", || {
        let lines = fs::read_to_string(&log).unwrap();
        lines.contains("\"status\":101")
    });

    agent.signal(Signal::TERM);
    let mut stays = echo_a_megabyte(stays);
    assert_eq!(agent.exit_status(), None, "it waits for the WebSocket");
    assert!(stays.is_cut(), "at the deadline");
    assert!(agent.wait().unwrap().success());
}

/// Who looks at a node sees all of its traffic, whatever configuration it has begun with.
fn what_is_open_stays_counted(feed: Feed) {
    let configured = Configured::start(feed);
    let mut websocket = Conversation::open(configured.client(), configured.router());
    upgrade(&mut websocket);
    for (count, trusted) in [(2, "0.0.0.0/0"), (3, "")] {
        configured.write(configuration(trusted));
        configured.has_started(count);
    }
    let metrics = "127.0.0.1:10249".parse().unwrap();
    let metric = |name: &str, label: &str| {
        let node = configured.site.lab().node("node-1").ns();
        let text = ask::http_get(node, metrics, "node", "/metrics").unwrap();
        let text = text.text();
        let mut lines = text.lines().filter(|line| line.starts_with(name));
        let line = lines.find(|line| line.contains(label))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let in_flight = || metric("fairway_proxy_requests_in_flight{", "host=\"web\"");
    becomes(Some(1.0), "requests in flight", in_flight);
    let requests = |code: &str| metric("fairway_proxy_requests_total{", code);
    assert_eq!(requests("code=\"101\""), None);
    assert!(requests("code=\"200\"") >= Some(1.0));
    drop(websocket);
    becomes(Some(1.0), "WebSockets that are over", || {
        requests("code=\"101\"")
    });
    becomes(Some(0.0), "requests in flight", in_flight);
}
