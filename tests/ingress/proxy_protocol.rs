//! The client as a load balancer tells it, with the real program: from the balancer, from a stranger, and
//! from a pod that reaches the balancer's address on the short way.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use fairway_testkit::ask::{self, Answer};
use fairway_testkit::lab::Namespace;
use fairway_testkit::objects::ingress;
use fairway_testkit::{Family, Lab, lab};
use serde_json::Value;

use super::conversation::Conversation;
use super::site::{Site, in_namespace};
use crate::support::{Cluster, Feed};

/// A router that hears the load balancer out, and the Service in front of it with the balancer's address.
fn site(mode: &str) -> Site {
    let lab = Lab::builder()
        .nodes(1)
        .pods_per_node(1)
        .pod("web", "node-1");
    let cluster = Cluster::new(Feed::Manifests, lab);
    let lab = cluster.lab();
    let balancer = Family::BOTH.map(|family| lab.balancer().ip(family).to_string());
    let cidrs = Family::BOTH.map(|family| lab.cluster_cidr(family).to_string());
    let flags = [
        format!("--cluster-cidr={}", cidrs.join(",")),
        format!("--trusted-proxies={}", balancer.join(",")),
        format!("--proxy-protocol={mode}"),
    ];
    let site = Site::new(cluster.with_flags(&flags.each_ref().map(String::as_str)));
    site.apply_apps(&["web"]);
    let web = ingress("web").class("fairway");
    site.apply("web", [web.prefix("web", "/", "web", 80)]);
    site.expose_routers(30080);
    site.start();
    site
}

/// What the pod is told of a request that begins with these bytes.
fn told(site: &Site, from: &Namespace, server: SocketAddr, header: &str) -> Answer {
    let mut conversation = Conversation::open(from, server);
    conversation.send(format!(
        "{header}GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n"
    ));
    let head = conversation.head();
    assert_eq!(head.status, 200, "{}", site.agent("node-1").stderr());
    let length = head.header("content-length").unwrap().parse().unwrap();
    serde_json::from_slice(&conversation.exactly(length)).unwrap()
}

fn is_told(answer: &Answer, client: &str, port: &str) {
    for (name, expected) in [
        ("x-real-ip", client),
        ("x-forwarded-for", client),
        ("x-forwarded-port", port),
    ] {
        assert_eq!(answer.header(name), [expected], "{name}");
    }
}

const TOLD_V4: &str = "PROXY TCP4 192.0.2.1 198.51.100.7 56068 443\r\n";
const TOLD_V6: &str = "PROXY TCP6 2001:db8::1 2001:db8::7 56068 443\r\n";

#[test]
fn the_balancer_tells_who_the_client_is() {
    lab::test(|| {
        let site = site("optional");
        let balancer = site.lab().balancer();
        for family in Family::BOTH {
            let server = SocketAddr::new(site.lab().node("node-1").ip(family), Site::ROUTER);
            let answer = told(&site, balancer.ns(), server, TOLD_V4);
            is_told(&answer, "192.0.2.1", "443");
            let answer = told(&site, balancer.ns(), server, TOLD_V6);
            is_told(&answer, "2001:db8::1", "443");
            let own = balancer.ip(family).to_string();
            let answer = told(&site, balancer.ns(), server, "PROXY UNKNOWN\r\n");
            is_told(&answer, &own, "80");

            let stranger = site.lab().client();
            let mut refused = Conversation::open(stranger.ns(), server);
            refused.send(format!("{TOLD_V4}GET / HTTP/1.1\r\nHost: web\r\n\r\n"));
            assert_eq!(refused.head().status, 400);
            let answer = told(&site, stranger.ns(), server, "");
            is_told(&answer, &stranger.ip(family).to_string(), "80");
        }
    });
}

#[test]
fn a_required_header_is_demanded_of_everybody() {
    lab::test(|| {
        let site = site("required");
        let server = site.router("node-1");
        let own = site.lab().balancer().ip(Family::V4).to_string();
        // curl is an independent sender, and speaks it before TLS as well.
        for (url, port) in [("http", 8080), ("https", 8443)] {
            let address = SocketAddr::new(server.ip(), port);
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-k", "--max-time", "10", "--haproxy-protocol"]);
            curl.args(["-H", "Host: web", &format!("{url}://{address}/")]);
            let output = site.lab().balancer().ns().output(curl).unwrap();
            assert!(output.status.success(), "{output:?}");
            let answer: Answer = serde_json::from_slice(&output.stdout).unwrap();
            is_told(&answer, &own, &port.to_string());
            assert_eq!(answer.header("x-forwarded-proto"), [url]);
        }
        let lab = site.lab();
        for (from, header) in [
            (lab.client().ns(), TOLD_V4),
            (lab.client().ns(), ""),
            (lab.balancer().ns(), ""),
            (
                lab.balancer().ns(),
                "PROXY TCP4 192.0.2.1 198.51.100.7 0 70000\r\n",
            ),
        ] {
            let mut refused = Conversation::open(from, server);
            refused.send(format!("{header}GET / HTTP/1.1\r\n"));
            assert!(refused.is_cut(), "{header:?}");
        }
        // Health checks never carry a header.
        let health = ask::http_get(
            lab.balancer().ns(),
            (server.ip(), 10256).into(),
            "n",
            "/healthz",
        );
        assert_eq!(health.unwrap().status, 200);
        let metrics = ask::http_get(
            lab.node("node-1").ns(),
            ([127, 0, 0, 1], 10249).into(),
            "n",
            "/metrics",
        );
        let metrics = String::from_utf8(metrics.unwrap().body.to_vec()).unwrap();
        for (reason, count) in [("untrusted", 2), ("missing", 1), ("malformed", 1)] {
            let line = format!("proxy_protocol_failures_total{{reason=\"{reason}\"}} {count}\n");
            assert!(metrics.contains(&line), "{reason}:\n{metrics}");
        }
        let log = site.agent("node-1").stderr();
        assert!(!log.contains(" WARN "), "{log}");
    });
}

/// The rules for the load balancer's own address keep such traffic on the node, without a header and with
/// the pod's own address. A client outside, where the balancer does not translate, keeps its own, too.
#[test]
fn what_comes_to_the_balancers_address_on_the_short_way_speaks_for_itself() {
    lab::test(|| {
        let site = site("optional");
        let vip = |family| -> IpAddr {
            match family {
                Family::V4 => "198.51.100.80".parse().unwrap(),
                Family::V6 => "2001:db8:80::80".parse().unwrap(),
            }
        };
        let service = site
            .service("entry", 251)
            .tcp("http", 80)
            .external_traffic_local();
        let service = service.kind("LoadBalancer").node_port(30081);
        let service = Family::BOTH.into_iter().fold(service, |service, family| {
            service.load_balancer_ip(vip(family))
        });
        let slices = Family::BOTH.map(|family| {
            let slice = fairway_testkit::objects::endpoint_slice("entry", family);
            let node = site.lab().node("node-1");
            let slice = slice.tcp("http", Site::ROUTER);
            Value::from(slice.endpoint(node.ip(family), Some("node-1")))
        });
        let [v4, v6] = slices;
        site.apply(
            "entry",
            in_namespace("fairway-system", vec![service.build(), v4, v6]),
        );
        let lab = site.lab();
        for family in Family::BOTH {
            let server = SocketAddr::new(vip(family), 80);
            let node = lab.node("node-1").ip(family);
            let route = ipnet::IpNet::from(vip(family));
            lab.client().add_route(route, node).unwrap();
            crate::support::becomes(true, "the address answers", || {
                ask::http_get(lab.client().ns(), server, "web", "/").is_ok()
            });
            let pod = &lab.pods()[0];
            let answer = told(&site, pod.ns(), server, "");
            is_told(&answer, &pod.ip(family).to_string(), "80");
            let answer = told(&site, lab.client().ns(), server, "");
            is_told(&answer, &lab.client().ip(family).to_string(), "80");
        }
    });
}
