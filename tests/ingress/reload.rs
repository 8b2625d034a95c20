//! Requests while the configuration changes.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, OpenLoop, ask};
use rustix::process::Signal;

use super::conversation::Conversation;
use super::http2;
use super::site::Site;
use super::streaming::{echo_a_megabyte, finish_mirror, start_mirror, upgrade};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(
    no_request_notices_that_the_configuration_changes,
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

fn no_request_notices_that_the_configuration_changes(feed: Feed) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fairway.yaml");
    fs::write(&file, configuration("")).unwrap();
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let flags = ["--config", file.to_str().unwrap()];
    let site = Site::new(Cluster::new(feed, lab).with_flags(&flags));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.start();
    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
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
            fs::write(&file, configuration(trusted)).unwrap();
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
    assert_eq!(site.agent("node-1").exit_status(), None);
}

/// The time that open requests have begins with SIGTERM, not with a change of the configuration.
fn what_is_open_stays_until_the_agent_ends(feed: Feed) {
    let directory = tempfile::tempdir().unwrap();
    let [file, log, moved] = ["fairway.yaml", "access.log", "access.log.1"]
        .map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    fs::write(&file, configuration("")).unwrap();
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let flags = ["--config", &file, "--access-log", &log];
    let site = Site::new(Cluster::new(feed, lab).with_flags(&flags));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.start();
    site.becomes("web", "/", "web");
    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
    let [mut ends, mut stays] = [(); 2].map(|()| Conversation::open(client, router));
    upgrade(&mut ends);
    upgrade(&mut stays);

    let agent = site.agent("node-1");
    let starts = || agent.stderr().matches("fairway::agent: ready").count();
    for (count, trusted) in [(2, "0.0.0.0/0"), (3, "")] {
        fs::write(&file, configuration(trusted)).unwrap();
        becomes(count, "started with so many configurations", starts);
    }
    // Longer than drainSeconds: whoever counts them has cut the connections by then.
    std::thread::sleep(Duration::from_millis(1200));
    let ends = echo_a_megabyte(ends);
    let stays = echo_a_megabyte(stays);

    // A router that only waits for its last connections opens its log anew, too.
    fs::rename(&log, &moved).unwrap();
    agent.signal(Signal::USR1);
    let logs = || {
        let files = fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
        let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        files.filter(|file| file == Path::new(&log)).count()
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
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fairway.yaml");
    fs::write(&file, configuration("")).unwrap();
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let flags = ["--config", file.to_str().unwrap()];
    let site = Site::new(Cluster::new(feed, lab).with_flags(&flags));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.start();
    site.becomes("web", "/", "web");
    let mut websocket = Conversation::open(site.lab().client().ns(), site.router("node-1"));
    upgrade(&mut websocket);
    let agent = site.agent("node-1");
    let starts = || agent.stderr().matches("fairway::agent: ready").count();
    for (count, trusted) in [(2, "0.0.0.0/0"), (3, "")] {
        fs::write(&file, configuration(trusted)).unwrap();
        becomes(count, "started with so many configurations", starts);
    }
    let metrics = "127.0.0.1:10249".parse().unwrap();
    let metric = |name: &str, label: &str| {
        let node = site.lab().node("node-1").ns();
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
