//! What all clients together, and one of them, may occupy of the real program.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use fairway_testkit::ask;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Lab, lab};

use super::conversation::Conversation;
use super::site::Site;
use crate::support::{Cluster, Feed, becomes, fairway};

fn site(flags: &[&str]) -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(Feed::Manifests, lab).with_flags(flags));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site
}

/// Connections that are never used.
fn silent(site: &Site, count: usize) -> Vec<TcpStream> {
    let (client, router) = (site.lab().client().ns(), site.router("node-1"));
    let connect = |_| ask::open(client, router).unwrap();
    (0..count).map(connect).collect()
}

/// Whether the other side has not closed or reset it.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn metric(site: &Site, name: &str) -> u64 {
    let node = site.lab().node("node-1").ns();
    let address = SocketAddr::from(([127, 0, 0, 1], 10249));
    let metrics = ask::http_get(node, address, "node", "/metrics").unwrap();
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

const SHED: &str = "fairway_proxy_client_connections_shed_total";

#[test]
fn idle_connections_make_room_for_others() {
    lab::test(|| {
        let site = site(&["--max-connections=20", "--workers=2"]);
        site.start();
        let idle = silent(&site, 100);
        assert_eq!(site.answers("web", "/"), "web");
        // The worker that answered had made room; the other one may still be at it.
        becomes(true, "room made for everybody", || {
            metric(&site, SHED) >= 80
        });
        becomes(true, "a limit that is kept", || {
            idle.iter().filter(|stream| is_open(stream)).count() <= 20
        });
        assert!(metric(&site, "fairway_proxy_client_connections") <= 20);
    });
}

#[test]
fn one_client_has_its_share() {
    lab::test(|| {
        let site = site(&["--max-connections-per-client=5"]);
        site.start();
        let (client, router) = (site.lab().client().ns(), site.router("node-1"));
        let mut open: Vec<_> = (0..5).map(|_| Conversation::open(client, router)).collect();
        for conversation in &mut open {
            assert_eq!(conversation.get("web", "/"), "web");
        }
        let mut refused = Conversation::open(client, router);
        assert!(refused.is_cut());
        let other = ask::http_get(site.lab().pod("web").ns(), router, "web", "/");
        assert_eq!(other.unwrap().status, 200);
        open.pop();
        becomes("web".to_owned(), "room for another one", || {
            let asked = ask::http_get(client, router, "web", "/");
            asked.map_or_else(
                |error| error.to_string(),
                |response| super::site::outcome(&response),
            )
        });
    });
}

/// The program takes no more connections than it has files for.
#[test]
fn connections_leave_files_for_everything_else() {
    lab::test(|| {
        let site = site(&[]);
        let node = site.lab().node("node-1").ns();
        let mut arguments = vec!["--nofile=400".to_owned(), fairway().display().to_string()];
        arguments.extend(site.run_arguments("node-1"));
        let agent = Agent::start(node, "prlimit".as_ref(), arguments).unwrap();
        let idle = silent(&site, 400);
        assert_eq!(site.answers("web", "/"), "web");
        agent.wait_ready().unwrap();
        assert!(metric(&site, SHED) > 0);
        assert_eq!(metric(&site, "fairway_proxy_accept_errors_total"), 0);
        drop(idle);
    });
}

/// If files run out all the same, accepting pauses, says so once, and goes on when there are some.
#[test]
fn without_files_accepting_pauses_and_recovers() {
    lab::test(|| {
        let site = site(&["--workers=1"]);
        site.start();
        let agent = site.agent("node-1");
        let open = || {
            fs::read_dir(format!("/proc/{}/fd", agent.pid()))
                .unwrap()
                .count()
        };
        let limit = |files: usize| {
            let (pid, files) = (agent.pid().to_string(), format!("--nofile={files}:"));
            let mut prlimit = Command::new("prlimit");
            prlimit.args(["--pid", &pid, &files]);
            assert!(prlimit.status().unwrap().success());
        };
        let (router, client) = (site.router("node-1"), site.lab().client().ns());
        assert_eq!(site.answers("web", "/"), "web");
        // Busy ones, which nobody may close.
        let busy: Vec<_> = (0..20)
            .map(|_| {
                let mut conversation = Conversation::open(client, router);
                conversation.send(
                    "POST /?mirror HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                assert_eq!(conversation.head().status, 200);
                conversation
            })
            .collect();
        let began = Instant::now();
        limit(open() + 1);
        let late: Vec<_> = (0..20)
            .map(|_| Conversation::open(client, router))
            .collect();
        agent
            .wait_for_log("check the limit of open files", Duration::from_secs(10))
            .unwrap();
        for mut conversation in busy {
            conversation.send_chunk("still here");
            assert_eq!(conversation.chunk(), "still here");
        }
        // They have closed, and left room.
        becomes("web".to_owned(), "an answer", || site.answers("web", "/"));
        limit(1000);
        drop(late);
        let errors = metric(&site, "fairway_proxy_accept_errors_total");
        // A pause of 100 ms each time, at each of two listeners.
        let most = 2 * (began.elapsed().as_millis() / 100 + 1);
        assert!(
            (1..=most).contains(&u128::from(errors)),
            "{errors} of {most}"
        );
        assert_eq!(
            agent
                .stderr()
                .matches("check the limit of open files")
                .count(),
            1
        );
    });
}
