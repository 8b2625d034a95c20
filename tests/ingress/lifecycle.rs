//! The router while its agent starts and ends, and pods come and go.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::apiserver::{Effect, Fault, Verb};
use fairway_testkit::ask::{self, Failure};
use fairway_testkit::balancer::HealthCheck;
use fairway_testkit::lab::Pod;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Balancer, Echo, Family, Lab, OpenLoop, eventually};

use super::conversation::Conversation;
use super::site::{Site, app};
use crate::support::{Cluster, Feed, becomes, fairway, fed_both_ways};

fed_both_ways!(
    a_restart_serves_nothing_before_its_routes,
    a_running_request_is_finished_before_the_end,
    pods_leave_under_load_without_an_error,
    load_balancers_notice_before_a_connection_is_refused,
    the_next_version_takes_over_without_a_refused_connection,
    a_successor_that_fails_changes_nothing,
);

fn a_restart_serves_nothing_before_its_routes(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(1).pod("web", "node-1"));
    site.apply_apps(&["web"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    site.becomes("web", "/", "web");
    let (client, router) = (site.lab().client().ns().clone(), site.router("node-1"));
    let back = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut refused = 0;
            loop {
                let last = back.load(Ordering::Acquire);
                match ask::http_get(&client, router, "web", "/") {
                    Ok(response) => assert_eq!(response.status, 200),
                    Err(error) => {
                        assert_ne!(error.failure(), Failure::TimedOut);
                        refused += 1;
                    }
                }
                if last {
                    return refused;
                }
            }
        });
        site.agent("node-1").kill().unwrap();
        if feed == Feed::Api {
            // Everything else is known long before the Ingresses are.
            let slow = Effect::Delay(Duration::from_millis(300));
            site.api_server()
                .inject(Fault::new(slow).on(Verb::List).of("ingresses").once());
        }
        site.start_agent("node-1");
        back.store(true, Ordering::Release);
        assert!(asking.join().unwrap() > 0, "it was away for a while");
    });
}

fn a_running_request_is_finished_before_the_end(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(1).pod("web", "node-1"));
    site.apply_apps(&["web"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    site.becomes("web", "/", "web");
    let node = site.lab().node("node-1").ns();
    let mut running = Conversation::open(site.lab().client().ns(), site.router("node-1"));
    running.send("POST /?mirror HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
    running.send_chunk("first");
    assert_eq!(running.head().status, 200);
    assert_eq!(running.chunk(), "first");

    let agent = site.agent("node-1");
    agent.signal(rustix::process::Signal::TERM);
    becomes(503, "health while draining", || {
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz");
        health.unwrap().status.as_u16()
    });
    assert_eq!(agent.exit_status(), None);
    running.send_chunk("second");
    assert_eq!(running.chunk(), "second");
    running.send("0\r\n\r\n");
    assert_eq!(running.chunk(), "");
    assert!(agent.wait().unwrap().success());
    assert_eq!(running.closed(), b"");
}

/// Load through a balancer that checks health, while one of two nodes is told to stop.
fn load_balancers_notice_before_a_connection_is_refused(feed: Feed) {
    let lab = Lab::builder().nodes(2).pods_per_node(1);
    let cluster = Cluster::new(feed, lab).with_flags(&["--drain-delay-seconds=1"]);
    let site = Site::new(cluster);
    site.start();
    let lab = site.lab();
    site.expose_routers_locally(30080);
    site.apply("app", app("web", &lab.pods()));
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    let check = HealthCheck {
        port: Agent::HEALTH.port(),
        path: "/healthz".to_owned(),
        interval: Duration::from_millis(100),
    };
    let balancer = Balancer::start_checked(lab, 80, 30080, check).unwrap();
    becomes(4, "healthy nodes, in both families", || {
        balancer.healthy().len()
    });
    let server = (lab.balancer().ip(Family::V4), 80).into();
    for node in lab.nodes() {
        let answers = || site.get_at(node.name(), "web", "/").status.as_u16();
        becomes(200, node.name(), answers);
    }
    eventually("the node ports are open", || {
        let mut nodes = lab.nodes().iter();
        nodes.try_for_each(|_| ask::http_get(lab.client().ns(), server, "web", "/").map(drop))
    });

    let load = OpenLoop {
        server,
        host: "web".to_owned(),
        path: "/".to_owned(),
        rate: 500.0,
        duration: Duration::from_millis(2500),
        connections: 8,
    };
    let client = lab.client().ns().clone();
    let agent = site.agent("node-1");
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| load.run(&client).unwrap());
        agent.signal(rustix::process::Signal::TERM);
        becomes(2, "healthy nodes, in both families", || {
            balancer.healthy().len()
        });
        assert_eq!(site.answers("web", "/").split('-').next(), Some("pod"));
        // What changes meanwhile still takes effect.
        site.apply("app", app("web", &lab.pods()[1..]));
        let left = lab.pods()[1].name().to_owned();
        becomes(left, "the pod that is left", || site.answers("web", "/"));
        running.join().unwrap()
    });
    assert!(agent.wait().unwrap().success());
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.statuses.get(&200), Some(&1250), "{report}");
}

/// Load straight to a router, with kept and with new connections, while another one takes its place.
fn the_next_version_takes_over_without_a_refused_connection(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(1).pods_per_node(2));
    let lab = site.lab();
    let pods = lab.pods();
    site.apply("app", app("web", &pods[..1]));
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.becomes("web", "/", pods[0].name());
    let (client, router) = (lab.client().ns().clone(), site.router("node-1"));
    let load = OpenLoop {
        server: router,
        host: "web".to_owned(),
        path: "/".to_owned(),
        rate: 500.0,
        duration: Duration::from_secs(1),
        connections: 4,
    };
    let over = AtomicBool::new(false);
    let mut open = Conversation::open(&client, router);
    open.send("POST /?mirror HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(open.head().status, 200);

    let first = site.agent("node-1");
    let mut arguments = site.run_arguments("node-1");
    arguments.push("--takeover".to_owned());
    let (report, fresh, next) = std::thread::scope(|scope| {
        let kept = scope.spawn(|| load.run(&client).unwrap());
        let fresh = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Acquire) {
                let response = ask::http_get(&client, router, "web", "/").unwrap();
                assert_eq!(response.status, 200);
                count += 1;
            }
            count
        });
        let node = lab.node("node-1").ns();
        let next = Agent::spawn(node, fairway(), arguments).unwrap();
        next.wait_for_log("fairway::agent: ready", Agent::PATIENCE)
            .unwrap();
        first
            .wait_for_log("another fairway serves now", Agent::PATIENCE)
            .unwrap();
        let report = kept.join().unwrap();
        over.store(true, Ordering::Release);
        (report, fresh.join().unwrap(), next)
    });
    assert_eq!(report.failed(), 0, "{report}");
    assert!(fresh > 0);

    // The first finishes what it has begun, and waits to be stopped.
    open.send_chunk("still here");
    assert_eq!(open.chunk(), "still here");
    assert_eq!(first.exit_status(), None);
    first.signal(rustix::process::Signal::TERM);
    open.send("0\r\n\r\n");
    assert_eq!(open.chunk(), "");
    assert!(first.wait().unwrap().success());

    // The next one is in charge of everything.
    next.wait_ready().unwrap();
    site.apply("app", app("web", &pods[1..]));
    site.becomes("web", "/", pods[1].name());
    assert!(next.terminate().unwrap().success());
}

/// A successor that dies before it serves: the agent goes on, with all that it does.
fn a_successor_that_fails_changes_nothing(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(1).pods_per_node(2));
    let pods = site.lab().pods();
    site.apply("app", app("web", &pods[..1]));
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.becomes("web", "/", pods[0].name());
    let node = site.lab().node("node-1").ns();
    let mut successor = node.run(|| {
        let name = SocketAddr::from_abstract_name("fairway-agent").unwrap();
        UnixStream::connect_addr(&name).unwrap()
    });
    successor.write_all(b"take over\n").unwrap();
    let mut yours = [0; 6];
    successor.read_exact(&mut yours).unwrap();
    assert_eq!(&yours, b"yours\n");
    assert_eq!(site.answers("web", "/"), pods[0].name());
    drop(successor);
    let agent = site.agent("node-1");
    agent.wait_ready().unwrap();
    site.apply("app", app("web", &pods[1..]));
    site.becomes("web", "/", pods[1].name());
    assert!(agent.terminate().unwrap().success());
}

/// 2,000 requests through the load balancer while pods are taken out of the EndpointSlices, removed
/// once the routers have let go of them, and replaced.
fn pods_leave_under_load_without_an_error(feed: Feed) {
    let site = Site::start(feed, Lab::builder().nodes(2).pods_per_node(2));
    let lab = site.lab();
    let _balancer = Balancer::start(lab, 80, 30080).unwrap();
    site.expose_routers(30080);
    let web = ingress("web")
        .class("fairway")
        .prefix("web", "/", "web", 80);
    site.apply("web", [web.prefix("newest", "/", "newest", 80)]);
    site.apply("app", app("web", &lab.pods()));
    let server = (lab.balancer().ip(Family::V4), 80).into();
    for node in lab.nodes() {
        let answers = || site.get_at(node.name(), "web", "/").status.as_u16();
        becomes(200, node.name(), answers);
    }
    eventually("both node ports are open", || {
        let mut nodes = lab.nodes().iter();
        nodes.try_for_each(|_| ask::http_get(lab.client().ns(), server, "web", "/").map(drop))
    });

    let load = OpenLoop {
        server,
        host: "web".to_owned(),
        path: "/".to_owned(),
        rate: 1000.0,
        duration: Duration::from_secs(2),
        // Few, so that on a busy machine requests wait for their turn and not for an answer.
        connections: 4,
    };
    let client = lab.client().ns().clone();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(move || load.run(&client).unwrap());
        let mut pods = VecDeque::from(lab.pods());
        let mut turn = 0;
        while turn < 2 || !running.is_finished() {
            turn += 1;
            let leaving = pods.pop_front().unwrap();
            let newest = format!("new-{turn}");
            pods.push_back(lab.add_pod(&newest, leaving.node()).unwrap());
            // The second Service tells when the change has arrived.
            let objects = [
                app("web", &Vec::from(pods.clone())),
                app("newest", &site.pods(&[&newest])),
            ];
            site.apply("app", objects.concat());
            for node in lab.nodes() {
                becomes(newest.clone(), node.name(), || {
                    site.answers_at(node.name(), "newest", "/")
                });
            }
            becomes(0, "connections to the pod that left", || {
                connections(&leaving)
            });
            lab.remove_pod(leaving.name()).unwrap();
        }
        running.join().unwrap()
    });
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.statuses.get(&200), Some(&2000), "{report}");
}

/// How many connections a pod's HTTP server has.
fn connections(pod: &Pod) -> usize {
    let tables = pod.ns().run(|| {
        ["tcp", "tcp6"]
            .map(|table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}")))
    });
    let server = format!(":{:04X}", Echo::HTTP);
    let open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let is_server = fields.next().is_some_and(|local| local.ends_with(&server));
        // 01 is ESTABLISHED, 03 is SYN_RECV; the remote address lies between.
        is_server
            && fields
                .nth(1)
                .is_some_and(|state| ["01", "03"].contains(&state))
    };
    tables
        .iter()
        .flatten()
        .map(|table| table.lines().filter(open).count())
        .sum()
}
