//! What is open while an agent ends: HTTP/2 and WebSockets.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairway_testkit::balancer::HealthCheck;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Balancer, Family, Lab, ask, eventually};

use super::conversation::Conversation;
use super::http2;
use super::site::{Site, app};
use super::streaming::{echo_a_megabyte, upgrade};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};

fed_both_ways!(streams_move_on_and_websockets_stay_until_the_deadline);

/// HTTP/2 through a balancer that checks health, and a WebSocket, while one of two nodes is told to
/// stop.
fn streams_move_on_and_websockets_stay_until_the_deadline(feed: Feed) {
    let lab = Lab::builder().nodes(2).pods_per_node(1);
    let flags = [
        "--drain-delay-seconds=2",
        "--drain-seconds=6",
        "--ingress-h2c",
    ];
    let site = Site::new(Cluster::new(feed, lab).with_flags(&flags));
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
    for node in lab.nodes() {
        let answers = || site.get_at(node.name(), "web", "/").status.as_u16();
        becomes(200, node.name(), answers);
    }
    let (client, server) = (
        lab.client().ns(),
        (lab.balancer().ip(Family::V4), 80).into(),
    );
    eventually("the node ports are open", || {
        let mut nodes = lab.nodes().iter();
        nodes.try_for_each(|_| ask::http_get(client, server, "web", "/").map(drop))
    });
    let router = site.router("node-1");
    let mut websocket = Conversation::open(client, router);
    upgrade(&mut websocket);
    let agent = site.agent("node-1");
    let enough = AtomicBool::new(false);
    let begun = Barrier::new(6);
    let ask = |server, url| {
        begun.wait();
        http2::ask_until(&enough, client, server, url)
    };
    let asked = std::thread::scope(|scope| {
        // Half of them are served by the other node all the time.
        let asking = [(); 4].map(|()| scope.spawn(|| ask(server, "http://web/x")));
        // Chunks for half a second: some stream of it is open whatever happens.
        let slow = "http://web/?chunks=11&every=50";
        let streaming = scope.spawn(|| ask(router, slow));
        begun.wait();
        agent.signal(rustix::process::Signal::TERM);
        becomes(2, "healthy nodes, in both families", || {
            balancer.healthy().len()
        });
        enough.store(true, Ordering::Release);
        let streamed = streaming.join().unwrap();
        assert_eq!(streamed.connections, 1, "it is served on meanwhile");
        becomes(true, "the port is closed", || {
            ask::http_get(client, router, "web", "/").is_err()
        });
        asking.map(|asking| asking.join().unwrap())
    });
    assert!(
        asked.iter().all(|asked| asked.requests > 0),
        "{asked:?} asked"
    );
    assert_eq!(agent.exit_status(), None, "it waits for the WebSocket");
    let mut websocket = echo_a_megabyte(websocket);
    assert!(websocket.is_cut(), "at the deadline");
    assert!(agent.wait().unwrap().success());
}
