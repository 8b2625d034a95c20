//! API servers that are not there.

use fairway_testkit::apiserver::{Effect, Fault};
use fairway_testkit::objects::ingress;
use fairway_testkit::{Agent, Lab, ask, lab};

use super::Told;
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed, becomes};

fn site() -> Site {
    let lab = Lab::builder().nodes(1).pod("web", "node-1");
    let site = Site::new(Cluster::new(Feed::Api, lab));
    site.apply_apps(&["web"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "web", 80)],
    );
    site
}

#[test]
fn an_unreachable_one_is_told_once_and_waited_for() {
    lab::test(|| {
        let site = site();
        let server = site.api_server();
        server.go_away();
        let agent = site.spawn_agent("node-1");
        let unreachable = format!("cannot reach the API server: {}", server.url());
        Told(&agent).wait(&[&unreachable]);
        let node = site.lab().node("node-1").ns();
        let health = ask::http_get(node, Agent::HEALTH, "node", "/healthz").unwrap();
        assert_eq!(health.status, 503, "not ready: {}", health.text());
        // No listener without routes.
        let early = ask::http_get(site.lab().client().ns(), site.router("node-1"), "web", "/");
        assert_eq!(early.unwrap_err().failure(), ask::Failure::Refused);
        server.come_back();
        agent.wait_ready().unwrap();
        site.becomes("web", "/", "web");
        Told(&agent).once(&[&unreachable]);
        Told(&agent).nothing_else(&[&unreachable]);
    });
}

#[test]
fn one_that_hangs_up_is_tried_again_without_more_words() {
    lab::test(|| {
        let site = site();
        let server = site.api_server();
        server.inject(Fault::new(Effect::Disconnect));
        let agent = site.spawn_agent("node-1");
        // Every kind, twice over.
        becomes(true, "it keeps trying", || server.requests().len() >= 12);
        server.heal();
        agent.wait_ready().unwrap();
        site.becomes("web", "/", "web");
        let unreachable = format!("cannot reach the API server: {}", server.url());
        Told(&agent).once(&[&unreachable]);
        Told(&agent).nothing_else(&[&unreachable]);
    });
}
