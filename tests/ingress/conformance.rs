//! The scenarios of the Ingress conformance suite that need no TLS, through a load balancer and the
//! node ports of the routers.
//!
//! As in the suite, every feature has a namespace of its own, features run in any order, and the
//! namespace of one is deleted without waiting for its end before the next begins.

mod features;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;
use fairway_testkit::apiserver::Verb;
use fairway_testkit::ask::{self, Response};
use fairway_testkit::{Balancer, Family, Lab, eventually, lab, objects};
use http::{Request, StatusCode, header};

use super::site::{Site, in_namespace, outcome};
use crate::support::{Cluster, Feed, becomes, fed_both_ways};
use features::{FEATURES, Feature, Row};

fed_both_ways!(one_feature_after_the_other, back_to_back);

/// Each feature finds an empty cluster.
fn one_feature_after_the_other(feed: Feed) {
    let suite = Suite::start(feed);
    for feature in FEATURES {
        suite.create(feature, feature.name);
        for row in feature.rows {
            suite.check(row).unwrap();
        }
        suite.site.delete(feature.name);
        let gone = || suite.ask(&feature.rows[0]).status;
        becomes(StatusCode::NOT_FOUND, feature.name, gone);
    }
}

/// Each feature begins while the one before is being removed, in shuffled orders: a catch-all Ingress
/// that lingers must not answer for the next one.
fn back_to_back(feed: Feed) {
    let suite = Suite::start(feed);
    let shuffled = |seed| {
        let mut features: Vec<_> = FEATURES.iter().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut features);
        features
    };
    let twice = [1, 2].into_iter().flat_map(shuffled);
    let mut before = None;
    for (turn, feature) in twice.enumerate() {
        let namespace = format!("scenario-{turn}");
        // Without waiting for it, as the suite does.
        before.inspect(|before: &String| suite.site.delete(before));
        suite.create(feature, &namespace);
        for row in feature.rows {
            eventually(feature.name, || suite.check(row));
        }
        before = Some(namespace);
    }
}

/// Row 13. A status is written by patching; nothing at all may be written here.
#[test]
fn an_ingress_of_another_class_is_left_alone() {
    lab::test(|| {
        let site = Site::start(Feed::Api, Lab::builder().nodes(1).pod("web", "node-1"));
        let ingress = |name: &str, class: &str| {
            let ingress = objects::ingress(name).class(class);
            ingress.prefix(name, "/", "web", 80).build()
        };
        site.apply_apps(&["web"]);
        // They are seen in this order, so that both have been when the second is served.
        site.apply(
            "ingresses",
            [
                ingress("other", "some-other-class"),
                ingress("ours", "fairway"),
            ],
        );
        site.becomes("ours", "/", "web");
        assert_eq!(site.answers("other", "/"), "404");

        let server = site.api_server();
        let other = server.get("Ingress", "default", "other").unwrap();
        assert_eq!(other.get("status"), None);
        let reads = [Verb::Get, Verb::List, Verb::Watch];
        let mut requests = server.requests();
        requests.retain(|it| it.resource == "ingresses" && !reads.contains(&it.verb));
        assert!(requests.is_empty(), "{requests:?}");
    });
}

/// A cluster of two nodes behind a load balancer.
struct Suite {
    site: Site,
    address: SocketAddr,
    _balancer: Balancer,
}

impl Suite {
    const NODE_PORT: u16 = 30080;

    fn start(feed: Feed) -> Self {
        let pods = features::pods()
            .into_iter()
            .zip(["node-1", "node-2"].into_iter().cycle());
        let lab = pods.fold(Lab::builder().nodes(2), |lab, (pod, node)| {
            lab.pod(&pod, node)
        });
        // Row 8 may be served directly or after a redirect to https, which row 7 has a test for in
        // `super::tls`, as the redirect has.
        let flags = ["--redirect-to-https=false"];
        let site = Site::new(Cluster::new(feed, lab).with_further_flags(&flags));
        site.start();
        site.expose_routers(Self::NODE_PORT);
        let suite = Self {
            address: SocketAddr::new(site.lab().balancer().ip(Family::V4), 80),
            _balancer: Balancer::start(site.lab(), 80, Self::NODE_PORT).unwrap(),
            site,
        };
        // Connections go to the nodes in turn.
        eventually("both node ports are open", || {
            let first = &FEATURES[0].rows[0];
            let mut nodes = suite.site.lab().nodes().iter();
            nodes.try_for_each(|_| suite.ask_at(suite.address, first).map(drop))
        });
        suite
    }

    /// Creates a feature's objects and waits until both nodes use them, as the suite waits for the
    /// status.
    fn create(&self, feature: &Feature, namespace: &str) {
        let objects = (feature.objects)(&self.site);
        self.site.apply(namespace, in_namespace(namespace, objects));
        let first = &feature.rows[0];
        for node in self.site.lab().nodes() {
            let router = self.site.router(node.name());
            let status = || self.ask_at(router, first).unwrap().status;
            becomes(StatusCode::OK, feature.name, status);
        }
    }

    fn check(&self, row: &Row) -> Result<(), String> {
        let check = match row.expected {
            "all ten" => self.all_ten_serve(row),
            expected => match self.ask(row) {
                response if outcome(&response) != expected => Err(outcome(&response)),
                response if expected == "404" => no_redirect(&response),
                response => as_it_was_sent(row, &response),
            },
        };
        check.map_err(|problem| format!("{row:?}: {problem}"))
    }

    fn ask(&self, row: &Row) -> Response {
        // The node ports may take a moment longer than the routers themselves.
        eventually("the load balancer answers", || {
            self.ask_at(self.address, row)
        })
    }

    fn ask_at(&self, server: SocketAddr, row: &Row) -> Result<Response, ask::AskError> {
        let own = self.address.to_string();
        let host = if row.host.is_empty() { &own } else { row.host };
        let request = Request::builder()
            .method(row.method)
            .uri(row.path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, AGENT)
            .body(Bytes::new());
        ask::http(self.site.lab().client().ns(), server, request.unwrap())
    }

    fn all_ten_serve(&self, row: &Row) -> Result<(), String> {
        let seen: BTreeSet<_> = (0..100).map(|_| outcome(&self.ask(row))).collect();
        if seen == features::ten() {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    }
}

/// How the suite's client calls itself.
const AGENT: &str = "Go-http-client/1.1";

/// What the suite asks of every request that is served.
fn as_it_was_sent(row: &Row, response: &Response) -> Result<(), String> {
    let Some(seen) = response.answer() else {
        return Err("no pod's answer".to_owned());
    };
    let mut headers = ["content-length", "content-type", "date", "server"].into_iter();
    if let Some(missing) = headers.find(|name| response.header(name).is_none()) {
        return Err(format!("no {missing} in {:?}", response.headers));
    }
    let same = seen.method == row.method && seen.path == row.path && seen.proto == "HTTP/1.1";
    if !same || seen.header("user-agent") != [AGENT] || response.status != 200 {
        return Err(format!("not as it was sent: {seen:?}"));
    }
    match seen.header("host")[..] {
        [host] if row.host.is_empty() || host == row.host => Ok(()),
        _ => Err(format!("another host: {seen:?}")),
    }
}

/// The suite's client follows redirects, and would get there.
fn no_redirect(response: &Response) -> Result<(), String> {
    match response.header("location") {
        None => Ok(()),
        Some(to) => Err(format!("redirected to {to}")),
    }
}
